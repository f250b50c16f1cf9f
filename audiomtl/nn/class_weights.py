"""Weights of classes in a loss, so that rare ones count as much as frequent ones.

Conventions: of one class per clip, the weight of a class is clips / (classes * clips of the class), so that
the mean over the train clips is 1; of tags it multiplies the loss of the clips that have the tag, and is
clips without it / clips with it. Scores and losses of a side are never weighted.

Contents: `balanced`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def balanced(labels: Sequence[Any], classes: int) -> np.ndarray:  # (classes,) float32
    """Weights of classes, from the labels of the train clips: numbers, or rows (classes,) of 0 and 1.

    A class without clips, or a tag that all clips have or none, has weight 1.
    """
    if np.ndim(labels[0]):
        rows = np.stack(labels)
        positives = rows.sum(axis=0)
        negatives = len(rows) - positives
        weights = np.where((positives > 0) & (negatives > 0), negatives / np.maximum(positives, 1), 1.0)
    else:
        counts = np.bincount(np.asarray(labels), minlength=classes)
        present = (counts > 0).sum()
        weights = np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 1.0)
    return weights.astype(np.float32)
