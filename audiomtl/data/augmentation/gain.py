"""gain: another level, in dB; nothing falls below the floor of the features."""

import numpy as np

from audiomtl.settings.augmentation import Gain
from audiomtl.settings.shared import Features

ORDER = 20


def changed(frames: np.ndarray, own: Gain, features: Features, random: np.random.Generator) -> np.ndarray:
    decibels = np.float32(random.uniform(-own.decibels, own.decibels))
    if features.kind == "mfcc":  # a constant over bands is in the first orthonormal coefficient alone
        frames[:, 0] += decibels * np.float32(np.sqrt(features.bands))
        return frames
    frames += decibels
    return np.maximum(frames, np.float32(features.floor_db), out=frames)
