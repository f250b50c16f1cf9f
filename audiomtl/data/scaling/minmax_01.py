"""minmax_01: each clip to [0, 1] by its minimum and maximum."""

import numpy as np

from audiomtl.data.scaling import CONSTANT, Scaler


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return to_unit(values)[0]


def to_unit(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Values in [0, 1], and whether they vary; zeros where they do not."""
    low, high = values.min(), values.max()
    if high - low <= CONSTANT * max(abs(low), abs(high)):
        return np.zeros_like(values), False
    values -= low
    values /= high - low
    return values, True
