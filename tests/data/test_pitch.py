"""`audiomtl.data.pitch`: known tones come back, silence and noise have none, every frame has a number."""

import numpy as np
import pytest

from audiomtl.data import features, pitch
from audiomtl.settings.shared import Features

SETTINGS = Features(
    kind="log_mel", sample_rate=16000, window_seconds=0.032, hop_seconds=0.016, n_fft=512, bands=20,
    low_hz=60.0, high_hz=7600.0, floor_db=-100.0, scaling="none",
)  # fmt: skip


def tone(hertz: float, seconds: float = 0.5, rate: int = 16000) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return sum(0.2 / k * np.sin(2 * np.pi * hertz * k * times) for k in (1, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("hertz", [65.0, 110.0, 233.1, 440.0, 590.0])
def test_a_tone_has_its_pitch(hertz: float, rate: int) -> None:
    settings = SETTINGS.model_copy(update={"sample_rate": rate})
    found = pitch.contour(tone(hertz, rate=rate), settings)
    assert found.shape == (features.n_frames(rate // 2, settings), 2) and found.dtype == np.float32
    inner = found[3:-3]
    assert np.abs(inner[:, 0] - 12 * np.log2(hertz / pitch.LOW_HZ)).max() < 0.1  # of a semitone
    assert inner[:, 1].min() > 0.9


def test_between_voiced_frames_the_pitch_is_a_line() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    found = pitch.contour(np.concatenate([tone(100), noise, tone(200)]), SETTINGS)
    middle = found[36:58]  # inside the noise, 0.5 to 1 s
    assert middle[:, 1].max() < pitch.VOICED
    assert np.abs(np.diff(middle[:, 0], 2)).max() < 1e-4 and np.diff(middle[:, 0]).min() > 0


@pytest.mark.parametrize("samples", [1, 160, 16000])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_silence_and_a_constant_have_finite_numbers(samples: int, level: float) -> None:
    found = pitch.contour(np.full(samples, level, np.float32), SETTINGS)
    assert found.shape == (features.n_frames(samples, SETTINGS), 2) and np.isfinite(found).all()
    assert level or not found.any()
