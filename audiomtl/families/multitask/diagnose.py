"""What each head learns from a batch, for `audiomtl check --deep`. Contents: `learned`, `idle`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiomtl.families.multitask.heads import LOGITS
from audiomtl.families.multitask.settings import Settings
from audiomtl.nn.doctor import Learned


def learned(settings: Settings, batch: Mapping[str, Any], outputs: Any) -> list[Learned]:
    """The labels of each head that is trained; a clip without a label has the weight 0.

    Parameters
    ----------
    batch : as `examples.collate` makes it. outputs : {head: answers (clips, ...)}.
    """
    found = []
    for name, head in settings.heads.items():
        if not head.weight:
            continue
        target, weight = np.asarray(batch[f"target_{name}"]), np.asarray(batch[f"weight_{name}"])
        output = None if outputs is None else outputs.get(name + LOGITS, outputs[name])
        answers = None if output is None else np.asarray(output)
        if target.ndim == 1 and target.dtype.kind == "i" and answers is not None:
            labels = np.where(weight > 0, target, -1)
            found.append(Learned(name, "classes", labels, answers, answers.shape[-1], "logits"))
        else:
            nothing = np.zeros(len(weight))  # only whether there are labels is asked
            found.append(Learned(name, "values", nothing, weights=weight))
    return found


def idle(settings: Settings) -> list[str]:
    """Heads that the file does not train: their weights have no gradient."""
    return [name for name, head in settings.heads.items() if not head.weight]
