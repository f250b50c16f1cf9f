"""none: as stored."""

import numpy as np

from audiomtl.data.scaling import Scaler


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return values
