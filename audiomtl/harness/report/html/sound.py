"""A clip's sound in a page: FLAC as a data URI, and its spectrogram as a picture without axes.

Contents: `Sound`, `heard`, `integers`, `spectrogram`, `place_of`, `LOWEST`.
"""

import io
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import matplotlib
import numpy as np
import soundfile
from PIL import Image

from audiomtl.data import audio, features
from audiomtl.errors import UserError
from audiomtl.harness.report.html.page import embedded
from audiomtl.settings.shared import Features

HIGHEST_RATE = 16000  # Hz
LOWEST = 60.0  # Hz: lower end of the spectrogram
BANDS, COLUMNS = 96, 360  # of the picture
RANGE = 70.0  # dB below the loudest that are shown


@dataclass(frozen=True)
class Sound:
    """The beginning of a recording."""

    y: np.ndarray  # (n_samples,)
    rate: int  # Hz
    seconds: float  # of the whole recording

    @property
    def length(self) -> float:
        """Seconds that are here."""
        return len(self.y) / self.rate

    @property
    def address(self) -> str:
        """As FLAC."""
        file = io.BytesIO()
        soundfile.write(file, integers(self.y), self.rate, format="FLAC", subtype="PCM_16")
        return embedded(file.getvalue(), "audio/flac")


def integers(y: np.ndarray) -> np.ndarray:
    """Samples of 16 bits, (n_samples,)."""
    return np.clip(np.rint(y * 32768.0), -32768, 32767).astype(np.int16)


def heard(path: str, longest: float) -> Sound:
    """The first ``longest`` seconds of a file, at no more than 16 kHz.

    Raises
    ------
    UserError : it cannot be read.
    """
    known = audio.info(path)
    rate = min(known.sample_rate, HIGHEST_RATE)
    return Sound(audio.load(path, sample_rate=rate, duration_seconds=longest), rate, known.seconds)


def spectrogram(sound: Sound) -> str:
    """Mel bands over time in dB as a PNG data URI, low bands at the bottom, 70 dB from black to yellow;
    place a frequency in it with `place_of`.
    """
    settings = _settings(sound.rate)
    try:
        bands = features.extract(sound.y.astype(np.float32), settings)  # (frames, bands)
    except UserError:  # so low a rate that a band has no bin of the spectrum
        bands = np.zeros((1, 1), np.float32)
    edges = np.linspace(0, len(bands), min(COLUMNS, len(bands)) + 1).astype(int)
    columns = np.stack([bands[start:end].max(axis=0) for start, end in pairwise(edges)])
    top = float(columns.max())
    levels = np.clip((columns - (top - RANGE)) / RANGE, 0, 1)
    picture = Image.fromarray((255 * levels.T[::-1]).astype(np.uint8), mode="L")
    picture = picture.convert("P")
    picture.putpalette(_palette())
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return embedded(file.getvalue(), "image/png")


def place_of(hertz: float, rate: int) -> float:
    """Where a frequency is in the spectrogram: 0 at its bottom, 1 at its top."""
    low, high, here = (_mel(value) for value in (LOWEST, rate / 2, hertz))
    return (here - low) / (high - low)


def _mel(hertz: float) -> float:
    """Slaney's scale: linear to 1 kHz, then logarithmic (`features.mel_matrix`)."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


@cache
def _settings(rate: int) -> Features:
    return Features(
        kind="log_mel",
        sample_rate=rate,
        window_seconds=0.032,
        hop_seconds=0.008,
        n_fft=1 << max(9, int(np.ceil(np.log2(0.064 * rate)))),
        bands=BANDS,
        low_hz=LOWEST,
        high_hz=rate / 2,
        floor_db=-100.0,
        scaling="none",
    )


@cache
def _palette() -> bytes:
    """Magma, which also those read who do not see some colours: 256 times red, green and blue."""
    colours = matplotlib.colormaps["magma"](np.arange(256))[:, :3]
    return bytes((255 * colours).round().astype(np.uint8).ravel())
