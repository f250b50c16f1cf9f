"""Reading and writing of sound files.

Conventions: a waveform is ``y`` of shape (n_samples,), float32 in [-1, 1], mono (the mean of the channels).
Rates are in Hz, times in seconds. Whatever libsndfile reads is read: WAV of any width, FLAC, OGG, MP3.
Resampling is soxr's "HQ" quality.

Contents: `load`, `channels`, `save`, `info`, `Info`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from audiomtl.errors import UserError

# Resampling and lossy decoding overshoot full scale by a little, which is clipped. A float file beyond twice
# full scale was written in another unit (16-bit integers as floats, say), and clipping would make a square
# wave of it.
LARGEST_PEAK = 2.0
# An MP3 frame borrows bits from those before it (up to 511 bytes, 14 frames at the lowest rates) and overlaps
# its neighbour, so decoding has to begin earlier than the part: 16 frames * 1152 samples. With 4 frames,
# parts began with wrong samples.
MP3_LEAD_IN = 16 * 1152
CHUNK = 2**16  # samples of OGG decoded at once on the way to the part


class Info(NamedTuple):
    """The header of a sound file."""

    seconds: float
    sample_rate: int  # Hz
    channels: int


def info(path: str | Path) -> Info:
    """Length, rate and channels of a sound file, from its header.

    Raises
    ------
    UserError
        The file is missing or not a sound file.
    """
    with _opened(path) as sound:
        return Info(sound.frames / sound.samplerate, sound.samplerate, sound.channels)


# returns (n_samples,)
def load(
    path: str | Path,
    *,
    sample_rate: int | None,
    offset_seconds: float = 0.0,
    duration_seconds: float | None = None,
) -> np.ndarray:
    """Read a sound file, or a part of it, as a mono waveform.

    Parameters
    ----------
    path
        The file.
    sample_rate
        Rate of the returned waveform in Hz; None keeps the file's.
    offset_seconds
        Where to begin, rounded to the nearest sample of the file. What lies before is skipped, not decoded,
        but for the half second that MP3 needs to get going, and OGG, which is decoded from its beginning on.
    duration_seconds
        How much to read, rounded to the nearest sample of the file; None, or more than there is, reads to the
        end.

    Returns
    -------
    y : np.ndarray, (n_samples,), float32 in [-1, 1]
        At another rate, n samples become ``n * sample_rate / file's rate``, half rounded up, and at least 1.

    Raises
    ------
    UserError
        The file is missing, no sound, empty, cut off, or has samples that are not finite or beyond twice full
        scale; the offset is negative or not before the end; the duration or the rate is not above 0.
    """
    if sample_rate is not None and sample_rate < 1:
        raise UserError(f"{path}: sample_rate must be at least 1 Hz, but got {sample_rate}")
    if not (np.isfinite(offset_seconds) and offset_seconds >= 0):
        raise UserError(f"{path}: offset_seconds must be at least 0, but got {offset_seconds}")
    if duration_seconds is not None and not duration_seconds > 0:
        raise UserError(
            f"{path}: duration_seconds must be above 0 (None reads to the end), but got {duration_seconds}"
        )
    with _opened(path) as sound:
        rate, available = sound.samplerate, sound.frames
        if not available:
            raise UserError(f"{path}: the file is empty (no samples); remove it or record it again")
        start = round(offset_seconds * rate)
        if start >= available:
            raise UserError(
                f"{path}: offset_seconds must be before the end at {available / rate:.3f} s, but got"
                f" {offset_seconds}"
            )
        count = available - start
        if duration_seconds is not None and duration_seconds * rate < count:
            count = max(1, round(duration_seconds * rate))
        lead_in = _skip_to(sound, start)
        # libsndfile converts 16-bit samples 3x slower than reading and scaling them, with the same result
        precision = "int16" if sound.subtype == "PCM_16" else "float32"
        # (n_samples, channels)
        samples = sound.read(lead_in + count, dtype=precision, always_2d=True)[lead_in:]
    if len(samples) < count:
        raise UserError(
            f"{path}: the file is truncated: {count} samples expected from {offset_seconds} s, {len(samples)}"
            " found; restore the file"
        )
    if samples.dtype == np.int16:
        samples = samples * np.float32(1 / 32768)
    y = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    peak = np.abs(y).max()  # NaN and infinity reach the peak
    if not np.isfinite(peak):
        raise UserError(
            f"{path}: contains samples that are not finite (NaN or infinity); write the file again"
        )
    if peak > LARGEST_PEAK:
        raise UserError(
            f"{path}: samples reach {peak:.6g}, but full scale is 1.0; scale them before writing the file"
        )
    if sample_rate is not None and sample_rate != rate:
        y = _resample(y, rate, sample_rate)
    return np.clip(y, -1.0, 1.0, out=y)


def channels(path: str | Path) -> tuple[np.ndarray, int]:
    """All channels of a sound file as they are stored, neither averaged nor clipped, and its rate in Hz.

    Returns
    -------
    y : (n_samples, channels), float32

    Raises
    ------
    UserError
        The file is missing, no sound, empty, cut off, or has samples that are not finite.
    """
    load(path, sample_rate=None)  # refuses
    with _opened(path) as sound:
        return sound.read(dtype="float32", always_2d=True), sound.samplerate


def save(path: str | Path, y: np.ndarray, *, sample_rate: int) -> None:
    """Write a mono waveform as a 16-bit WAV file: the same waveform gives the same bytes.

    Parameters
    ----------
    path
        The file; an existing one is replaced.
    y : np.ndarray, (n_samples,)
        In [-1, 1]; a value x becomes the integer nearest to 32768 x, at most 32767.
    sample_rate
        Hz.

    Raises
    ------
    UserError
        The waveform is not 1-D, is empty, or leaves [-1, 1] (NaN does).
    """
    if y.ndim != 1 or not y.size or not np.issubdtype(y.dtype, np.floating):
        raise UserError(
            f"{path}: the waveform must be a float array of shape (n_samples,), but got {y.dtype} of shape"
            f" {y.shape}"
        )
    if not np.abs(y).max() <= 1.0:
        raise UserError(
            f"{path}: samples must lie in [-1, 1], but reach {np.abs(y).max():.6g}; scale them first"
        )
    integers = np.clip(np.rint(y * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(path, integers, sample_rate, format="WAV", subtype="PCM_16")


def _skip_to(sound: soundfile.SoundFile, start: int) -> int:
    """Go to sample ``start``, or before it: returns how many samples too early."""
    if sound.format == "OGG":
        # from its beginning: libsndfile's seek may land a block (128 samples and more) beside, and does not
        # say so (its issue 885)
        for position in range(0, start, CHUNK):
            sound.read(min(CHUNK, start - position), dtype="float32")
        return 0
    lead_in = min(start, MP3_LEAD_IN) if sound.format == "MP3" else 0  # to be read in one piece with the part
    if start > lead_in:
        sound.seek(start - lead_in)
    return lead_in


def _resample(y: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    length = max(1, (2 * len(y) * new_rate + rate) // (2 * rate))  # half rounded up, in integers
    resampled = soxr.resample(y, rate, new_rate, quality="HQ")[:length]
    return np.pad(resampled, (0, length - len(resampled)))


@contextmanager
def _opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    try:
        with soundfile.SoundFile(path) as sound:
            yield sound
    except (
        soundfile.SoundFileError,
        OSError,
        TypeError,
    ) as error:  # TypeError: headerless formats ask for a rate
        reason = " ".join(str(getattr(error, "error_string", error)).split())
        raise UserError(f"{path}: cannot be read as sound ({reason}); WAV, FLAC, OGG and MP3 can") from error
