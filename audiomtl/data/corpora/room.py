"""Simulated rooms and background noise for made corpora.

Conventions: waveforms are float64 of shape (n_samples,); every function draws a fixed number of random
numbers for a given length, in a fixed order, so that another strength leaves the draws as they were.

Contents: `reverberate`, `add_noise`, `background`.
"""

import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import fftconvolve

SIGNAL_TO_NOISE_SPREAD_DB = 5.0  # a clip's ratio lies this far around the mean, uniformly
DIRECT_TO_REVERBERANT_DB = (0.0, 12.0)  # drawn uniformly
FIRST_REFLECTION_SECONDS = 0.002
BABBLE_TALKERS = 6
LONGEST_ROOM_SECONDS = 2.0


def reverberate(
    y: np.ndarray, longest_seconds: float, *, sample_rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Convolve with a room: the direct path at time 0, then noise that falls by 60 dB in RT60 seconds.

    RT60 is drawn from 0.2 to 1.0 times `longest_seconds`; 0 returns `y`. Same length as `y`: times hold, the
    tail is cut. (Exponentially decaying noise is the statistical room model of Polack, 1988.)
    """
    share, ratio_db = generator.uniform(0.2, 1.0), generator.uniform(*DIRECT_TO_REVERBERANT_DB)
    noise = generator.standard_normal(round(LONGEST_ROOM_SECONDS * sample_rate))
    if longest_seconds == 0:
        return y
    seconds = np.arange(len(noise)) / sample_rate
    # 60 dB is a factor of 1000 = 10 ** 3 in amplitude
    tail = noise * 10 ** (-3 * seconds / (share * longest_seconds))
    tail[: round(FIRST_REFLECTION_SECONDS * sample_rate)] = 0
    tail *= 10 ** (-ratio_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1  # the direct path
    return fftconvolve(y, tail)[: len(y)]


# returns (n_samples,)
def add_noise(
    y: np.ndarray,
    signal_to_noise_db: float,
    *,
    spoken: slice,
    sample_rate: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Add `background` at a ratio of the mean powers in `spoken`, drawn within 5 dB of
    `signal_to_noise_db`.
    """
    ratio_db = signal_to_noise_db + generator.uniform(-SIGNAL_TO_NOISE_SPREAD_DB, SIGNAL_TO_NOISE_SPREAD_DB)
    noise = background(len(y), sample_rate=sample_rate, generator=generator)
    power = np.mean(y[spoken] ** 2) / np.mean(noise[spoken] ** 2)
    return y + noise * np.sqrt(power) * 10 ** (-ratio_db / 20)


# returns (n_samples,)
def background(n_samples: int, *, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """A mixture of white, pink and babble-like noise; the shares are drawn, mostly with one that rules.

    Babble is six noises with the long-term spectrum of speech (flat to 500 Hz, then -9 dB an octave), each
    rising and falling at the rate of syllables (below 4 Hz).
    """
    shares = generator.dirichlet([0.5, 0.5, 0.5])
    length = next_fast_len(n_samples, real=True)  # a length with a large prime factor takes 20 times as long
    hertz = np.fft.rfftfreq(length, 1 / sample_rate)
    white = generator.standard_normal(length)
    pink = _shaped(generator.standard_normal(length), 1 / np.sqrt(np.maximum(hertz, 20.0)))
    speech = np.maximum(hertz / 500, 1) ** -1.5  # -9 dB in power an octave is a slope of -1.5 in amplitude
    babble = np.zeros(length)
    for _ in range(BABBLE_TALKERS):
        carrier = _shaped(generator.standard_normal(length), speech)
        envelope = np.abs(_shaped(generator.standard_normal(length), (hertz < 4).astype(float)))
        babble += carrier * envelope
    kinds = np.stack([white, pink, babble])[:, :n_samples]  # (kinds, n_samples)
    weights = np.sqrt(shares / np.mean(kinds**2, axis=1))
    # no matrix product: its last bit may depend on threads and alignment
    return (weights[:, None] * kinds).sum(axis=0)


def _shaped(noise: np.ndarray, gains: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(noise) * gains, n=len(noise))
