"""From a waveform to frames: log-STFT, log-mel spectrum, constant-Q bands, MFCC, and further columns.

Conventions: a waveform is (n_samples,) float32 in [-1, 1]; features are (n_frames, n_bands) float32, in dB re
a power of 1.0 (MFCC: their orthonormal cosine transform). Frame t is centred at sample ``t * hop_samples``,
with zeros around the waveform, so there are ``1 + n_samples // hop_samples`` frames. All is frame-local:
reference and floor are fixed, nothing depends on the rest of the clip, so a window of stored frames is what
the window's sound would have given (but for the frames that see its edges). Of the further columns, deltas
see two frames to either side, and pitch its voiced neighbours: see `descriptors`.

The numbers are librosa's (``center=True, pad_mode="constant"``, periodic Hann window, Slaney mel bands of
unit area, orthonormal DCT-II), within 1e-4 of the largest absolute value, without its import (0.5 s) and its
passes in between.

Contents: `extract`, `n_frames`, `frame_times`, `frame_of`, `mel_matrix`, `constant_q_matrix`, `band_matrix`.
"""

from functools import lru_cache

import numpy as np
import scipy.fft

from audiomtl.data import descriptors
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features

FEATURES_VERSION = 1  # saved with every model: raise it when `extract` or `audio.load` changes its numbers

# of all FFTs of one block: it stays in the cache, and its products are too small for BLAS to use threads
BLOCK_SAMPLES = 2**16
GROUP_BANDS = 16
# A float32 transform leaves noise about 125 dB below the energy of the frame. It cannot be seen in
# recordings; a frame that spans more than 80 dB (pure tones, where bands next to silence lie beside loud
# ones) is transformed again in float64.
WIDEST_RANGE = np.float32(10 ** (80 / 10))


def n_frames(n_samples: int, settings: Features) -> int:
    """Number of frames of a waveform of ``n_samples`` samples."""
    return 1 + n_samples // settings.hop_samples


def frame_times(n_frames: int, settings: Features) -> np.ndarray:  # (n_frames,)
    """Centres of the first ``n_frames`` frames, in seconds, float64."""
    return settings.seconds(np.arange(n_frames))


def frame_of(seconds: np.ndarray | float, settings: Features) -> np.ndarray:
    """Index of the frame whose centre is nearest to each time; halfway is the later frame.

    Parameters
    ----------
    seconds
        Times from the start of the clip, any shape. A time beyond the last frame gives an index beyond it.

    Returns
    -------
    np.ndarray, int64, the shape of ``seconds``
    """
    # 1e-6 of a frame: times such as 0.015 s, which no float holds exactly, count as the halfway points they
    # are meant to be
    return np.floor(settings.frames(np.asarray(seconds, dtype=np.float64)) + 0.5 + 1e-6).astype(np.int64)


def extract(y: np.ndarray, settings: Features) -> np.ndarray:  # (n_frames, n_bands)
    """Compute the features of one waveform, unscaled.

    Parameters
    ----------
    y : np.ndarray, (n_samples,), floats in [-1, 1]
        At ``settings.sample_rate``.
    settings
        ``scaling`` is not applied here; see ``data/scaling.py``.

    Returns
    -------
    np.ndarray, (n_frames, settings.n_bands), float32
        ``10 log10(max(power, floor))`` with ``floor = 10 ** (floor_db / 10)``, or its first cepstral
        coefficients; behind them the columns of ``settings.also``.

    Raises
    ------
    UserError
        A mel band holds no bin of the spectrum.
    ValueError
        ``y`` is not 1-D, is empty or has integers.
    """
    if y.ndim != 1 or not y.size or not np.issubdtype(y.dtype, np.floating):
        raise ValueError(
            f"the waveform must be a float array of shape (n_samples,), but got {y.dtype} of shape {y.shape}"
        )
    bands = _bands(y, settings)
    if not settings.also:
        return bands
    spectrum = settings.model_copy(update={"kind": "log_stft", "also": ()})
    further = descriptors.columns(y, bands, lambda: _bands(y, spectrum), settings)
    return np.concatenate([bands, further], axis=1)


