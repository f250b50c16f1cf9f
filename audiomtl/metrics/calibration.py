"""Confidences that mean what they say: of all answers with confidence 0.8, 80 % should be right.

Conventions: ``confidence`` (answers,) in [0, 1] and ``right`` (answers,) bool belong together by position.
The error is the expected calibration error: the mean distance between confidence and share of right answers
in `BINS` bins of equal width, weighted by the answers in them.

Source: Platt (1999), "Probabilistic outputs for support vector machines", here on log odds; Guo et al.
(2017), "On calibration of modern neural networks".

Contents: `fit`, `calibrated`, `reliability`, `error`.
"""

from dataclasses import dataclass

import numpy as np

BINS = 10
EDGE = 1e-6  # confidences are kept so far from 0 and 1
STEPS = 50  # of Newton's method at most
RIDGE = 1e-3  # keeps the slope finite where all answers are right, or all wrong


@dataclass(frozen=True)
class Calibration:
    """log odds -> slope x log odds + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Bin:
    """Answers of similar confidence."""

    low: float
    high: float
    count: int
    confidence: float  # mean
    right: float  # share


def fit(confidence: np.ndarray, right: np.ndarray) -> Calibration:
    """The most likely slope and intercept, by logistic regression; those that change nothing without answers.

    The slope is at least 0: a lower confidence never becomes the higher one.
    """
    if not len(confidence):
        return Calibration()
    x = np.stack([_log_odds(confidence), np.ones(len(confidence))], axis=1)
    y, weights, start = np.asarray(right, float), np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - y) + RIDGE * (weights - start)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] < 0:
        share = (y.sum() + 1) / (len(y) + 2)
        return Calibration(0.0, float(np.log(share / (1 - share))))
    return Calibration(float(weights[0]), float(weights[1]))


def calibrated(confidence: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Confidences in [0, 1]."""
    odds = calibration.slope * _log_odds(confidence) + calibration.intercept
    return 1 / (1 + np.exp(-odds))


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """The bins that have answers, the lowest confidence first."""
    confidence, right = np.asarray(confidence, float), np.asarray(right, float)
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(
            one / BINS,
            (one + 1) / BINS,
            int((number == one).sum()),
            float(confidence[number == one].mean()),
            float(right[number == one].mean()),
        )
        for one in np.unique(number).tolist()
    ]


def error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error; 0 is perfect. NaN without answers."""
    if not len(confidence):
        return float("nan")
    bins = reliability(confidence, right)
    return sum(one.count * abs(one.confidence - one.right) for one in bins) / len(confidence)


def _log_odds(confidence: np.ndarray) -> np.ndarray:
    kept = np.clip(np.asarray(confidence, float), EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept))
