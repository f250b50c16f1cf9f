"""noise: stationary Gaussian noise, white to pink, added to the power of stored features.

Of the sum of a sound and Gaussian noise the power in one bin of the spectrum is ``P + N + 2 sqrt(P N) cos
a``, N exponentially distributed and a uniform, which is what is drawn here: no sound has to be read again. A
mel band is a mean of several bins, whose powers vary less (gamma distributed).
"""

import numpy as np

from audiomtl.data.augmentation._bands import centres, widths
from audiomtl.settings.augmentation import Noise
from audiomtl.settings.shared import Features

ORDER = 30
LOWEST_HZ = 50.0  # pink noise is white below


def changed(frames: np.ndarray, own: Noise, features: Features, random: np.random.Generator) -> np.ndarray:
    ratio_db, slope = random.uniform(own.lowest_db, own.highest_db), random.uniform(0.0, 1.0)
    shape = np.maximum(centres(features), LOWEST_HZ) ** -slope  # (bands,)
    power = 10.0 ** (frames.astype(np.float64) / 10)  # (frames, bands)
    level = (power.mean(axis=0) * widths(features)).sum() / (shape * widths(features)).sum()
    # bins that differ in one band: Hann windows of neighbouring bins share power, so 1.5 bins count once
    bins = np.ones(len(shape))
    if features.kind == "log_mel":
        bins = np.maximum(widths(features) * features.window_samples / features.sample_rate / 1.5, 1.0)
    noise = level * 10 ** (-ratio_db / 10) * shape * random.standard_gamma(bins, frames.shape) / bins
    angle = random.uniform(0, 2 * np.pi, frames.shape)
    power += noise + 2 * np.sqrt(power * noise) * np.cos(angle) / np.sqrt(bins)
    floor = 10.0 ** (features.floor_db / 10)
    return (10 * np.log10(np.maximum(power, floor))).astype(np.float32)
