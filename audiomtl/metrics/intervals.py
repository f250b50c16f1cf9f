"""How sure a score is: intervals of means.

Contents: `t_interval`, `paired_difference`.
"""

from collections.abc import Sequence

import numpy as np


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
        raise ValueError(f"values must be one dimension of at least one finite number, but got {array.tolist()}")
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
    mean, n = float(array.mean()), array.size
    if n == 1:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def paired_difference(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of ``a - b`` and its `t_interval`, paired by position (the same seed on both sides)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"a and b are paired by position and must have one shape, but got {first.shape} and {second.shape}")
    return t_interval(first - second, level)
