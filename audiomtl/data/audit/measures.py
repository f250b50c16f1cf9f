"""What is measured of every recording, in one pass over its samples.

Conventions: levels are in dB re full scale, times in seconds. Of a recording longer than `LONGEST_SECONDS`
the beginning is measured. The row for the linear model is the mean and the standard deviation over time of 40
log-mel bands at 16 kHz.

Contents: `measured`, `Sounds`, `of_file`, `Measures`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.fft
import soundfile
import soxr

from audiomtl.data import audio, features
from audiomtl.data.audit import fingerprints
from audiomtl.data.audit.fingerprints import Fingerprint
from audiomtl.data.odd import Finding, of_waveform
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features
from audiomtl.system import cores

LONGEST_SECONDS = 600.0
SPECTRUM = 4096  # samples of a window for the bandwidth
BANDWIDTH_DB = -75.0  # below the strongest part of the spectrum: what is above is not recorded
SMOOTHED = 9  # bins of the spectrum
STEP_SECONDS = 0.01  # of levels over time
SILENCE_DB = -45.0  # below the loudest step
LINEAR = Features(
    kind="log_mel",
    sample_rate=16000,
    window_seconds=0.032,
    hop_seconds=0.016,
    n_fft=512,
    bands=40,
    low_hz=50.0,
    high_hz=7600.0,
    floor_db=-100.0,
    scaling="none",
)


class Measures(NamedTuple):
    """Of one recording."""

    seconds: float
    sample_rate: int  # Hz
    channels: int
    coding: str  # container and coding, such as "WAV PCM_16"
    rms_db: float
    peak_db: float
    offset: float  # mean of the samples, full scale being 1
    start_seconds: float  # silence at the beginning
    end_seconds: float  # silence at the end
    silent: float  # share of the time that is silent
    floor_db: float  # level of the quietest twentieth of the time
    bandwidth_hz: float  # highest frequency with any sound
    row: np.ndarray  # (80,) float32: for the linear model
    print: Fingerprint
    odd: tuple[Finding, ...]  # silence, antiphase, clipping ...


class Sounds(NamedTuple):
    """All recordings that could be read."""

    rows: np.ndarray  # (n,) their rows in the table
    measures: list[Measures]
    faults: tuple[str, ...]  # of the others

    def of(self, name: str) -> np.ndarray:
        """One measure of all recordings (n,)."""
        return np.array([getattr(one, name) for one in self.measures])


def measured(paths: Sequence[str], progress: Callable[[int, int], None] = lambda done, all_: None) -> Sounds:
    """Measure recordings, several at a time.

    Parameters
    ----------
    progress : is told after every file how many of how many are done.
    """
    rows, found, faults = [], [], []
    with ThreadPoolExecutor(cores()) as pool:
        for row, one in enumerate(pool.map(_tried, paths)):
            if isinstance(one, str):
                faults.append(one)
            else:
                rows.append(row)
                found.append(one)
            progress(row + 1, len(paths))
    return Sounds(np.array(rows, int), found, tuple(faults))


def _tried(path: str) -> Measures | str:
    try:
        return of_file(path)
    except UserError as error:
        return str(error)


def of_file(path: str) -> Measures:
    """Measure a recording.

    Raises
    ------
    UserError : it cannot be read.
    """
    with audio.opened(path) as sound:
        sound.refuse_empty()
        rate, whole = sound.sample_rate, sound.frames
        parts = list(sound.parts(min(whole, round(LONGEST_SECONDS * rate))))
        channels = sound.channels
    y = np.concatenate([part.mean(axis=1, dtype=np.float32) for part in parts])
    if not np.isfinite(y).all():
        raise UserError(
            f"{path}: contains samples that are not finite (NaN or infinity); write the file again"
        )
    start, end, silent, floor = _silence(y, rate)
    return Measures(
        seconds=whole / rate,
        sample_rate=rate,
        channels=channels,
        coding=_coding(path),
        rms_db=_decibels(float(np.sqrt(np.mean(np.square(y - y.mean(), dtype=np.float64))))),
        peak_db=_decibels(float(np.abs(y).max())),
        offset=float(y.mean(dtype=np.float64)),
        start_seconds=start,
        end_seconds=end,
        silent=silent,
        floor_db=floor,
        bandwidth_hz=_bandwidth(y, rate),
        row=_row(y, rate),
        print=fingerprints.of_waveform(_at(y, rate, fingerprints.RATE)),
        odd=of_waveform(np.concatenate(parts) if len({part.shape[1] for part in parts}) == 1 else y, rate),
    )


def _coding(path: str) -> str:
    try:
        info = soundfile.info(path)
    except (soundfile.SoundFileError, OSError):
        return "other"
    return f"{info.format} {info.subtype}"


def _at(y: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    return y if rate == wanted else soxr.resample(y, rate, wanted, quality="MQ")


def _row(y: np.ndarray, rate: int) -> np.ndarray:
    frames = features.extract(_at(y, rate, LINEAR.sample_rate), LINEAR)  # (n_frames, 40)
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def _silence(y: np.ndarray, rate: int) -> tuple[float, float, float, float]:
    """Seconds of silence at the beginning and the end, the share of all silence, the noise floor in dB."""
    step = max(1, round(STEP_SECONDS * rate))
    centred = y - y.mean()
    power = np.add.reduceat(np.square(centred, dtype=np.float64), np.arange(0, len(y), step)) / step
    loud = power > max(power.max() * 10 ** (SILENCE_DB / 10), 1e-10)
    floor = _decibels(float(np.sqrt(np.quantile(power, 0.05))))
    if not loud.any():
        return len(y) / rate, len(y) / rate, 1.0, floor
    first, last = int(loud.argmax()), int(loud[::-1].argmax())
    return first * step / rate, last * step / rate, float(1 - loud.mean()), floor


def _bandwidth(y: np.ndarray, rate: int) -> float:
    """Highest frequency at which the mean spectrum is above `BANDWIDTH_DB`, in Hz."""
    y = np.pad(y, (0, max(0, SPECTRUM - len(y))))
    frames = y[: len(y) // SPECTRUM * SPECTRUM].reshape(-1, SPECTRUM)
    window = np.blackman(SPECTRUM).astype(np.float32)
    power = np.zeros(SPECTRUM // 2 + 1)
    for first in range(0, len(frames), 256):
        power += np.square(np.abs(scipy.fft.rfft(frames[first : first + 256] * window))).sum(axis=0)
    if not power[1:].any():
        return 0.0
    smooth = np.convolve(power, np.full(SMOOTHED, 1 / SMOOTHED), "same")
    above = np.flatnonzero(smooth[1:] > smooth[1:].max() * 10 ** (BANDWIDTH_DB / 10))
    return float((above[-1] + 1) * rate / SPECTRUM)


def _decibels(level: float) -> float:
    return float(20 * np.log10(max(level, 1e-6)))
