"""room: simulated reverberation, exponentially decaying noise behind the direct sound (Polack, 1988).

The room of a clip is drawn from its samples and its number: the same in every training and process.
"""

import hashlib

import numpy as np

from audiomtl.data.corpora.room import reverberate
from audiomtl.settings.augmentation import Room


def reverberated(y: np.ndarray, number: int, own: Room, sample_rate: int) -> np.ndarray:  # (n_samples,)
    """The sound in its room ``number``; times hold, and the peak is that of the sound."""
    seed = hashlib.sha256(y.tobytes() + str(number).encode()).digest()[:8]
    generator = np.random.default_rng(int.from_bytes(seed, "big"))
    wet = reverberate(y.astype(np.float64), own.longest_seconds, sample_rate=sample_rate, generator=generator)
    peak = float(np.abs(wet).max(initial=0.0))
    return (wet * (float(np.abs(y).max(initial=0.0)) / peak if peak > 0 else 1.0)).astype(np.float32)
