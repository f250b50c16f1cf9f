"""per_band_train: less a mean, over a deviation, of each band over all train frames."""

import numpy as np

from audiomtl.data.scaling import Scaler, standardised

OF_TRAIN = "bands"


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    return standardised(values, scaler.mean, scaler.deviation)
