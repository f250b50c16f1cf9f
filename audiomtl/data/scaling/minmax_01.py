"""minmax_01: each clip to [0, 1] by its minimum and maximum."""

import numpy as np

from audiomtl.data.scaling import CONSTANT, Scaler, Statistics


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return to_unit(values)[0]


def scaled_part(values: np.ndarray, statistics: Statistics) -> np.ndarray:
    return to_unit(values, (statistics.low, statistics.high))[0]


def to_unit(
    values: np.ndarray, limits: tuple[np.float32, np.float32] | None = None
) -> tuple[np.ndarray, bool]:
    """Values in [0, 1], and whether they vary; zeros where they do not.

    Parameters
    ----------
    limits : smallest and largest value of the whole, of which the values are a part; None takes their own.
    """
    low, high = limits or (values.min(), values.max())
    if high - low <= CONSTANT * max(abs(low), abs(high)):
        return np.zeros_like(values), False
    values -= low
    values /= high - low
    return values, True
