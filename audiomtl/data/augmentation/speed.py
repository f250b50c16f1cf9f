"""speed: the sound played faster or slower (Ko et al., 2015): a factor of 1.1 is 10 % shorter and higher.

A sound that is resampled to ``rate / factor`` and read as if it had ``rate`` is played ``factor`` times as
fast, so that the resampling is that of every other sound.
"""

import numpy as np

from audiomtl.data import audio


def load(path: str, sample_rate: int, factor: float) -> np.ndarray:  # (n_samples / factor,)
    return audio.load(path, sample_rate=round(sample_rate / factor))
