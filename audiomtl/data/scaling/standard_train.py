"""standard_train: less one mean, over one deviation, of all train frames and bands."""

import numpy as np

from audiomtl.data.scaling import Scaler, standardised

OF_TRAIN = "all"


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return standardised(values, scaler.mean, scaler.deviation)
