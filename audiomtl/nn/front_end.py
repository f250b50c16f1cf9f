"""Features, scaling and windows as TensorFlow operations, for models that read a waveform by themselves.

Conventions as in `data.features`, `data.scaling` and `data.windows`, whose numbers these are: features in
float64, to `TOLERANCE_DB`; by convolution (for TFLite, which has no such transform) in float32, where a band
that is more than 80 dB below another one of its frame is noise.

Contents: `frames_of`, `scaled`, `SCALED`, `firsts_of`, `windows_of`.
"""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from audiomtl.data.features import _cosines, _hann, band_matrix
from audiomtl.data.scaling import CONSTANT, Scaler
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features
from audiomtl.settings.windows import Windows

TOLERANCE_DB = 0.01  # of features, against `data.features.extract`
EDGE = 1e-6  # of a frame, as in `data.windows`


# returns (n_frames, n_bands)
def frames_of(waveform: tf.Tensor, settings: Features, *, by_convolution: bool = False) -> tf.Tensor:
    """Features of a waveform (n_samples,), not scaled: `features.extract`.

    Parameters
    ----------
    by_convolution : with operations that TFLite has, in float32.

    Raises
    ------
    UserError : columns of ``settings.also``, or features normalised by a group.
    """
    if settings.also:
        raise UserError(
            f"features.also = {list(settings.also)}: these columns have no graph operation, so the model"
            " cannot be exported; use `audiomtl predict`, or train without them"
        )
    if group := getattr(settings, "normalize_by", ""):
        raise UserError(
            f'features.normalize_by = "{group}": it needs all recordings of a {group}, but an exported model'
            " reads one; use `audiomtl predict` with a table"
        )
    window, hop, n_fft = settings.window_samples, settings.hop_samples, settings.n_fft
    before = n_fft // 2 - (n_fft - window) // 2
    n = tf.shape(waveform)[0]
    count = 1 + n // hop
    behind = tf.maximum((count - 1) * hop + window - before - n, 0)
    padded = tf.pad(waveform, [[before, behind]])
    precision = tf.float32 if by_convolution else tf.float64
    if by_convolution:
        power = _power_by_convolution(padded[: (count - 1) * hop + window], settings)
    else:
        views = tf.signal.frame(padded, window, hop)[:count]  # (n_frames, window)
        windowed = tf.cast(views, precision) * tf.constant(_hann(window), precision)
        spectrum = tf.signal.rfft(windowed, fft_length=[n_fft])
        power = tf.math.real(spectrum) ** 2 + tf.math.imag(spectrum) ** 2  # (n_frames, bins)
    if settings.kind != "log_stft":
        power = tf.matmul(power, tf.constant(band_matrix(settings).T, precision))
    floor = tf.constant(10.0 ** (settings.floor_db / 10), precision)
    decibels = tf.math.log(tf.maximum(power, floor)) * tf.constant(10 / math.log(10), precision)
    if settings.kind == "mfcc":
        cosines = _cosines(settings.bands, settings.coefficients)
        decibels = tf.matmul(decibels, tf.constant(cosines, precision))
    return tf.cast(decibels, tf.float32)


