"""Simultaneous intervals of several differences: all of them hold at once with the stated probability.

The single-step max-t method (Hothorn, Bretz and Westfall, Biometrical Journal, 2008): the half width of each
interval is its standard error times one critical value, the quantile of the largest absolute t statistic of
differences with their correlations, each with a variance that is estimated for itself. Differences that move
together are penalised less than by Bonferroni or Holm.

Conventions: differences are ``(m,)``, their covariance ``(m, m)``. Contents: `Differences`, `simultaneous`,
`critical`.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 20_000  # of the largest t: the critical value has a relative standard error of about 0.5 %
MOST_SQUARES = 100  # degrees of freedom up to which the variances are drawn difference by difference


@dataclass(frozen=True)
class Differences:
    """Differences with their intervals, in the order in which they were given."""

    values: np.ndarray  # (m,)
    low: np.ndarray
    high: np.ndarray
    critical: float  # standard errors from a difference to its limits


def simultaneous(
    values: np.ndarray, covariance: np.ndarray, freedom: int, level: float = 0.95, seed: int = 0
) -> Differences:
    """Intervals that hold all at once; of one difference it is Student's t interval.

    A difference without variance has an interval without width.

    Parameters
    ----------
    values : (m,) finite. covariance : (m, m), of the values (not of replicates). freedom : degrees of
        freedom, >= 1. level : probability that all intervals hold, in (0, 1). seed : of the draws.
    """
    array, spread = np.asarray(values, float), np.asarray(covariance, float)
    if array.ndim != 1 or spread.shape != (len(array), len(array)) or not np.isfinite(spread).all():
        raise ValueError(
            "values must be (m,) and their covariance (m, m) and finite, but got shapes"
            f" {array.shape} and {spread.shape}"
        )
    deviation = np.sqrt(np.maximum(np.diag(spread), 0))
    seen = deviation > 0
    if not seen.any():
        return Differences(array, array.copy(), array.copy(), float("nan"))
    own = deviation[seen]
    correlation = spread[np.ix_(seen, seen)] / np.outer(own, own)
    factor = critical(correlation, freedom, level, seed)
    return Differences(array, array - factor * deviation, array + factor * deviation, factor)


def critical(correlation: np.ndarray, freedom: int, level: float = 0.95, seed: int = 0) -> float:
    """Quantile of the largest absolute t statistic of several means of normal values.

    For one difference it is exact, for more the quantile of `DRAWS` draws with a fixed seed.

    Parameters
    ----------
    correlation : (m, m). What rounding, or an estimate by parts, has left without a square root is made
        positive semidefinite.
    """
    from scipy.special import stdtrit

    if not 0 < level < 1 or freedom < 1:
        raise ValueError(f"0 < level < 1 and freedom >= 1 must hold, but got {level} and {freedom}")
    matrix = np.atleast_2d(np.asarray(correlation, float))
    if len(matrix) == 1:
        return float(stdtrit(freedom, (1 + level) / 2))
    roots, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    factor = vectors * np.sqrt(np.maximum(roots, 0))
    factor /= np.sqrt((factor**2).sum(axis=1, keepdims=True))  # variances of 1 again
    random = np.random.default_rng(seed)
    values, squares = random.standard_normal((DRAWS, len(matrix))) @ factor.T, np.zeros((DRAWS, len(matrix)))
    if freedom > MOST_SQUARES:  # variances are as good as known
        squares += random.chisquare(freedom, (DRAWS, 1))
    for _ in range(freedom if freedom <= MOST_SQUARES else 0):
        squares += (random.standard_normal((DRAWS, len(matrix))) @ factor.T) ** 2
    largest = (np.abs(values) / np.sqrt(squares / freedom)).max(axis=1)
    return float(np.quantile(largest, level))
