"""Scores of labels: one per clip, or one per frame.

Contents: `accuracy`.
"""

from collections.abc import Sequence

import numpy as np


def accuracy(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> float:
    """Share of equal entries of two arrays of one shape (labels of clips, or of all valid frames one after another)."""
    true, guess = np.asarray(truth), np.asarray(predicted)
    if true.shape != guess.shape:
        raise ValueError(f"truth and predicted must have one shape, but got {true.shape} and {guess.shape}")
    if true.size == 0:
        raise ValueError("truth must have at least one entry, but it is empty")
    return float(np.mean(true == guess))