def _bands(y: np.ndarray, settings: Features) -> np.ndarray:  # (n_frames, settings.bands_of_kind)
    frames = _frames(y, settings)  # (frames, window)
    floor = np.float32(10.0 ** (settings.floor_db / 10))
    # (bands, coefficients)
    cosines = _cosines(settings.bands, settings.coefficients) if settings.kind == "mfcc" else None
    features = np.empty((len(frames), settings.bands_of_kind), dtype=np.float32)
    block = max(1, BLOCK_SAMPLES // settings.n_fft)
    # one for all blocks: fresh memory for each would cost a tenth of the time
    space = _work_space(block, settings.n_fft, np.float32)
    for start in range(0, len(frames), block):
        some = frames[start : start + block]  # (block, window)
        power = np.maximum(_band_power(some, settings, space), floor)  # (block, bands)
        if power.max() > WIDEST_RANGE * power.min():  # quick look: most blocks have no such frame
            wide = power.max(axis=1) > WIDEST_RANGE * power.min(axis=1)  # (block,)
            power[wide] = np.maximum(
                _band_power(some[wide], settings, _work_space(block, settings.n_fft, np.float64)), floor
            )
        decibels = np.log10(power, out=power)
        decibels *= np.float32(10)
        features[start : start + block] = decibels if cosines is None else decibels @ cosines
    return features


# returns (bands, bins)
def mel_matrix(sample_rate: int, n_fft: int, bands: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Triangular mel bands of unit area on the Slaney scale: ``librosa.filters.mel(htk=False,
    norm="slaney")``, float32.

    The scale is linear below 1000 Hz (200/3 Hz a mel) and logarithmic above (27 mels for a factor of 6.4).

    Source: M. Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research, 1998.
    """
    step = np.log(6.4) / 27
    low, high = (hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) / step for hz in (low_hz, high_hz))
    mels = np.linspace(low, high, bands + 2)  # lower edge, centres, upper edge
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))  # (bands + 2,) Hz
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft  # (bins,) Hz
    slopes = (bins - corners[:-1, None]) / np.diff(corners)[:, None]  # (bands + 1, bins)
    triangles = np.maximum(0, np.minimum(slopes[:-1], 1 - slopes[1:]))  # (bands, bins)
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


def constant_q_matrix(  # returns (bands, bins)
    sample_rate: int, n_fft: int, bands: int, low_hz: float, high_hz: float
) -> np.ndarray:
    """Triangular bands whose centres are equally far apart in semitones, each of unit sum, float32.

    A pseudo constant-Q transform (Brown, 1991, from one Fourier transform): a triangle reaches to its
    neighbours' centres, and to one bin at least, so that low bands, which are narrower than a bin, are
    interpolated and not empty.
    """
    centres = constant_q_centres(bands, low_hz, high_hz)
    bins = np.arange(n_fft // 2 + 1) * sample_rate / n_fft  # (bins,) Hz
    step = centres[0] / low_hz
    width = np.maximum(centres * (step - 1), sample_rate / n_fft)  # (bands,)
    weights = np.maximum(0, 1 - np.abs(bins - centres[:, None]) / width[:, None])
    return (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)


def constant_q_centres(bands: int, low_hz: float, high_hz: float) -> np.ndarray:  # (bands,) Hz
    """Centres of constant-Q bands: equal steps in log frequency between both edges."""
    return np.geomspace(low_hz, high_hz, bands + 2)[1:-1]


def band_matrix(settings: Features) -> np.ndarray:  # (bands, bins)
    """From power in the bins to power in the bands of ``settings.kind``."""
    made = constant_q_matrix if settings.kind == "constant_q" else mel_matrix
    return made(settings.sample_rate, settings.n_fft, settings.bands, settings.low_hz, settings.high_hz)


def _frames(y: np.ndarray, settings: Features) -> np.ndarray:  # (frames, window)
    """A view of the zero-padded waveform: the samples under the window of each frame."""
    count = n_frames(len(y), settings)
    window, hop, n_fft = settings.window_samples, settings.hop_samples, settings.n_fft
    # of the samples under the window, those before the frame's centre
    before = n_fft // 2 - (n_fft - window) // 2
    padded = np.zeros(max(before + len(y), (count - 1) * hop + window), dtype=np.float32)
    padded[before : before + len(y)] = y
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:count]


def _work_space(frames: int, n_fft: int, precision: type[np.floating]) -> tuple[np.ndarray, np.ndarray]:
    """Zeros (frames, n_fft) for the windowed sound, and (frames, bins) for the power.

    Their precision is the transform's.
    """
    return np.zeros((frames, n_fft), dtype=precision), np.empty((frames, n_fft // 2 + 1), dtype=precision)


# returns (frames, bands)
def _band_power(frames: np.ndarray, settings: Features, space: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Power in the bins (log_stft) or in the bands, float32; good until the work space is used again."""
    windowed, squares = space[0][: len(frames)], space[1]
    window = _hann(settings.window_samples).astype(windowed.dtype, copy=False)
    # the window stands at the left of the FFT, not in its middle: that turns phases, which the power does not
    # see
    np.multiply(frames, window, out=windowed[:, : settings.window_samples])
    spectrum = scipy.fft.rfft(windowed, axis=1)  # (frames, bins)
    parts = spectrum.view(windowed.dtype)  # (frames, 2 bins): real, imaginary, real ...
    parts *= parts
    power = np.add(parts[:, 0::2], parts[:, 1::2], out=squares[: len(frames)]).astype(np.float32, copy=False)
    if settings.kind == "log_stft":
        return power
    in_bands = np.empty((len(frames), settings.bands), dtype=np.float32)
    for bins, bands, weights in _mel_groups(settings):
        np.matmul(power[:, bins], weights, out=in_bands[:, bands])
    return in_bands


@lru_cache(maxsize=64)
def _hann(length: int) -> np.ndarray:  # (length,)
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)  # periodic


@lru_cache(maxsize=64)
def _mel_groups(settings: Features) -> list[tuple[slice, slice, np.ndarray]]:
    """The matrix of bands in groups of neighbouring bands, each with the bins it hears: a quarter of the
    products of the whole matrix.
    """
    matrix = band_matrix(settings)
    empty = int((matrix.max(axis=1) == 0).sum())
    if empty:
        raise UserError(
            f"features.bands = {settings.bands}: {empty} mel bands contain no bin of the spectrum (n_fft ="
            f" {settings.n_fft}) and would be constant; use fewer bands, a larger n_fft or a wider range"
            " from low_hz to high_hz"
        )
    groups = []
    for first in range(0, settings.bands, GROUP_BANDS):
        bands = slice(first, min(first + GROUP_BANDS, settings.bands))
        heard = np.flatnonzero(matrix[bands].max(axis=0))
        bins = slice(int(heard[0]), int(heard[-1]) + 1)
        groups.append((bins, bands, np.ascontiguousarray(matrix[bands, bins].T)))  # (bins, bands)
    return groups


@lru_cache(maxsize=64)
def _cosines(bands: int, coefficients: int) -> np.ndarray:  # (bands, coefficients)
    """The first coefficients of the orthonormal DCT-II, as a matrix."""
    matrix = np.sqrt(2 / bands) * np.cos(
        np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(coefficients))
    )
    matrix[:, 0] = np.sqrt(1 / bands)
    return matrix.astype(np.float32)
