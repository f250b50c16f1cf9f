"""Fundamental frequency and periodicity of each frame, by hand.

Conventions as in `features`: frame t is centred at sample ``t * hop_samples``, with zeros around the sound.
The method is YIN's difference function (de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator
for speech and music", JASA 111(4), 2002), with the autocorrelation by Fourier transforms.

Contents: `contour`, `LOW_HZ`, `HIGH_HZ`.
"""

import numpy as np
import scipy.fft

from audiomtl.settings.shared import Features

LOW_HZ, HIGH_HZ = 60.0, 600.0  # range of the fundamental: speech, and singing up to d''
DIP = 0.15  # the first lag whose normalised difference is below it is taken
VOICED = 0.5  # least periodicity of a frame whose pitch is kept
SILENCE = 1e-8  # mean power (-80 dB): nothing to find below
BLOCK_FRAMES = 256


# returns (n_frames, 2)
def contour(y: np.ndarray, settings: Features) -> np.ndarray:
    """Pitch in semitones above `LOW_HZ`, and periodicity in [0, 1], of each frame.

    Frames that are not periodic take a pitch between those of their voiced neighbours (linear in time); of a
    clip without a voiced frame the pitch is 0 everywhere.

    Parameters
    ----------
    y : (n_samples,) floats in [-1, 1], at ``settings.sample_rate``.

    Returns
    -------
    np.ndarray (n_frames, 2) float32
    """
    rate, hop = settings.sample_rate, settings.hop_samples
    longest = int(np.ceil(rate / LOW_HZ)) + 1  # lag
    count = 1 + len(y) // hop
    padded = np.zeros(max(longest + len(y), (count - 1) * hop + 2 * longest), np.float32)
    padded[longest : longest + len(y)] = y
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * longest)[::hop][:count]
    parts = [_lags(frames[first : first + BLOCK_FRAMES], rate) for first in range(0, count, BLOCK_FRAMES)]
    lag, periodicity = np.concatenate(parts, axis=1)
    pitch = 12 * np.log2(np.clip(rate / lag, LOW_HZ, HIGH_HZ) / LOW_HZ)
    voiced = np.flatnonzero(periodicity >= VOICED)
    pitch = np.interp(np.arange(count), voiced, pitch[voiced]) if len(voiced) else np.zeros(count)
    return np.stack([pitch, periodicity], axis=1).astype(np.float32)


# returns (2, frames)
def _lags(frames: np.ndarray, rate: int) -> np.ndarray:
    """Lag in samples, not whole, and periodicity of frames (frames, 2 * longest)."""
    longest = frames.shape[1] // 2
    x = frames.astype(np.float64)
    size = scipy.fft.next_fast_len(3 * longest, real=True)
    first, whole = scipy.fft.rfft(x[:, :longest], size, axis=1), scipy.fft.rfft(x, size, axis=1)
    products = scipy.fft.irfft(np.conj(first) * whole, size, axis=1)[:, : longest + 1]  # by lag
    squares = np.cumsum(np.pad(x * x, ((0, 0), (1, 0))), axis=1)
    energy = squares[:, longest : 2 * longest + 1] - squares[:, : longest + 1]  # of the delayed half, by lag
    difference = np.maximum(energy[:, :1] + energy - 2 * products, 0)  # (frames, longest + 1)
    lags = np.arange(1, longest + 1)
    sums = np.cumsum(difference[:, 1:], axis=1)
    relative = difference[:, 1:] * lags / np.maximum(sums, 1e-12)  # YIN's d'
    shortest = int(rate / HIGH_HZ)  # lag; column shortest - 1 has it
    inner = relative[:, shortest - 1 : longest - 1]
    dips = (inner <= relative[:, shortest:longest]) & (inner < relative[:, shortest - 2 : longest - 2])
    low = dips & (inner < DIP)
    column = np.where(low.any(axis=1), low.argmax(axis=1), inner.argmin(axis=1)) + shortest - 1
    row = np.arange(len(x))
    before, here, after = (relative[row, np.clip(column + step, 0, longest - 1)] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend > 1e-12, (before - after) / np.maximum(2 * bend, 1e-12), 0)  # parabola's vertex
    heard = squares[:, -1] > SILENCE * frames.shape[1]
    return np.stack([column + 1 + np.clip(shift, -0.5, 0.5), np.where(heard, np.clip(1 - here, 0, 1), 0)])
