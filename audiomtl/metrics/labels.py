"""Scores of labels: one per clip, or one per frame.

Contents: `accuracy`, `balanced_accuracy`, `macro_f1`, `confusion`; `average_precision`, `roc_auc` (of a
ranking).
"""

from collections.abc import Sequence

import numpy as np


def accuracy(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> float:
    """Share of equal entries of two arrays of one shape (labels of clips, or of all valid frames one
    after another).
    """
    true, guess = np.asarray(truth), np.asarray(predicted)
    if true.shape != guess.shape:
        raise ValueError(f"truth and predicted must have one shape, but got {true.shape} and {guess.shape}")
    if true.size == 0:
        raise ValueError("truth must have at least one entry, but it is empty")
    return float(np.mean(true == guess))


def balanced_accuracy(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> float:
    """Mean over the classes in ``truth`` of the share of each that was found: every class counts alike,
    however frequent.
    """
    accuracy(truth, predicted)  # refuses what has no score
    true, guess = np.asarray(truth), np.asarray(predicted)
    return float(np.mean([np.mean(guess[true == one] == one) for one in np.unique(true)]))


def macro_f1(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> float:
    """Mean over the classes in ``truth`` or ``predicted`` of 2 hits / (said + true)."""
    accuracy(truth, predicted)
    true, guess = np.asarray(truth), np.asarray(predicted)
    classes = np.unique(np.concatenate([true, guess]))
    return float(
        np.mean(
            [
                2 * np.sum((true == one) & (guess == one)) / (np.sum(true == one) + np.sum(guess == one))
                for one in classes
            ]
        )
    )


def confusion(truth: Sequence[str], predicted: Sequence[str]) -> dict[tuple[str, str], int]:
    """How often each class was taken for each other one: (true, predicted) to count, sorted."""
    if len(truth) != len(predicted):
        raise ValueError(
            f"truth and predicted must be equally many, but got {len(truth)} and {len(predicted)}"
        )
    counts: dict[tuple[str, str], int] = {}
    for pair in zip(truth, predicted, strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items()))


def average_precision(truth: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> float:
    """Mean precision over the positives, from the highest score down; equal scores are one step (as in
    scikit-learn).

    Parameters
    ----------
    truth : (n,) bool or 0 and 1, at least one positive ; scores : (n,) finite, higher is more likely positive
    """
    right, values = _ranking(truth, scores)
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)  # of each run of equal scores
    hits = np.cumsum(right[order])[last]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (last + 1)) / right.sum())


def roc_auc(truth: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> float:
    """Share of pairs of a positive and a negative that stand in the right order.

    Equal scores count half (Mann and Whitney, 1947).
    """
    right, values = _ranking(truth, scores)
    if right.all():
        raise ValueError(
            f"truth must have a positive and a negative, but all of its {len(right)} entries are positive"
        )
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1, ties share their mean
    positives = int(right.sum())
    return float(
        (ranks[right].sum() - positives * (positives + 1) / 2) / (positives * (len(right) - positives))
    )


def _ranking(truth: Sequence | np.ndarray, scores: Sequence | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    given, values = np.asarray(truth), np.asarray(scores, np.float64)
    if given.shape != values.shape or given.ndim != 1:
        raise ValueError(
            f"truth and scores must have one shape (n,), but got {given.shape} and {values.shape}"
        )
    right = given == 1
    if not np.all(right | (given == 0)):
        raise ValueError(
            f"truth must be 0 and 1, or bool, but got {given[~(right | (given == 0))][0].item()!r}: one class"
            " against the rest"
        )
    if not right.any():
        raise ValueError(f"truth must have at least one positive, but none of its {len(right)} entries is")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite, but some are not")
    return right, values
