"""standard_clip: each clip less its own mean, over its own deviation (all its bands)."""

import numpy as np

from audiomtl.data.scaling import Scaler, Statistics, standardised


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    mean, deviation = (
        np.atleast_1d(values.mean(dtype=np.float64)),
        np.atleast_1d(values.std(dtype=np.float64)),
    )
    return standardised(values, mean, deviation)


def scaled_part(values: np.ndarray, statistics: Statistics) -> np.ndarray:
    deviation = np.sqrt(statistics.squares / statistics.count)
    return standardised(values, np.atleast_1d(statistics.mean), np.atleast_1d(deviation))
