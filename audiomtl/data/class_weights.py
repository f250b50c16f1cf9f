"""Weights of classes in the loss. Contents: `class_weights`."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def class_weights(labels: Sequence[Any], classes: int) -> np.ndarray:  # (classes,) float32
    """Weights by which every class has the same part in the loss: n / (classes * clips of the class).

    Their mean over the clips is 1; a class without a clip has weight 0. Of tags the weight multiplies the
    loss of the clips that have the tag, and is clips without it / clips with it; 1 where all clips have it,
    or none.

    Parameters
    ----------
    labels : number of each clip's class, or rows (classes,) of 0 and 1.
    """
    if len(labels) and np.ndim(labels[0]):
        positives = np.sum(labels, axis=0)
        negatives = len(labels) - positives
        ratio = negatives / np.maximum(positives, 1)
        return np.where((positives > 0) & (negatives > 0), ratio, 1.0).astype(np.float32)
    counts = np.bincount(np.asarray(labels, int), minlength=classes)
    return np.where(counts > 0, len(labels) / (classes * np.maximum(counts, 1)), 0.0).astype(np.float32)
