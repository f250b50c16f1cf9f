"""Fingerprints of sound that survive another level, codec, sample rate, beginning and end (Haitsma and
Kalker, "A highly robust audio fingerprinting system", 2002).

Conventions: a waveform is (n_samples,) float32 at `RATE`. Every 32 ms a window of 256 ms gives 32 bits: bit m
is whether the difference of the energies of bands m and m + 1 has grown since the window before. Bands are
spaced by logarithm, so a speed change by one or two percent leaves most bits as they are. A frame without
sound is not *valid*: its bits are noise.

Contents: `of_waveform`, `Fingerprint`, `RATE`, `HOP_SECONDS`.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.fft

RATE = 8000  # Hz
WINDOW = 2048  # samples: 256 ms
HOP = 256  # samples: 32 ms
HOP_SECONDS = HOP / RATE
BANDS = 33  # from LOW_HZ to HIGH_HZ: 32 differences
LOW_HZ, HIGH_HZ = 200.0, 3600.0
WEAK = 3  # bits of a frame that are the first to flip, which a search tries both ways
QUIET_DB = -50.0  # below the loudest frame
SILENT = 1e-10  # power of a window, full scale being 1: -100 dB
BLOCK = 4096  # frames that are transformed at once


class Fingerprint(NamedTuple):
    """Of one recording."""

    bits: np.ndarray  # (n_frames,) uint32
    valid: np.ndarray  # (n_frames,) bool: there is sound in the frame
    weak: np.ndarray  # (n_frames, WEAK) uint8: numbers of the bits that are nearest to flipping
    level: np.ndarray  # (n_frames,) float32, dB re the loudest frame


# returns n_frames = max(0, 1 + (n_samples - WINDOW) // HOP - 1)
def of_waveform(y: np.ndarray) -> Fingerprint:
    """The fingerprint of a waveform (n_samples,) at `RATE`; a short one is padded at both ends."""
    if len(y) < RATE:
        y = np.pad(y, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(y, WINDOW)[::HOP] if len(y) >= WINDOW else y[:0]
    if len(frames) < 2:
        none = np.empty(0, np.float32)
        return Fingerprint(none.astype(np.uint32), none.astype(bool), np.empty((0, WEAK), np.uint8), none)
    window, matrix = _window(), _matrix()
    energies = np.concatenate(
        [
            np.abs(scipy.fft.rfft(frames[first : first + BLOCK] * window)) ** 2 @ matrix
            for first in range(0, len(frames), BLOCK)
        ]
    )  # (n_frames + 1, BANDS)
    tilt = np.diff(energies, axis=1)  # (n_frames + 1, 32)
    change = np.diff(tilt, axis=0)  # (n_frames, 32)
    bits = (change > 0) @ (np.uint64(1) << np.arange(32, dtype=np.uint64))
    size = energies[1:] + energies[:-1]
    certainty = np.abs(change) / (size[:, 1:] + size[:, :-1] + 1e-30)
    weak = np.argpartition(certainty, WEAK, axis=1)[:, :WEAK].astype(np.uint8)
    power = energies.sum(axis=1)
    heard = (power > SILENT) & (power > power.max() * 10 ** (QUIET_DB / 10))
    level = 10 * np.log10(np.maximum(power, SILENT / 10) / max(float(power.max()), SILENT / 10))
    return Fingerprint(bits.astype(np.uint32), heard[1:] & heard[:-1], weak, level[1:].astype(np.float32))


@lru_cache(maxsize=1)
def _window() -> np.ndarray:  # (WINDOW,), so that a sine of full scale has a power of about 0.5
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    return window * np.float32(np.sqrt(2 / (WINDOW * np.sum(window**2))))


@lru_cache(maxsize=1)
def _matrix() -> np.ndarray:  # (WINDOW // 2 + 1, BANDS): bins of each band
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1)
    frequencies = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    return np.stack(
        [(low <= frequencies) & (frequencies < high) for low, high in pairwise(edges)],
        axis=1,
    ).astype(np.float32)
