"""minmax: each clip to [-1, 1] by its minimum and maximum."""

import numpy as np

from audiomtl.data.scaling import Scaler
from audiomtl.data.scaling.minmax_01 import to_unit


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    values, varies = to_unit(values)
    return values * np.float32(2) - np.float32(1) if varies else values
