"""Features, scaling and windows in the graph are those of the training."""

import numpy as np
import pytest
import tensorflow as tf

from audiomtl.data import features, scaling, windows
from audiomtl.nn import front_end
from audiomtl.settings.shared import Features
from audiomtl.settings.windows import Windows
from tests.conftest import SOUNDS

BASE = {
    "kind": "log_mel", "sample_rate": 16000, "window_seconds": 0.025, "hop_seconds": 0.01, "n_fft": 512, "bands": 40,
    "coefficients": 13, "low_hz": 50.0, "high_hz": 8000.0, "floor_db": -100.0, "scaling": "none",
}  # fmt: skip


@pytest.mark.parametrize("kind", ["log_stft", "log_mel", "constant_q", "mfcc"])
@pytest.mark.parametrize("samples", [1, 159, 160, 161, 16000])
def test_features_are_those_of_the_training(kind, samples) -> None:
    settings = Features(**BASE | {"kind": kind, "n_fft": 600})
    for name, sound in SOUNDS.items():
        y = sound()[:samples]
        expected = features.extract(y, settings)
        found = front_end.frames_of(tf.constant(y), settings).numpy()
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=10 * front_end.TOLERANCE_DB, err_msg=name)
        assert np.abs(found - expected).mean() < front_end.TOLERANCE_DB, name


@pytest.mark.parametrize("name", ["noise", "chirp"])
def test_features_by_convolution_are_near_to_them(name) -> None:
    settings = Features(**BASE)
    y = SOUNDS[name]() + np.random.default_rng(0).normal(0, 1e-3, 16000).astype(np.float32)
    expected = features.extract(y, settings)
    found = front_end.frames_of(tf.constant(y), settings, by_convolution=True).numpy()
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("kind", sorted(front_end.SCALED))
@pytest.mark.parametrize("constant", [False, True])
def test_scaling_is_that_of_the_training(kind, constant) -> None:
    random = np.random.default_rng(1)
    train = [random.normal(-40, 20, (50, 7)).astype(np.float32) for _ in range(3)]
    for one in train:
        one[:, 2] = -100.0  # a band that never varies
    scaler = scaling.fit(train, kind)
    frames = (
        np.full((9, 7), -100.0, np.float32) if constant else random.normal(-30, 9, (9, 7)).astype(np.float32)
    )
    found = front_end.scaled(tf.constant(frames), scaler).numpy()
    np.testing.assert_allclose(found, scaling.apply(frames, scaler), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tail", ["pad", "shift", "drop"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.7, 1.0])
def test_windows_are_those_of_the_training(tail, share) -> None:
    settings, of_windows = Features(**BASE), Windows(seconds=0.31, hop_share=share, tail=tail, bag_windows=0)
    length = windows.window_frames(of_windows, settings)
    random = np.random.default_rng(2)
    for count in [1, length - 1, length, length + 1, *random.integers(length, 40 * length, 30)]:
        expected = windows.starts(int(count), of_windows, settings)
        found = front_end.firsts_of(tf.constant(int(count)), length, of_windows, settings).numpy()
        if count < length:
            assert found.tolist() == [0]
            expected = found
        assert found.tolist() == expected.tolist(), count
        frames = random.normal(size=(count, 3)).astype(np.float32)
        cut = front_end.windows_of(tf.constant(frames), tf.constant(found), length).numpy()
        np.testing.assert_array_equal(cut, windows.cut(frames, expected, length))
