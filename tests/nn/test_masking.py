"""Layers that know where a clip ends: what is behind it has no influence, by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from audiomtl.nn import masking

LENGTHS = np.array([0, 1, 4, 5, 6], np.int32)  # frames; of stride 2: 0, 1, 2, 3 and 3 places
OWN = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]], bool)  # (clips, places)
VALUES = np.arange(1, 31, dtype=np.float32).reshape(5, 3, 2)  # (clips, places, size)


def test_what_is_behind_the_end_becomes_0() -> None:
    assert np.array_equal(masking.Masked(2)([VALUES, LENGTHS]), VALUES * OWN[:, :, None])
    picture = VALUES.reshape(5, 3, 2, 1)  # any number of axes behind time
    assert np.array_equal(masking.Masked(2)([picture, LENGTHS]), picture * OWN[:, :, None, None])


def test_steps_of_a_clip_s_own() -> None:
    assert np.array_equal(masking.Valid(2)([VALUES, LENGTHS]), OWN)
    assert masking.Valid(1)([VALUES, LENGTHS[:, None][:, 0] // 2]).numpy().sum(axis=1).tolist() == [
        0,
        0,
        2,
        2,
        3,
    ]


def test_the_mean_is_over_a_clip_s_own_steps_and_0_without_any() -> None:
    wanted = [VALUES[clip][own].mean(axis=0) if own.any() else [0, 0] for clip, own in enumerate(OWN)]
    assert np.allclose(masking.MeanOverSteps(2)([VALUES, LENGTHS]), wanted)


def test_the_median_is_over_a_clip_s_own_frames_of_the_last_columns() -> None:
    drawn = np.random.default_rng(0).normal(size=(5, 6, 3)).astype(np.float32)
    found = masking.MedianOverFrames(1)([drawn, LENGTHS]).numpy()
    for clip, length in enumerate(LENGTHS.tolist()):
        if length:
            np.testing.assert_allclose(found[clip], np.median(drawn[clip, :length, 1:], axis=0), rtol=1e-6)
    assert np.isfinite(found).all() and found.shape == (5, 2)


@pytest.mark.parametrize(("frames", "whole"), [(1, 3), (2, 3), (3, 3), (4, 6)])
def test_frames_are_filled_up_to_whole_steps_behind_the_end(frames, whole) -> None:
    x = np.ones((2, frames, 4), np.float32)
    filled = masking.WholeSteps(3)(x).numpy()
    assert filled.shape == (2, whole, 4) and np.array_equal(filled[:, :frames], x)
    assert not filled[:, frames:].any()


@pytest.mark.parametrize(
    ("layer", "both", "wanted"),
    [
        (masking.Masked(2), True, (4, None, 7)),
        (masking.MeanOverSteps(2), True, (4, 7)),
        (masking.Valid(2), True, (4, None)),
        (masking.WholeSteps(2), False, (4, None, 7)),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, layers.Layer) else "",
)
def test_shapes_are_known_before_there_are_clips_and_settings_come_back(layer, both, wanted) -> None:
    x, lengths = layers.Input(batch_shape=(4, None, 7)), layers.Input((), dtype="int32")
    assert layer([x, lengths] if both else x).shape == wanted
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.stride == 2


@pytest.mark.parametrize("layer", [masking.Masked(1), masking.MeanOverSteps(1)])
def test_keras_s_own_masks_are_taken_in_silence(layer) -> None:
    """Warnings are errors here; a mask that is handed on where there are no steps any more would be wrong."""
    masked = layers.Masking()(tf.constant(VALUES))
    found = layer([masked, LENGTHS])
    assert isinstance(layer, masking.Masked) or getattr(found, "_keras_mask", None) is None
