"""Confidence intervals of means.

Contents: `t_interval`, `paired_difference`, `clustered_interval`, `jackknife_interval`.
"""

from collections.abc import Sequence

import numpy as np

# below, no interval over groups holds what it says: of nominal 95 % a bootstrap covers 0 / 49 % at 1 / 2
# groups
FEWEST_GROUPS = 5
BOOTSTRAP_GROUPS = 20  # from here up a bootstrap covers about what it says (93 %)
DRAWS = 2000


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student t interval of values that are independent, such as one score per seed.

    Parameters
    ----------
    values : array (n,), float
        n >= 1, finite.
    level : float
        Share of such intervals that hold the true mean, in (0, 1).

    Returns
    -------
    mean, low, high : floats. With one value nothing is known of the spread: low and high are NaN.
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.all(np.isfinite(array)):
        raise ValueError(
            f"values must be one dimension of at least one finite number, but got {array.tolist()}"
        )
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
    mean, n = float(array.mean()), array.size
    if n == 1:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def paired_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of ``a - b`` and its `t_interval`, paired by position (the same seed on both sides)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(
            f"a and b are paired by position and must have one shape, but got {first.shape} and"
            f" {second.shape}"
        )
    return t_interval(first - second, level)


def clustered_interval(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[str] | np.ndarray,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean over clips and an interval that takes clips of one group for what they are: not independent.

    Under 20 groups a t interval with G - 1 degrees of freedom and the variance of a ratio, ``G / (G - 1) *
    sum(e_g^2) / n^2`` with ``e_g`` the sum of ``value - mean`` over group g (Cochran, Sampling Techniques,
    1977, 6.3); from 20 up the quantiles of 2,000 bootstrap draws of whole groups (Field and Welsh, 2007).

    Parameters
    ----------
    values : (n,) such as 1 for a clip that was right, 0 for one that was not ; groups : (n,) which song,
        speaker or source
    level : share of such intervals that hold the true mean ; seed : of the draws

    Returns
    -------
    mean, low, high

    Raises
    ------
    ValueError : under 5 groups, which say too little of how groups differ.
    """
    from scipy.special import stdtrit

    array, names = np.asarray(values, dtype=float), np.asarray(groups)
    if array.ndim != 1 or array.shape != names.shape or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(
            f"values must be finite and one per group name, but got shapes {array.shape} and {names.shape}"
        )
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
    _, index = np.unique(names, return_inverse=True)
    count = int(index.max()) + 1
    if count < FEWEST_GROUPS:
        raise ValueError(f"{count} groups are too few, {FEWEST_GROUPS} are needed")
    mean, sizes = float(array.mean()), np.bincount(index)
    if count < BOOTSTRAP_GROUPS:
        residuals = np.bincount(index, array - mean)  # (groups,)
        deviation = np.sqrt(count / (count - 1) * np.sum(residuals**2)) / array.size
        half = float(stdtrit(count - 1, (1 + level) / 2) * deviation)
        return mean, mean - half, mean + half
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    means = np.bincount(index, array)[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)  # (draws,)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return mean, float(low), float(high)


def jackknife_interval(
    whole: float, without: Sequence[float] | np.ndarray, level: float = 0.95
) -> tuple[float, float, float]:
    """A score and an interval from the scores without each group in turn: for scores that are no mean over
    clips, such as an error rate or an F-measure.

    A t interval with G - 1 degrees of freedom and the variance ``(G - 1) / G * sum((s_g - mean(s))^2)``
    (Efron and Stein, 1981; delete-a-group jackknife, Kott, 2001).

    Parameters
    ----------
    whole : score of all clips. without : (G,) score of all clips but those of group g.

    Returns
    -------
    score, low, high

    Raises
    ------
    ValueError : under 5 groups.
    """
    from scipy.special import stdtrit

    array = np.asarray(without, dtype=float)
    if array.ndim != 1 or not np.all(np.isfinite(array)) or not np.isfinite(whole):
        raise ValueError(f"scores must be finite, but got {whole} and {array.tolist()}")
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
    count = array.size
    if count < FEWEST_GROUPS:
        raise ValueError(f"{count} groups are too few, {FEWEST_GROUPS} are needed")
    deviation = np.sqrt((count - 1) / count * np.sum((array - array.mean()) ** 2))
    half = float(stdtrit(count - 1, (1 + level) / 2) * deviation)
    return float(whole), float(whole) - half, float(whole) + half
