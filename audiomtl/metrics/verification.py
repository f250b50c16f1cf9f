"""Accepting or rejecting what is claimed, by a score.

Conventions: scores (items,) are higher where the answer is more likely right; ``right`` (items,) is bool.

Contents: `Logistic`, `fitted`, `equal_error`. How far probabilities are to be trusted: `calibration`.
"""

from dataclasses import dataclass

import numpy as np

STEPS = 100  # of Newton's method, which needs about ten
LARGEST = 30.0  # absolute value of a logit: the probabilities of further ones are the same in float32


@dataclass(frozen=True)
class Logistic:
    """Probability 1 / (1 + exp(-(slope * score + offset)))."""

    slope: float
    offset: float

    def __call__(self, scores: np.ndarray | float) -> np.ndarray:
        logits = np.clip(self.slope * np.asarray(scores, float) + self.offset, -LARGEST, LARGEST)
        return 1 / (1 + np.exp(-logits))


def fitted(scores: np.ndarray, right: np.ndarray) -> Logistic:
    """Platt scaling: logistic regression on one score, in which right and wrong weigh the same.

    The targets are those of Platt (1999), (n + 1) / (n + 2) and 1 / (n + 2), so that scores that tell all
    items apart give a finite slope. The slope is never below 0: a score that is higher where the answer is
    wrong says nothing.

    Raises
    ------
    ValueError : no right or no wrong item; a score that is not finite.
    """
    x, y = np.asarray(scores, float), np.asarray(right, bool)
    if not np.isfinite(x).all():
        raise ValueError("scores must be finite")
    good, bad = int(y.sum()), int((~y).sum())
    if not good or not bad:
        raise ValueError(f"right and wrong items are needed, but there are {good} and {bad}")
    target = np.where(y, (good + 1) / (good + 2), 1 / (bad + 2))
    weight = np.where(y, 0.5 / good, 0.5 / bad)
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    z = np.stack([(x - centre) / spread, np.ones_like(x)], axis=1)  # (items, 2)
    found = np.zeros(2)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(z @ found, -LARGEST, LARGEST)))
        gradient = z.T @ (weight * (p - target))
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        found -= step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    if found[0] <= 0:
        return Logistic(0.0, 0.0)
    slope = float(found[0] / spread)
    return Logistic(slope, float(found[1] - slope * centre))


def equal_error(right: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Equal error rate of scores of right and of wrong items, and the threshold at which it is reached.

    An item is accepted whose score is the threshold or higher. The rate is the mean of both error rates where
    they are closest.

    Raises
    ------
    ValueError : no right or no wrong item.
    """
    good, bad = np.sort(np.asarray(right, float)), np.sort(np.asarray(wrong, float))
    if not len(good) or not len(bad):
        raise ValueError(f"right and wrong items are needed, but there are {len(good)} and {len(bad)}")
    thresholds = np.unique(np.concatenate([good, bad]))
    rejected = np.searchsorted(good, thresholds, side="left") / len(good)
    accepted = 1 - np.searchsorted(bad, thresholds, side="left") / len(bad)
    best = int(np.argmin(np.abs(rejected - accepted)))
    return float((rejected[best] + accepted[best]) / 2), float(thresholds[best])
