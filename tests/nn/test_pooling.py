"""Every pooling operator: padding, order, one window, the empty bag, limits, weights, reloading."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn import pooling
from audiomtl.settings.named import names
from audiomtl.settings.pooling import Pooling as Settings

NAMES = names("audiomtl.nn.pooling")
CLASSES, SIZE = 3, 5


def settings(name: str, **changes) -> Settings:
    values = {
        "name": name,
        "evaluation": "same",
        "quantile": 0.75,
        "sharpness": 5.0,
        "top_k": 3,
        "units": 6,
        "heads": 2,
    }
    return Settings(**{**values, "autopool_limit": 0.0, "autopool_penalty": 0.0, **changes})


def layer_of(name: str, **changes):
    keras.utils.set_random_seed(1)
    layer = pooling.pooling_layer(settings(name, **changes))
    layer([tf.zeros((1, 1, CLASSES)), tf.zeros((1, 1, SIZE)), tf.constant([1])])
    return layer


def bags(counts, windows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and features; what stands behind the counts is NaN."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(CLASSES), (len(counts), windows)).astype(np.float32)
    features = rng.normal(size=(len(counts), windows, SIZE)).astype(np.float32)
    for bag, count in enumerate(counts):
        probabilities[bag, count:], features[bag, count:] = np.nan, np.nan
    return probabilities, features


def outcome(layer, probabilities, features, counts) -> list[np.ndarray]:
    """pooled, weights, and the gradients of a mixed sum of pooled with respect to probabilities and
    features.
    """
    p, f = tf.constant(probabilities), tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch([p, f])
        pooled, weights = layer([p, f, tf.constant(counts)])
        value = tf.reduce_sum(pooled * tf.constant([0.2, -1.0, 3.0]))
    gradients = tape.gradient(value, [p, f], unconnected_gradients="zero")
    return [one.numpy() for one in (pooled, weights, *gradients)]


def padded(array: np.ndarray, extra: int, value: float) -> np.ndarray:
    return np.concatenate([array, np.full((len(array), extra, array.shape[2]), value, np.float32)], axis=1)


def test_there_are_at_least_twelve_and_majority_vote():
    assert len(NAMES) >= 12
    assert callable(pooling.majority_vote)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e9, 0.0, -3.0])
@pytest.mark.parametrize("name", NAMES)
def test_padding_has_no_influence_on_value_weights_or_gradient(name, value):
    layer, counts = layer_of(name), np.array([4, 1, 6])
    probabilities, features = bags(counts, 6)
    for bag, count in enumerate(counts):
        probabilities[bag, count:], features[bag, count:] = value, value
    short = outcome(layer, probabilities, features, counts)
    long = outcome(layer, padded(probabilities, 7, value), padded(features, 7, value), counts)
    np.testing.assert_allclose(long[0], short[0], atol=1e-6)
    for one, other in zip(long[1:], short[1:], strict=True):
        np.testing.assert_allclose(one[:, :6], other, atol=1e-6)
        assert np.all(one[:, 6:] == 0)
    for bag, count in enumerate(counts):
        assert all(np.all(one[bag, count:] == 0) for one in short[1:])


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_that_is_ignored_is_noticed(name, monkeypatch):
    """The same comparison with the mask broken on purpose: it must not hold."""
    layer, counts = layer_of(name), np.array([4, 1, 6])
    probabilities, features = (np.nan_to_num(one, nan=0.9) for one in bags(counts, 6))
    right = outcome(layer, probabilities, features, counts)
    monkeypatch.setattr(
        pooling, "valid_windows", lambda counts, windows: tf.ones((tf.shape(counts)[0], windows), bool)
    )
    wrong = outcome(layer, padded(probabilities, 7, 0.9), padded(features, 7, 0.9), counts)
    assert np.abs(wrong[0] - right[0]).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_order_matters_to_the_lstm_only(name):
    layer, counts = layer_of(name), np.array([6, 6])
    probabilities, features = bags(counts, 6)
    order = np.array([3, 0, 5, 1, 4, 2])
    first, turned = (
        outcome(layer, probabilities, features, counts),
        outcome(layer, probabilities[:, order], features[:, order], counts),
    )
    if name == "lstm":
        assert np.abs(first[0] - turned[0]).max() > 1e-5
    else:
        np.testing.assert_allclose(turned[0], first[0], atol=1e-6)
        np.testing.assert_allclose(turned[1], first[1][:, order], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_one_window_is_that_window(name):
    probabilities, features = bags(np.array([1]), 4)
    pooled, weights, *_ = outcome(layer_of(name), probabilities, features, np.array([1]))
    np.testing.assert_allclose(pooled, probabilities[:, 0], atol=1e-6)
    np.testing.assert_allclose(weights[:, 0], 1, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_bag_has_its_value_and_no_gradient(name):
    probabilities, features = bags(np.array([0, 3]), 3)
    pooled, weights, *gradients = outcome(layer_of(name), probabilities, features, np.array([0, 3]))
    np.testing.assert_allclose(pooled[0], 1 / CLASSES, atol=1e-7)
    assert np.all(weights[0] == 0) and all(np.all(one[0] == 0) for one in gradients)
    assert all(np.isfinite(one).all() for one in (pooled, weights, *gradients))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_shares_and_pooled_lies_within_the_bag(name):
    counts = np.array([7, 2, 5])
    probabilities, features = bags(counts, 7)
    pooled, weights, *_ = outcome(layer_of(name), probabilities, features, counts)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    low, high = np.nanmin(probabilities, axis=1), np.nanmax(probabilities, axis=1)
    assert np.all(pooled >= low - 1e-6) and np.all(pooled <= (1 if name == "noisy_or" else high + 1e-6))


@pytest.mark.parametrize(
    "name, changes, expected",
    [
        ("mean", {}, "mean"),
        ("max", {}, "max"),
        ("quantile", {"quantile": 0.5}, "median"),
        ("quantile", {"quantile": 0.999999}, "max"),
        ("log_sum_exp", {"sharpness": 1e-3}, "mean"),
        ("log_sum_exp", {"sharpness": 1e5}, "max"),
        ("exponential_softmax", {"sharpness": 1e-4}, "mean"),
        ("exponential_softmax", {"sharpness": 1e5}, "max"),
        ("top_k", {"top_k": 1}, "max"),
        ("top_k", {"top_k": 99}, "mean"),
        ("quantile", {"quantile": 0.75}, "quantile"),
    ],
)
def test_limits(name, changes, expected):
    counts = np.array([5, 3])
    probabilities, features = bags(counts, 5)
    pooled, *_ = outcome(layer_of(name, **changes), probabilities, features, counts)
    by = {
        "mean": np.nanmean,
        "max": np.nanmax,
        "median": np.nanmedian,
        "quantile": lambda p, axis: np.nanquantile(p, 0.75, axis=axis),
    }
    np.testing.assert_allclose(pooled, by[expected](probabilities, axis=1), atol=1e-4)


@pytest.mark.parametrize("alpha, expected", [(0.0, np.nanmean), (1e5, np.nanmax)])
def test_autopool_goes_from_mean_to_max(alpha, expected):
    counts = np.array([5, 3])
    probabilities, features = bags(counts, 5)
    layer = layer_of("autopool")
    layer.alpha.assign(np.full(CLASSES, alpha))
    np.testing.assert_allclose(
        outcome(layer, probabilities, features, counts)[0], expected(probabilities, axis=1), atol=1e-4
    )


def test_autopool_learns_an_alpha_per_class_within_its_limit_and_pays_its_penalty():
    layer, counts = layer_of("autopool", autopool_limit=1.5, autopool_penalty=0.1), np.array([5, 3])
    np.testing.assert_allclose(sum(layer.losses), 0.1 * CLASSES, rtol=1e-5)
    probabilities, features = map(tf.constant, bags(counts, 5))
    optimizer = keras.optimizers.SGD(50.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(
            layer([probabilities, features, tf.constant(counts)])[0] * tf.constant([1.0, -1.0, -2.0])
        )
    optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
    alpha = layer.alpha.numpy()
    assert np.all(np.abs(alpha) <= 1.5) and len(set(alpha.tolist())) > 1 and np.any(np.abs(alpha) == 1.5)


def test_attention_is_its_formula():
    layer, counts = layer_of("gated_attention"), np.array([4])
    probabilities, features = bags(counts, 4)
    hidden, gate, score = (one.get_weights() for one in (layer.hidden, layer.gate, layer.score))
    scores = (
        np.tanh(features[0] @ hidden[0] + hidden[1]) / (1 + np.exp(-(features[0] @ gate[0] + gate[1])))
    ) @ score[0]
    shares = np.exp(scores) / np.exp(scores).sum()
    pooled, weights, *_ = outcome(layer, probabilities, features, counts)
    np.testing.assert_allclose(pooled[0], (shares * probabilities[0]).sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(weights[0], np.repeat(shares, CLASSES, axis=1), atol=1e-5)


def test_noisy_or_and_linear_softmax_by_hand():
    p = np.array([[[0.5, 0.1, 0.4], [0.2, 0.6, 0.2]]], np.float32)
    f, counts = np.zeros((1, 2, SIZE), np.float32), np.array([2])
    np.testing.assert_allclose(
        outcome(layer_of("noisy_or"), p, f, counts)[0][0], [0.6, 0.64, 0.52], atol=1e-5
    )
    np.testing.assert_allclose(
        outcome(layer_of("linear_softmax"), p, f, counts)[0][0],
        [0.29 / 0.7, 0.37 / 0.7, 0.2 / 0.6],
        atol=1e-5,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_reloaded_layer_gives_the_same(name, tmp_path):
    layer, counts = layer_of(name, autopool_limit=2.0), np.array([4, 2])
    inputs = [keras.Input((None, CLASSES)), keras.Input((None, SIZE)), keras.Input((), dtype="int32")]
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    given = [*map(np.nan_to_num, bags(counts, 4)), counts]
    for one, other in zip(model(given), again(given), strict=True):
        np.testing.assert_array_equal(one, other)


def test_majority_vote_counts_windows_and_breaks_ties_by_the_mean():
    p = np.array(
        [
            [[0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [np.nan] * 3],
            [[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.4, 0.6, 0.0]],
        ]
    )
    pooled = pooling.majority_vote(p, np.array([2, 3]))
    # a tie for the first, two votes of three against a greater mean
    assert pooled.argmax(axis=1).tolist() == [
        1,
        1,
    ]
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
    np.testing.assert_allclose(pooling.majority_vote(p, np.array([0, 3]))[0], 1 / 3)
