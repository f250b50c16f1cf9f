"""`audiomtl.data.features`: librosa's numbers, frame-local, on the frame grid."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest

from audiomtl.data import features
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features

GOLDEN = Path(__file__).parent.parent / "golden" / "features.npz"
KINDS = ("log_stft", "log_mel", "mfcc")


def _settings(**changes) -> Features:
    table = {
        "kind": "log_mel",
        "sample_rate": 16000,
        "window_seconds": 0.025,
        "hop_seconds": 0.010,
        "n_fft": 512,
        "bands": 40,
        "coefficients": 13,
        "low_hz": 0.0,
        "high_hz": 8000.0,
        "floor_db": -100.0,
        "scaling": "none",
    }
    return Features(**{**table, **changes})


@pytest.mark.parametrize("name", ["silence", "noise", "sine_440", "chirp"])
@pytest.mark.parametrize("kind", KINDS)
def test_stored_librosa_output_comes_back(kind: str, name: str, request: pytest.FixtureRequest) -> None:
    with np.load(GOLDEN) as golden:
        settings, expected = Features.model_validate_json(str(golden[kind])), golden[f"{kind}/{name}"]
    computed = features.extract(request.getfixturevalue(name)[:8200], settings)
    assert computed.shape == expected.shape and computed.dtype == np.float32
    assert np.abs(computed - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "changes",
    [
        {
            "sample_rate": 22050,
            "n_fft": 1024,
            "window_seconds": 0.0464,
            "hop_seconds": 0.0116,
            "bands": 64,
            "high_hz": 11025.0,
        },
        # gaps between the windows
        {
            "window_seconds": 0.032,
            "hop_seconds": 0.050,
            "low_hz": 125.0,
            "high_hz": 7500.0,
            "floor_db": -60.0,
        },
        {"n_fft": 511, "window_seconds": 0.02, "bands": 17},  # odd; a group of bands of its own
    ],
    ids=["22050 Hz", "wide hop", "odd"],
)
def test_librosa_agrees_now(kind: str, changes: dict, sound: np.ndarray) -> None:
    settings = _settings(kind=kind, **changes)
    floor = 10 ** (settings.floor_db / 10)
    frames: dict[str, Any] = {
        "n_fft": settings.n_fft,
        "hop_length": settings.hop_samples,
        "win_length": settings.window_samples,
        "pad_mode": "constant",
    }
    y = sound[:9000]
    if kind == "log_stft":
        power = np.abs(librosa.stft(y, **frames)) ** 2
    else:
        mel: dict[str, Any] = {"n_mels": settings.bands, "fmin": settings.low_hz, "fmax": settings.high_hz}
        power = librosa.feature.melspectrogram(y=y, sr=settings.sample_rate, **frames, **mel)
    expected = librosa.power_to_db(power, ref=1.0, amin=floor, top_db=None)
    if kind == "mfcc":
        expected = librosa.feature.mfcc(S=expected, n_mfcc=settings.coefficients)
    computed = features.extract(y, settings)
    assert computed.shape == expected.T.shape == (features.n_frames(len(y), settings), settings.n_bands)
    assert np.abs(computed - expected.T).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "bands", "low_hz", "high_hz"),
    [
        (16000, 512, 40, 0.0, 8000.0),
        (44100, 2048, 128, 0.0, 22050.0),
        (16000, 1024, 64, 125.0, 7500.0),
        (16000, 512, 12, 1200.0, 8000.0),
    ],
)
def test_mel_matrix_is_librosas(
    sample_rate: int, n_fft: int, bands: int, low_hz: float, high_hz: float
) -> None:
    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=bands, fmin=low_hz, fmax=high_hz)
    assert np.abs(features.mel_matrix(sample_rate, n_fft, bands, low_hz, high_hz) - expected).max() < 1e-7


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_a_prefix_are_the_prefix_of_the_features(kind: str, sound: np.ndarray) -> None:
    settings = _settings(kind=kind)
    whole, prefix = features.extract(sound, settings), features.extract(sound[:9000], settings)
    inside = (9000 - 200) // 160 + 1  # frames whose window (200 samples each side) ends inside the prefix
    assert np.abs(whole[:inside] - prefix[:inside]).max() <= 1e-5 * np.abs(whole).max()
    if np.ptp(sound):  # the last frame does see the edge
        assert np.abs(whole[len(prefix) - 1] - prefix[-1]).max() > 0.1


def test_a_louder_neighbour_changes_no_frame(sine_440: np.ndarray) -> None:
    quiet = 1e-3 * sine_440
    settings = _settings()
    alone = features.extract(quiet, settings)
    followed = features.extract(np.concatenate([quiet, 1000 * quiet]), settings)
    # dB; librosa's default top_db of 80 would raise the floor
    assert np.abs(followed[:98] - alone[:98]).max() < 1e-3


def test_frame_t_is_centred_at_t_hops() -> None:
    settings = _settings(kind="log_stft", n_fft=1024, window_seconds=0.025)
    y = np.zeros(4000, dtype=np.float32)
    y[7 * 160] = 0.5
    energy = features.extract(y, settings).mean(axis=1)
    assert energy.argmax() == 7
    assert energy[6] == pytest.approx(energy[8], abs=1e-3)


def test_silence_is_the_floor(silence: np.ndarray) -> None:
    assert np.abs(features.extract(silence, _settings(floor_db=-70.0)) + 70.0).max() < 1e-4
    cepstrum = features.extract(silence, _settings(kind="mfcc", floor_db=-70.0))
    assert cepstrum[0, 0] == pytest.approx(-70.0 * np.sqrt(40)) and np.abs(cepstrum[:, 1:]).max() < 1e-3


# 20481 / 160 = 128.006: one frame beyond a block of 128
@pytest.mark.parametrize("samples", [1, 159, 160, 161, 20481])
def test_every_length_gives_its_frames(samples: int) -> None:
    settings = _settings()
    extracted = features.extract(np.full(samples, 0.1, dtype=np.float32), settings)
    assert extracted.shape == (1 + samples // 160, 40) and np.isfinite(extracted).all()


def test_float64_and_strided_waveforms_give_the_same(noise: np.ndarray) -> None:
    settings = _settings()
    expected = features.extract(noise, settings)
    assert np.array_equal(features.extract(noise.astype(np.float64), settings), expected)
    assert np.array_equal(features.extract(np.repeat(noise, 2)[::2], settings), expected)


def test_times_and_frames_are_inverse() -> None:
    # 256 samples, not 255.78
    settings = _settings(sample_rate=22050, hop_seconds=0.0116, n_fft=1024, high_hz=11025.0)
    times = features.frame_times(5000, settings)
    assert times[1] == 256 / 22050
    assert np.array_equal(features.frame_of(times, settings), np.arange(5000))
    assert np.array_equal(features.frame_of(times + 0.4 * times[1], settings), np.arange(5000))


@pytest.mark.parametrize(
    ("seconds", "frame"),
    [(0.0, 0), (0.0049, 0), (0.005, 1), (0.0149, 1), (0.015, 2), (0.025, 3), (1.005, 101)],
)
def test_halfway_is_the_later_frame(seconds: float, frame: int) -> None:
    assert features.frame_of(seconds, _settings()) == frame


def test_bands_without_bins_are_refused(noise: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"features\.bands = 128: .* mel bands contain no bin .*n_fft = 256"):
        features.extract(noise, _settings(bands=128, n_fft=256, window_seconds=0.016))


@pytest.mark.parametrize(
    "y",
    [np.zeros(0, np.float32), np.zeros((10, 2), np.float32), np.zeros(10, np.int16)],
    ids=["empty", "2-D", "int"],
)
def test_what_is_no_waveform_is_refused(y: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the waveform must be a float array"):
        features.extract(y, _settings())


def test_import_takes_neither_librosa_nor_tensorflow() -> None:
    code = (
        "import sys, audiomtl.data.store, audiomtl.data.scaling; print({'librosa', 'numba', 'tensorflow',"
        " 'pandas'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "set()"
    )
