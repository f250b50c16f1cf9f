"""Weights of classes in the loss. Contents: `class_weights`."""

from collections.abc import Sequence

import numpy as np


def class_weights(labels: Sequence[int], classes: int) -> np.ndarray:  # (classes,) float32
    """Weights by which every class has the same part in the loss: n / (classes * clips of the class).

    Their mean over the clips is 1; a class without a clip has weight 0.

    Parameters
    ----------
    labels : number of each clip's class.
    """
    counts = np.bincount(np.asarray(labels, int), minlength=classes)
    return np.where(counts > 0, len(labels) / (classes * np.maximum(counts, 1)), 0.0).astype(np.float32)
