"""Windows folded into the batch: the numbers of TimeDistributed, and no padded window in batch
normalisation.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.families.mil.network import mil_network
from audiomtl.families.mil.settings import LEARNED, Network
from audiomtl.nn.bags import Bags
from audiomtl.nn.losses import cross_entropy
from audiomtl.nn.pooling import kind
from audiomtl.settings.named import names
from audiomtl.settings.pooling import Pooling

WINDOWS = ["answer", "residual", "convolutional", "statistics"]


def network(window: str = "answer", **changes) -> Network:
    values = {
        "window": window,
        "filters": 4,
        "hidden": 8,
        "dropout": 0.0,
        "batch_normalization": False,
        "loss": "clip",
    }
    return Network(**{**values, **changes})


def pooling(name: str = "mean") -> Pooling:
    return Pooling(
        name=name,
        evaluation="same",
        quantile=0.75,
        sharpness=5.0,
        top_k=3,
        units=8,
        heads=2,
        autopool_limit=0.0,
        autopool_penalty=0.0,
    )


def random_windows(count: int, bands: int = 13, frames: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, bands, frames, 1)).astype(np.float32)


@pytest.mark.parametrize("window", WINDOWS)
def test_outputs_are_those_of_time_distributed(window):
    keras.utils.set_random_seed(0)
    model = mil_network(network(window), pooling(), bands=13, frames=40, classes=3)
    x = random_windows(4 * 6)
    ours = model([x, np.full(4, 6, np.int32)], training=False)["clip"]
    inner = keras.Sequential(
        [model.get_layer(name) for name in ("window_network", "classes", "probabilities")]
    )
    theirs = keras.Sequential(
        [
            keras.Input((6, 13, 40, 1)),
            keras.layers.TimeDistributed(inner),
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    np.testing.assert_allclose(ours, theirs(x.reshape(4, 6, 13, 40, 1), training=False), atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
def test_batch_normalisation_sees_real_windows_only(window):
    """A ragged batch moves its statistics exactly as its windows alone do: there is no padding anywhere
    in it.
    """
    x, counts = random_windows(9), np.array([1, 6, 2], np.int32)
    moved = []
    for bags in (counts, np.array([9], np.int32)):
        keras.utils.set_random_seed(0)
        model = mil_network(
            network(window, batch_normalization=True), pooling(), bands=13, frames=40, classes=3
        )
        model([x, bags], training=True)
        moved.append([value.numpy() for value in model.non_trainable_variables])
    assert any(one.ndim for one in moved[0])
    for one, other in zip(*moved, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_bags_are_padded_behind_their_ends():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    bags = Bags()([values, np.array([1, 3, 2], np.int32)]).numpy()
    assert bags.shape == (3, 3, 2)
    np.testing.assert_array_equal(bags[1], values[1:4])
    np.testing.assert_array_equal(bags[2], [[8, 9], [10, 11], [0, 0]])


@pytest.mark.parametrize("name", ["mean", "max", "linear_softmax", "attention"])
def test_bags_of_one_and_of_hundreds_train_in_one_step(name):
    keras.utils.set_random_seed(0)
    model = mil_network(network("statistics"), pooling(name), bands=5, frames=8, classes=3)
    counts = np.array([1, 300, 7], np.int32)
    x = random_windows(int(counts.sum()), 5, 8)
    with tf.GradientTape() as tape:
        found = model([x, counts], training=True)
        loss = tf.reduce_mean(cross_entropy(found["clip_logits"], tf.zeros(3, tf.int32)))
    np.testing.assert_allclose(np.sum(found["clip"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found["clip"], tf.nn.softmax(found["clip_logits"]), atol=1e-6)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all()


def test_a_clip_does_not_hear_its_neighbours():
    keras.utils.set_random_seed(0)
    model = mil_network(network(), pooling("attention"), bands=13, frames=40, classes=3)
    x = random_windows(10)
    alone = model([x[:4], np.array([4], np.int32)], training=False)["clip"]
    among = model([x, np.array([4, 6], np.int32)], training=False)["clip"]
    np.testing.assert_allclose(alone[0], among[0], atol=1e-6)


@pytest.mark.parametrize("name", sorted(names("audiomtl.nn.pooling")))
def test_tags_have_sigmoids_and_bags_of_other_sizes_change_no_answer(name) -> None:
    model = mil_network(network("statistics"), pooling(name), bands=5, frames=8, classes=3, several=True)
    counts = np.array([1, 30, 7], np.int32)
    x = random_windows(int(counts.sum()), 5, 8)
    found = model([x, counts], training=False)
    np.testing.assert_allclose(found["windows"], tf.sigmoid(found["window_logits"]), atol=1e-7)
    np.testing.assert_allclose(found["clip"], tf.sigmoid(found["clip_logits"]), atol=2e-6)
    assert np.min(found["clip"]) >= 0 and np.max(found["clip"]) <= 1
    np.testing.assert_allclose(found["clip"][0], found["windows"][0], atol=1e-6)  # one window is the clip
    for number, end in enumerate(np.cumsum(counts)):
        rows = x[end - counts[number] : end]
        alone = model([rows, counts[number : number + 1]], training=False)
        np.testing.assert_allclose(alone["clip"][0], found["clip"][number], atol=2e-6)


def test_without_hidden_layers_it_is_linear_in_standardised_statistics():
    model = mil_network(network("statistics", hidden_layers=0), pooling(), bands=5, frames=8, classes=3)
    weights = {variable.path.rsplit("/", 1)[-1]: variable.shape for variable in model.trainable_variables}
    assert weights["kernel"] == (4 * 5, 3) and weights["gamma"] == (20,)
    assert len(model.trainable_variables) == 4


def test_poolings_that_learn_are_refused_where_windows_alone_are_trained() -> None:
    learn = {one for one in names("audiomtl.nn.pooling") if hasattr(kind(one), "layer")}
    assert set(LEARNED) == learn
    raw = config.load_experiment("mil_songs").raw
    with pytest.raises(UserError, match=r'network.loss = "window" trains windows alone, .*"attention"'):
        config.settings_of(config.override(raw, {"network.loss": "window"}), "mil_songs")
