"""time_roll: the clip begins at another frame; what is cut off is put behind its end."""

import numpy as np

from audiomtl.settings.augmentation import TimeRoll
from audiomtl.settings.shared import Features

ORDER = 40


def changed(frames: np.ndarray, own: TimeRoll, features: Features, random: np.random.Generator) -> np.ndarray:
    return np.roll(frames, int(random.integers(len(frames))), axis=0)
