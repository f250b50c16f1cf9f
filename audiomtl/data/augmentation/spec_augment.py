"""spec_augment: masks over bands and frames, filled with the clip's mean of each band (Park et al., 2019).

Without the time warping of the paper, which brings little there.
"""

import numpy as np

from audiomtl.settings.augmentation import SpecAugment
from audiomtl.settings.shared import Features

ORDER = 50  # last: nothing may blur a mask


def changed(
    frames: np.ndarray, own: SpecAugment, features: Features, random: np.random.Generator
) -> np.ndarray:
    n_frames, n_bands = frames.shape
    mean = frames.mean(axis=0)  # (bands,)
    for _ in range(own.frequency_masks):
        first, end = _span(n_bands, own.frequency_share * n_bands, random)
        frames[:, first:end] = mean[first:end]
    widest = min(features.frames(own.time_seconds), own.time_share * n_frames)
    for _ in range(own.time_masks):
        first, end = _span(n_frames, widest, random)
        frames[first:end] = mean
    return frames


def _span(count: int, widest: float, random: np.random.Generator) -> tuple[int, int]:
    """First and end of a mask of 0 to ``widest`` of ``count`` places."""
    width = int(random.integers(int(widest) + 1))
    first = int(random.integers(count - width + 1))
    return first, first + width
