"""minmax: each clip to [-1, 1] by its minimum and maximum."""

import numpy as np

from audiomtl.data.scaling import Scaler, Statistics
from audiomtl.data.scaling.minmax_01 import to_unit


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return _doubled(*to_unit(values))


def scaled_part(values: np.ndarray, statistics: Statistics) -> np.ndarray:
    return _doubled(*to_unit(values, (statistics.low, statistics.high)))


def _doubled(values: np.ndarray, varies: bool) -> np.ndarray:
    return values * np.float32(2) - np.float32(1) if varies else values
