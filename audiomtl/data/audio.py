"""Reading and writing of sound files.

Conventions: a waveform is ``y`` of shape (n_samples,), float32 in [-1, 1], mono (the mean of the channels).
Rates are in Hz, times in seconds. Whatever libsndfile reads is read: WAV of any width, FLAC, OGG, MP3, and
more. A recording is as long as what is decoded of it: a header that says otherwise is mended or refused
(`audiomtl.data.containers`). Resampling is soxr's "HQ" quality.

Contents: `load`, `save`, `info`, `Info`; `opened`, `Sound`, `LENGTHS`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from audiomtl.data import containers
from audiomtl.errors import UserError

LENGTHS = 2  # raise it when another length is found, or another file refused; in the names of decoders
# Resampling and lossy decoding overshoot full scale by a little, which is clipped. A float file beyond twice
# full scale was written in another unit (16-bit integers as floats, say), and clipping would make a square
# wave of it.
LARGEST_PEAK = 2.0
# An MP3 frame borrows bits from those before it (up to 511 bytes, 14 frames at the lowest rates) and overlaps
# its neighbour, so decoding has to begin earlier than the part: 16 frames * 1152 samples. With 4 frames,
# parts began with wrong samples.
MP3_LEAD_IN = 16 * 1152
# what reading a broken file raises: a TypeError asks for the rate of a headerless one; a header that states
# very many samples makes the others
BROKEN = (soundfile.SoundFileError, OSError, TypeError, MemoryError, ValueError, OverflowError)
CHUNK = 2**16  # samples of OGG decoded at once on the way to the part


class Info(NamedTuple):
    """Length and kind of a sound file."""

    seconds: float
    sample_rate: int  # Hz
    channels: int


def info(path: str | Path) -> Info:
    """Length, rate and channels of a sound file, without decoding it.

    Raises
    ------
    UserError
        The file is missing, no sound, or cut off.
    """
    with opened(path) as sound:
        return Info(sound.frames / sound.sample_rate, sound.sample_rate, sound.channels)


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
    place = _shown(path)
    if sample_rate is not None and sample_rate < 1:
        raise UserError(f"{place}: sample_rate must be at least 1 Hz, but got {sample_rate}")
    if not (np.isfinite(offset_seconds) and offset_seconds >= 0):
        raise UserError(f"{place}: offset_seconds must be at least 0, but got {offset_seconds}")
    if duration_seconds is not None and not duration_seconds > 0:
        raise UserError(
            f"{place}: duration_seconds must be above 0 (None reads to the end), but got {duration_seconds}"
        )
    with opened(path) as sound:
        rate, available = sound.sample_rate, sound.frames
        sound.refuse_empty()
        start = round(offset_seconds * rate)
        if start >= available:
            raise UserError(
                f"{place}: offset_seconds must be before the end at {available / rate:.3f} s, but got"
                f" {offset_seconds}"
            )
        count = available - start
        if duration_seconds is not None and duration_seconds * rate < count:
            count = max(1, round(duration_seconds * rate))
        sound.skip(start)
        y = sound.read(count)
    if sample_rate is not None and sample_rate != rate:
        y = _resample(y, rate, sample_rate)
    return np.clip(y, -1.0, 1.0, out=y)


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


class Sound:
    """An open sound file, read from its beginning on: its parts, one after the other.

    Attributes
    ----------
    frames : samples per channel of the whole recording
    sample_rate : Hz
    channels : of the part that has the most
    remarks : what is unusual about the file, such as "its last page is missing"
    """

    def __init__(self, path: str | Path) -> None:
        self.place = _shown(path)
        layout = containers.layout(path, self.place)
        self.remarks = layout.remarks
        self._windows = [containers.Window(path, part) for part in layout.parts]
        self._files: list[soundfile.SoundFile] = []
        try:
            # bytes: any name that a file can have
            sources: list[containers.Window | bytes] = [*self._windows] or [os.fsencode(path)]
            self._files += [soundfile.SoundFile(source) for source in sources]
        except BaseException:
            self.close()
            raise
        if self._files[0].format in containers.UNCHECKED:
            self.remarks += (
                f"a {self._files[0].format} file does not say how long it is: a missing end would not be"
                " noticed",
            )
        rates = sorted({file.samplerate for file in self._files})
        if len(rates) > 1:
            self.close()
            raise UserError(
                f"{self.place}: {len(self._files)} recordings of {' and '.join(map(str, rates))} Hz in one"
                " file, but all must have one rate; save each as a file of its own"
            )
        self.sample_rate: int = rates[0]
        counted = [part.samples for part in layout.parts] or [-1]  # -1: as libsndfile says
        self._lengths: list[int] = [
            file.frames if samples < 0 else samples
            for file, samples in zip(self._files, counted, strict=True)
        ]
        self.frames = sum(self._lengths)
        self.channels: int = max(file.channels for file in self._files)
        self._at = 0  # samples that were read or skipped
        self._read = [0] * len(self._files)  # of each part

    def close(self) -> None:
        """Close the file."""
        for file in [*self._files, *self._windows]:
            file.close()

    def refuse_empty(self) -> None:
        """Refuse a recording without samples.

        Raises
        ------
        UserError
        """
        if not self.frames:
            raise UserError(f"{self.place}: the file is empty (no samples); remove it or record it again")

    def skip(self, count: int) -> None:
        """Go on by ``count`` samples; only before anything is read."""
        self._at += count

    def read(self, count: int) -> np.ndarray:  # (count,)
        """The next samples, mono, float32, not clipped.

        Raises
        ------
        UserError : they are fewer, or some are not finite or beyond twice full scale.
        """
        mono = [part[:, 0] if part.shape[1] == 1 else part.mean(axis=1) for part in self.parts(count)]
        y = mono[0] if len(mono) == 1 else np.concatenate(mono)
        peak = np.abs(y).max()  # NaN and infinity reach the peak
        if not np.isfinite(peak):
            raise UserError(
                f"{self.place}: contains samples that are not finite (NaN or infinity); write the file again"
            )
        if peak > LARGEST_PEAK:
            raise UserError(
                f"{self.place}: samples reach {peak:.6g}, but full scale is 1.0; scale them before writing"
                " the file"
            )
        return y

    def parts(self, count: int) -> Iterator[np.ndarray]:  # (n_samples, channels)
        """The next samples as they are stored, float32: an array for each part of the file that has some.

        Raises
        ------
        UserError : they are fewer.
        """
        before = 0
        for number, length in enumerate(self._lengths):
            here = min(count, before + length - self._at)
            if here > 0:
                yield self._some(number, self._at - before, here)
                self._at += here
                count -= here
            before += length

    def _some(self, number: int, start: int, count: int) -> np.ndarray:
        file = self._files[number]
        try:
            lead_in = 0 if start == self._read[number] else _skip_to(file, start)
            # libsndfile converts 16-bit samples 3x slower than reading and scaling them, with the same result
            precision = "int16" if file.subtype == "PCM_16" else "float32"
            file.seekable = lambda: False  # soundfile seeks after each read, which garbles MP3
            # (n_samples, channels)
            samples = file.read(lead_in + count, dtype=precision, always_2d=True)[lead_in:]
        except BROKEN as error:
            raise _no_sound(self.place, error) from error
        self._read[number] = start + count
        if len(samples) < count:
            raise UserError(
                f"{self.place}: the file is truncated: {count} samples expected from"
                f" {self._at / self.sample_rate:.6g} s, {len(samples)} found; restore the file"
            )
        return samples * np.float32(1 / 32768) if samples.dtype == np.int16 else samples


@contextmanager
def opened(path: str | Path) -> Iterator[Sound]:
    """Open a sound file.

    Raises
    ------
    UserError
        The file is missing, no sound, or cut off.
    """
    if not os.path.isfile(path):
        raise UserError(f"{_shown(path)}: {_no_file(path)}")
    try:
        sound = Sound(path)
    except BROKEN as error:
        raise _no_sound(_shown(path), error) from error
    try:
        yield sound
    finally:
        sound.close()


def _no_sound(place: str, error: BaseException) -> UserError:
    reason = " ".join(str(getattr(error, "error_string", error)).split()).rstrip(".")
    return UserError(
        f"{place}: cannot be read as sound ({reason or type(error).__name__}); WAV, FLAC, OGG and MP3 can:"
        " convert it, or remove it"
    )


def _no_file(path: str | Path) -> str:
    if os.path.isdir(path):
        return "is a folder, not a sound file"
    if os.path.islink(path):
        return "is a link to a file that does not exist"
    return "no such file" if not os.path.lexists(path) else "is no regular file"


def _shown(path: str | Path) -> str:
    """A path in one line, whatever characters it has."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _skip_to(sound: soundfile.SoundFile, start: int) -> int:
    """Go to sample ``start`` of a file, or before it: returns how many samples too early."""
    if sound.format == "OGG" or not sound.seekable():
        sound.seekable = lambda: False
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