def _power_by_convolution(padded: tf.Tensor, settings: Features) -> tf.Tensor:
    """The transform as one convolution with the windowed sines and cosines."""
    window, n_fft = settings.window_samples, settings.n_fft
    angles = 2 * np.pi * np.outer(np.arange(window), np.arange(n_fft // 2 + 1)) / n_fft
    basis = _hann(window)[:, None] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    parts = tf.nn.conv1d(
        padded[None, :, None], tf.constant(basis[:, None], tf.float32), settings.hop_samples, "VALID"
    )[0]
    real, imaginary = tf.split(parts, 2, axis=1)
    return real**2 + imaginary**2


# ---------------------------------------------------------------- scaling


def scaled(frames: tf.Tensor, scaler: Scaler) -> tf.Tensor:
    """Scaled features (n_frames, n_bands): `scaling.apply`.

    Raises
    ------
    UserError : a kind of scaling that is not among `SCALED`.
    """
    if scaler.kind not in SCALED:
        raise UserError(
            f'features.scaling = "{scaler.kind}" has no graph operation; only'
            f" {', '.join(sorted(SCALED))} have"
        )
    return SCALED[scaler.kind](frames, scaler)


def _unit(frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    low, high = tf.reduce_min(frames), tf.reduce_max(frames)
    varies = high - low > CONSTANT * tf.maximum(tf.abs(low), tf.abs(high))
    spread = tf.where(varies, high - low, 1.0)
    return tf.where(varies, (frames - low) / spread, 0.0), varies


def _minmax(frames: tf.Tensor, scaler: Scaler) -> tf.Tensor:
    unit, varies = _unit(frames)
    return tf.where(varies, 2.0 * unit - 1.0, 0.0)


def _of_train(frames: tf.Tensor, scaler: Scaler) -> tf.Tensor:
    varies = scaler.deviation > CONSTANT * np.abs(scaler.mean)
    factor = np.where(varies, 1 / np.where(varies, scaler.deviation, 1), 0)
    return (frames - tf.constant(scaler.mean, tf.float32)) * tf.constant(factor, tf.float32)


def _of_clip(frames: tf.Tensor, scaler: Scaler) -> tf.Tensor:
    mean = tf.reduce_mean(frames)
    deviation = tf.sqrt(tf.reduce_mean((frames - mean) ** 2))
    varies = deviation > CONSTANT * tf.abs(mean)
    return tf.where(varies, (frames - mean) / tf.where(varies, deviation, 1.0), 0.0)


def _of_clip_bands(frames: tf.Tensor, scaler: Scaler) -> tf.Tensor:
    mean = tf.reduce_mean(frames, axis=0)
    deviation = tf.sqrt(tf.reduce_mean((frames - mean) ** 2, axis=0))
    varies = deviation > CONSTANT * tf.abs(mean)
    return tf.where(varies, (frames - mean) / tf.where(varies, deviation, 1.0), 0.0)


SCALED: dict[str, Callable[[tf.Tensor, Scaler], tf.Tensor]] = {
    "none": lambda frames, scaler: frames,
    "minmax": _minmax,
    "minmax_01": lambda frames, scaler: _unit(frames)[0],
    "standard_train": _of_train,
    "per_band_train": _of_train,
    "standard_clip": _of_clip,
    "per_band_clip": _of_clip_bands,
}


# ---------------------------------------------------------------- windows


def firsts_of(n_frames: tf.Tensor, length: int, windows: Windows, features: Features) -> tf.Tensor:
    """First frame of each window, (n_windows,) int32: `windows.starts`. A recording that is shorter than a
    window has one, whatever the tail.
    """
    hop = max(1.0, features.frames(windows.seconds * windows.hop_share))
    n = tf.cast(n_frames, tf.float32)
    most = tf.cast(n / hop, tf.int32) + 2
    # whole frames: a product in float32 is exact to 2 ** 24 frames, about two days
    every = tf.cast(tf.floor(tf.cast(tf.range(most), tf.float32) * hop + EDGE), tf.int32)
    whole = tf.boolean_mask(every, every + length <= n_frames)
    count = tf.shape(whole)[0]
    following = every[tf.minimum(count, most - 1)]
    last = tf.where(count > 0, every[tf.maximum(count - 1, 0)], -1)
    another = (count == 0) | ((last + length != n_frames) & (following < n_frames))
    begins = {"pad": following, "shift": n_frames - length, "drop": following}[windows.tail]
    begins = tf.where(count == 0, 0, begins)
    if windows.tail == "drop":
        another = count == 0
    return tf.concat([whole, tf.boolean_mask(begins[None], another[None])], axis=0)


# returns (n_windows, length, n_bands)
def windows_of(frames: tf.Tensor, first: tf.Tensor, length: int) -> tf.Tensor:
    """Windows of a clip (n_frames, n_bands), filled up with each band's least value: `windows.cut`."""
    missing = tf.maximum(tf.reduce_max(first) + length - tf.shape(frames)[0], 0)
    filling = tf.tile(tf.reduce_min(frames, axis=0, keepdims=True), [missing, 1])
    places = first[:, None] + tf.range(length)[None, :]
    return tf.gather(tf.concat([frames, filling], axis=0), places)
