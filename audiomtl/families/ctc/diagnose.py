"""What a CTC network learns from a batch, for `audiomtl check --deep`. Contents: `learned`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiomtl.families.ctc.network import reduced
from audiomtl.families.ctc.settings import Settings
from audiomtl.nn.doctor import Learned


def learned(settings: Settings, batch: Mapping[str, Any], outputs: Any) -> list[Learned]:
    """The phones of each clip; nothing where each frame has a label, which always is a class.

    Parameters
    ----------
    batch : as `examples.collate` makes it. outputs : logits (clips, network frames, classes).
    """
    if settings.network.objective == "frames":
        return []
    lengths = reduced(np.asarray(batch["lengths"]), settings.network.time_reduction)
    rows = [row[:length] for row, length in zip(np.asarray(outputs), lengths, strict=True)]
    classes = int(np.shape(outputs)[-1])
    counts = np.asarray(batch["label_lengths"])
    labels = [row[:count] for row, count in zip(np.asarray(batch["labels"]), counts, strict=True)]
    return [Learned("phones", "ctc", labels, rows, classes, "logits")]
