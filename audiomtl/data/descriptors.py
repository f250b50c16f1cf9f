"""Further columns of each frame, behind its bands: what ``features.also`` names.

================ ============================================================== ==========================
deltas           slope of each band over five frames (regression)               dB, or cepstrum, a frame
pitch            fundamental frequency, see `pitch`                             semitones above 60 Hz
voicing          periodicity, see `pitch`                                       0 to 1
level            power of all bins                                              dB
centroid         mean frequency, weighted by power                              octaves above 1 kHz
flatness         mean level of the bins less the level of their mean power      dB, 0 for white noise
zero_crossings   neighbouring samples whose signs differ, in the Hann window    0 to 1
================ ============================================================== ==========================

Conventions: columns stand in the order in which the setting names them. What a frame that is silent (at
``floor_db`` in every bin) has is finite: the floor's level, the centre of all bins, flatness 0.

Contents: `columns`.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from audiomtl.data import pitch
from audiomtl.settings.shared import Features

REACH = 2  # frames to either side that a slope sees


def columns(
    y: np.ndarray, bands: np.ndarray, spectrum: Callable[[], np.ndarray], settings: Features
) -> np.ndarray:  # (n_frames, n_bands - bands_of_kind)
    """The columns that ``settings.also`` names.

    Parameters
    ----------
    y : (n_samples,) at ``settings.sample_rate``. bands : (n_frames, bands) as of ``settings.kind``.
    spectrum : gives the log spectrum (n_frames, bins) in dB, where a column needs it.

    Returns
    -------
    np.ndarray (n_frames, columns) float32
    """
    contour = cache(lambda: pitch.contour(y, settings))  # of pitch and voicing
    power = cache(lambda: spectrum())  # dB
    made: dict[str, Callable[[], np.ndarray]] = {
        "deltas": lambda: _slopes(bands),
        "pitch": lambda: contour()[:, :1],
        "voicing": lambda: contour()[:, 1:],
        "level": lambda: _level(power()),
        "centroid": lambda: _centroid(power(), settings),
        "flatness": lambda: _flatness(power()),
        "zero_crossings": lambda: _zero_crossings(y, settings),
    }
    return np.concatenate([made[name]() for name in settings.also], axis=1).astype(np.float32)


def _slopes(bands: np.ndarray) -> np.ndarray:  # (n_frames, bands)
    """Least-squares slope over a frame and `REACH` to either side; the first and last frame are repeated."""
    padded = np.pad(bands, ((REACH, REACH), (0, 0)), mode="edge")
    count = len(bands)
    steps = range(1, REACH + 1)
    rises = (
        step * (padded[REACH + step : REACH + step + count] - padded[REACH - step : REACH - step + count])
        for step in steps
    )
    return sum(rises, np.zeros_like(bands)) / (2 * sum(step * step for step in steps))


def _level(decibels: np.ndarray) -> np.ndarray:  # (n_frames, 1)
    return 10 * np.log10(np.power(10, decibels.astype(np.float64) / 10).sum(axis=1, keepdims=True))


def _centroid(decibels: np.ndarray, settings: Features) -> np.ndarray:  # (n_frames, 1)
    power = np.power(10, decibels.astype(np.float64) / 10)
    hertz = np.arange(power.shape[1]) * settings.sample_rate / settings.n_fft
    centre = (power * hertz).sum(axis=1, keepdims=True) / power.sum(axis=1, keepdims=True)
    return np.log2(np.maximum(centre, 1.0) / 1000)


def _flatness(decibels: np.ndarray) -> np.ndarray:  # (n_frames, 1)
    """Wiener entropy: geometric over arithmetic mean of the power, in dB."""
    some = decibels.astype(np.float64)
    mean = 10 * np.log10(np.power(10, some / 10).mean(axis=1, keepdims=True))
    return some.mean(axis=1, keepdims=True) - mean


def _zero_crossings(y: np.ndarray, settings: Features) -> np.ndarray:  # (n_frames, 1)
    """Share of neighbouring samples whose signs differ, under the window of each frame."""
    window, hop = settings.window_samples, settings.hop_samples
    changes = np.zeros(len(y) + 1, np.int64)  # up to each sample
    changes[2:] = np.cumsum(np.signbit(y[1:]) != np.signbit(y[:-1]))
    first = np.arange(1 + len(y) // hop) * hop - window // 2
    low, high = np.clip(first + 1, 0, len(y)), np.clip(first + window, 0, len(y))
    return ((changes[high] - changes[low]) / max(1, window - 1))[:, None]
