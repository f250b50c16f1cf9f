"""`audiomtl.data.descriptors`: each column on sounds for which it is known."""

import numpy as np
import pytest

from audiomtl.data import features
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features

TABLE = {
    "kind": "log_mel", "sample_rate": 16000, "window_seconds": 0.032, "hop_seconds": 0.016, "n_fft": 512,
    "bands": 20, "coefficients": 13, "low_hz": 60.0, "high_hz": 7600.0, "floor_db": -100.0, "scaling": "none",
}  # fmt: skip
ALL = ("deltas", "pitch", "voicing", "level", "centroid", "flatness", "zero_crossings")
RANDOM = np.random.default_rng(0)
NOISE = (0.1 * RANDOM.standard_normal(16000)).astype(np.float32)
SINE = (0.5 * np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000)).astype(np.float32)


def column(name: str, y: np.ndarray) -> np.ndarray:
    """The inner frames of one column, without those that see the edges."""
    return features.extract(y, Features(**TABLE, also=(name,)))[3:-3, -1]


@pytest.mark.parametrize("kind", ["log_stft", "log_mel", "constant_q", "mfcc"])
@pytest.mark.parametrize("samples", [1, 160, 16000])
def test_columns_stand_behind_the_bands_which_stay_as_they_are(kind: str, samples: int) -> None:
    for y in (NOISE[:samples], np.zeros(samples, np.float32)):
        plain, settings = Features(**TABLE | {"kind": kind}), Features(**TABLE | {"kind": kind}, also=ALL)
        bands, found = features.extract(y, plain), features.extract(y, settings)
        assert found.shape == (len(bands), settings.n_bands) and found.dtype == np.float32
        assert settings.n_bands == 2 * plain.n_bands + 6
        assert np.array_equal(found[:, : plain.n_bands], bands) and np.isfinite(found).all()


def test_columns_come_in_the_order_of_the_setting() -> None:
    one = features.extract(NOISE, Features(**TABLE, also=("level", "flatness")))
    other = features.extract(NOISE, Features(**TABLE, also=("flatness", "level")))
    assert np.array_equal(one[:, -2:], other[:, :-3:-1])


def test_numbers_are_those_of_known_sounds() -> None:
    assert column("zero_crossings", SINE) == pytest.approx(0.25, abs=0.01)  # 4000 of 16000 a second
    assert column("centroid", SINE) == pytest.approx(1, abs=0.05)  # 2 kHz is an octave above 1 kHz
    assert column("centroid", NOISE).mean() == pytest.approx(2, abs=0.1)  # 4 kHz
    assert column("flatness", NOISE).mean() == pytest.approx(-2.5, abs=0.3)  # of exponential powers: -2.51 dB
    assert column("flatness", SINE).max() < -40
    assert column("level", SINE / 2) == pytest.approx(column("level", SINE) - 6.02, abs=0.05)


def test_deltas_are_slopes() -> None:
    """A tone that rises 1 dB a frame."""
    rise = 10 ** (np.arange(16000) / 256 / 20)
    y = (1e-3 * rise * SINE).astype(np.float32)
    found = features.extract(y, Features(**TABLE, also=("deltas",)))
    loudest = int(found[:, :20].mean(axis=0).argmax())
    assert found[4:-4, 20 + loudest] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"also": ("pitch", "pitch")}, "each column once"),
        ({"kind": "constant_q", "low_hz": 0.0}, "low_hz must be above 0"),
    ],
)
def test_settings_are_refused(changes: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Features(**TABLE | changes)


def test_constant_q_bands_are_equal_steps_of_pitch() -> None:
    settings = Features(**TABLE | {"kind": "constant_q", "bands": 60, "low_hz": 100.0, "high_hz": 6400.0})
    centres = features.constant_q_centres(60, 100.0, 6400.0)
    assert np.diff(np.log2(centres)) == pytest.approx(6 / 61)
    for hertz in (400.0, 800.0, 1600.0, 3200.0):
        y = (0.5 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)).astype(np.float32)
        loudest = features.extract(y, settings)[10].argmax()
        assert abs(np.log2(centres[loudest] / hertz)) < 0.11  # of an octave: the nearest band
    assert (features.band_matrix(settings).sum(axis=1) > 0.999).all()


def test_a_recording_in_parts_is_refused() -> None:
    from audiomtl.data.stream import frame_parts

    with pytest.raises(UserError, match="need the whole recording"):
        list(frame_parts(iter([NOISE]), Features(**TABLE, also=("pitch",)), 10))
