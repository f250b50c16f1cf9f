"""What a network of bags learns from a batch, for `audiomtl check --deep`. Contents: `learned`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from audiomtl.families.mil.settings import Settings
from audiomtl.nn.doctor import Learned


def learned(settings: Settings, batch: Mapping[str, Any], outputs: Any) -> list[Learned]:
    """The class or the tags of each clip, or of each of its windows.

    Parameters
    ----------
    batch : windows, counts and labels (bags,), of tags (bags, classes), perhaps item_weights (bags,).
    outputs : {"clip_logits": (bags, classes), "window_logits": (n_windows, classes), ...}.
    """
    labels, answers, weights = np.asarray(batch["labels"]), outputs["clip_logits"], batch.get("item_weights")
    if settings.network.loss == "window":
        labels, answers = np.repeat(labels, np.asarray(batch["counts"]), axis=0), outputs["window_logits"]
        weights = None if weights is None else np.repeat(np.asarray(weights), np.asarray(batch["counts"]))
    kind: Any = "tags" if settings.data.labels == "several" else "classes"
    if kind == "classes" and labels.ndim > 1:  # shares of mixed clips
        labels = labels.argmax(axis=1)
    answers = None if answers is None else np.asarray(answers)
    classes = answers.shape[-1] if answers is not None else 0
    return [Learned(settings.data.label, kind, labels, answers, classes, "logits", weights=weights)]
