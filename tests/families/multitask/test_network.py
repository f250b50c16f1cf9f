"""What a head reads: the encoder's steps, or medians of further columns of the features."""

import keras
import numpy as np
import pytest

from audiomtl.data.scaling import Scaler
from audiomtl.errors import UserError
from audiomtl.families.multitask.network import STEEP, Known, network
from tests.small_multitask import settings


def test_a_head_that_sees_further_columns_sees_their_medians_alone() -> None:
    some = settings("multitask_timit")
    names = {"phones": ("a", "b", "sil"), "sex": ("f", "m")}
    model = network(some, Known(names, (), Scaler("none", np.zeros(0), np.zeros(0))), 1)
    random = np.random.default_rng(0)
    frames = random.normal(size=(2, 9, some.features.n_bands)).astype(np.float32)
    other = random.normal(size=frames.shape).astype(np.float32)
    other[:, :, -1] = frames[:, ::-1, -1]  # the pitch, backwards
    head = model.get_layer("head_sex")
    head.set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    lengths = np.array([9, 9], np.int32)
    once, again = (model([one, lengths], training=False) for one in (frames, other))
    np.testing.assert_allclose(once["sex"], again["sex"], rtol=1e-6)
    assert np.abs(np.subtract(once["phones"], again["phones"])).max() > 1e-3
    half = np.exp(2 * STEEP * np.median(frames[:, :, -1], axis=1))
    np.testing.assert_allclose(once["sex"][:, 0], half / (1 + half), rtol=1e-5)


def test_a_head_that_sees_both_sees_mean_and_deviation_of_a_clips_own_frames() -> None:
    some = settings("multitask_timit", heads__sex__sees="both")
    names = {"phones": ("a", "b", "sil"), "sex": ("f", "m")}
    model = network(some, Known(names, (), Scaler("none", np.zeros(0), np.zeros(0))), 1)
    frames = np.random.default_rng(0).normal(size=(2, 9, some.features.n_bands)).astype(np.float32)
    frames[1, 6:] = 100.0  # behind its end
    own = [frames[0], frames[1, :6]]
    wanted = [np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in own]
    inner = keras.Model(model.inputs, [model.get_layer(f"{name}_sex").output for name in ("joined", "mean")])
    joined, mean = (one.numpy() for one in inner([frames, np.array([9, 6], np.int32)]))
    np.testing.assert_allclose(joined[:, mean.shape[1] :], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(joined[:, : mean.shape[1]], mean)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"features__also": []}, "is for kind clip_class and the columns of features.also"),
        ({"heads__phones__sees": "both"}, r'heads.phones.sees = "both" is for kind clip_class; remove it'),
        ({"heads__phones__sees": "also"}, r'heads.phones.sees = "also" is for kind clip_class'),
    ],
)
def test_a_head_cannot_see_what_is_not_there(changes, message) -> None:
    with pytest.raises(UserError, match=message):
        settings("multitask_timit", **changes)
