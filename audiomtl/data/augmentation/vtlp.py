"""vtlp: vocal tract length perturbation (Jaitly and Hinton, 2013).

Frequencies are multiplied by a factor up to `HIGH_SHARE` of the upper end, and above that compressed or
stretched linearly, so that the upper end stays where it is. Bands are read between their neighbours.
"""

import numpy as np

from audiomtl.data.augmentation._bands import centres
from audiomtl.settings.augmentation import Vtlp
from audiomtl.settings.shared import Features

ORDER = 10
HIGH_SHARE = 0.6  # of half the sample rate: 4,800 Hz at 16 kHz, as in the paper


def changed(frames: np.ndarray, own: Vtlp, features: Features, random: np.random.Generator) -> np.ndarray:
    factor = random.uniform(1 - own.warp, 1 + own.warp)
    hertz = centres(features)
    wanted = np.interp(warped(hertz, factor, features.sample_rate / 2), hertz, np.arange(len(hertz)))
    below = np.minimum(wanted.astype(int), len(hertz) - 1)
    above = np.minimum(below + 1, len(hertz) - 1)
    share = (wanted - below).astype(np.float32)
    return frames[:, below] * (1 - share) + frames[:, above] * share


def warped(hertz: np.ndarray, factor: float, top: float) -> np.ndarray:
    """Frequencies multiplied by a factor, so that ``top`` stays ``top``."""
    corner = HIGH_SHARE * top * min(factor, 1.0) / factor
    slope = (top - corner * factor) / (top - corner)
    return np.where(hertz <= corner, hertz * factor, top - slope * (top - hertz))
