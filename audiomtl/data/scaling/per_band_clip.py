"""per_band_clip: each band of a clip less its own mean, over its own deviation, over the clip's frames.

It takes out what is constant in a recording: a microphone, a room, a timbre (cepstral mean and variance
normalisation of Viikki and Laurila, 1998, from log bands or MFCC alike).
"""

import numpy as np

from audiomtl.data.scaling import Scaler, Statistics, standardised


def scaled(values: np.ndarray, scaler: Scaler) -> np.ndarray:
    mean = values.mean(axis=0, dtype=np.float64)
    return standardised(values, mean, values.std(axis=0, dtype=np.float64))


def scaled_part(values: np.ndarray, statistics: Statistics) -> np.ndarray:
    deviation = np.sqrt(statistics.band_squares / statistics.frames)
    return standardised(values, statistics.band_mean, deviation)
