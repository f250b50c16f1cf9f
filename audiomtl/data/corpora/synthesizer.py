"""A small synthesiser: drums from noise and sines, notes from a few harmonics under an envelope.

Conventions: sounds are (n_samples,) float32 at `SAMPLE_RATE`; pitches are MIDI numbers (69 is 440 Hz); times
are samples. Contents: `Timbre`, `kick`, `snare`, `hat`, `rim`, `note`, `chord`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SAMPLE_RATE = 22050  # Hz


@dataclass(frozen=True)
class Timbre:
    """An instrument: harmonic k has amplitude ``k ** -slope`` (even ones times ``even``), the note swells
    and dies.
    """

    slope: float
    even: float
    harmonics: int
    attack_seconds: float
    decay_seconds: float
    detune: float  # of a second voice, in semitones


def kick(hz: float, seconds: float = 0.18) -> np.ndarray:
    """A sine that falls to ``hz``."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * (hz * t + 2.5 * hz * 0.02 * (1 - np.exp(-t / 0.02)))
    return (np.sin(phase) * np.exp(-t / (seconds / 4))).astype(np.float32)


def snare(hz: float, noise: np.ndarray, seconds: float = 0.16) -> np.ndarray:
    """White noise and a tone."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return ((0.8 * noise[: len(t)] + 0.5 * np.sin(2 * np.pi * hz * t)) * np.exp(-t / (seconds / 4))).astype(
        np.float32
    )


def hat(noise: np.ndarray, seconds: float) -> np.ndarray:
    """Differenced noise: its high part."""
    count = round(seconds * SAMPLE_RATE)
    t = np.arange(count) / SAMPLE_RATE
    return (np.diff(noise[: count + 2], 2) * 0.35 * np.exp(-t / (seconds / 3))).astype(np.float32)


def rim(hz: float, seconds: float = 0.05) -> np.ndarray:
    """A short click of two inharmonic tones."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (
        (np.sin(2 * np.pi * hz * t) + 0.7 * np.sin(2 * np.pi * 1.53 * hz * t)) * np.exp(-t / 0.008)
    ).astype(np.float32)


@lru_cache(maxsize=4096)
def note(timbre: Timbre, pitch: int, samples: int) -> np.ndarray:
    """One note; harmonics above 9 kHz are left out. Not to be written to: it is shared."""
    hz = 440 * 2 ** ((pitch - 69) / 12)
    t = np.arange(samples) / SAMPLE_RATE
    y = np.zeros(samples)
    for voice in (hz, hz * 2 ** (timbre.detune / 12)):
        for k in range(1, timbre.harmonics + 1):
            if k * voice < 9000:
                y += k**-timbre.slope * (timbre.even if k % 2 == 0 else 1) * np.sin(2 * np.pi * k * voice * t)
    envelope = np.minimum(1, t / timbre.attack_seconds) * np.exp(-t / timbre.decay_seconds)
    # 10 ms release: no click
    envelope *= np.minimum(1, (samples - np.arange(samples)) / (0.01 * SAMPLE_RATE))
    y = (0.3 * y * envelope).astype(np.float32)
    y.flags.writeable = False
    return y


def chord(timbre: Timbre, pitches: tuple[int, ...], samples: int) -> np.ndarray:
    """Notes at once."""
    return sum((note(timbre, pitch, samples) for pitch in pitches), np.zeros(samples, np.float32)) / len(
        pitches
    )
