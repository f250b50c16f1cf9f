"""Where the bands of features lie, in Hz. Contents: `centres`, `widths`."""

from functools import lru_cache

import numpy as np

from audiomtl.data.features import band_matrix
from audiomtl.settings.shared import Features


@lru_cache(maxsize=16)
def centres(features: Features) -> np.ndarray:  # (n_bands,) Hz
    """Centre of gravity of every band of log_stft, log_mel or constant_q."""
    hertz = np.arange(features.n_fft // 2 + 1) * features.sample_rate / features.n_fft
    if features.kind == "log_stft":
        return hertz
    matrix = band_matrix(features)
    return (matrix @ hertz) / matrix.sum(axis=1)


@lru_cache(maxsize=16)
def widths(features: Features) -> np.ndarray:  # (n_bands,) Hz
    """Distance between neighbouring centres."""
    own = centres(features)
    return np.gradient(own) if len(own) > 1 else np.ones(1)
