"""Losses from logits against float64, pooled by every operator, as far from the truth as logits of 30 and 90."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, logsumexp, softmax

from audiomtl.nn import losses, pooling
from audiomtl.settings.named import names
from tests.nn.test_pooling import SIZE, layer_of

NAMES = names("audiomtl.nn.pooling")
SHARPNESS = 5.0  # of `layer_of`
FAR = {  # logits (windows, classes); the truth is class 0
    "near": [[0.5, -1.0, 0.2], [1.0, 0.3, -0.4], [0.1, 0.0, 0.9], [-0.7, 0.4, 0.6]],
    "sure and wrong": [[-30.0, 0.0, -25.0]] * 4,
    "one window sees it": [[0.0, 30.0, 1.0], [30.0, 2.0, 0.0], [-1.0, 28.0, 3.0], [0.0, 31.0, 0.0]],
    "sure and right": [[30.0, 0.0, -3.0], [31.0, 1.0, 0.0], [29.0, -2.0, 1.0], [33.0, 0.5, 0.0]],
    "beyond float32": [
        [-110.0, 1.0, -95.0],
        [-112.0, 0.0, -94.0],
        [-109.0, 2.0, -99.0],
        [-111.0, 0.5, -93.0],
    ],
}


def logs_of(z: np.ndarray, several: bool) -> tuple[np.ndarray, np.ndarray]:
    """log(p) and log(1 - p) in float64."""
    if several:
        return -np.logaddexp(0, -z), -np.logaddexp(0, z)
    logs = log_softmax(z, axis=1)
    others = np.stack([logsumexp(np.delete(logs, label, axis=1), axis=1) for label in range(3)], axis=1)
    return logs, np.where(logs < -1, np.log1p(-np.exp(np.minimum(logs, -1))), others)


def pooled_logs(
    name: str, z: np.ndarray, several: bool, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """log(pooled) and log(1 - pooled), (classes,); ``weights`` (windows, classes) of operators whose weights
    do not depend on the probabilities, or by their order alone.
    """
    log, rest = logs_of(z, several)
    if name == "noisy_or":
        none = rest.sum(axis=0)
        return np.log(-np.expm1(none)), none
    if name == "log_sum_exp":
        r = SHARPNESS
        value = np.log1p(np.expm1(r * np.exp(log)).mean(axis=0)) / r
        return np.log(value), np.log(-np.log1p(np.expm1(-r * np.exp(rest)).mean(axis=0)) / r)
    if name == "linear_softmax":
        weights = softmax(log, axis=0)
    elif name in ("exponential_softmax", "autopool"):
        weights = softmax((SHARPNESS if name == "exponential_softmax" else 1.0) * np.exp(log), axis=0)
    return logsumexp(log, axis=0, b=weights), logsumexp(rest, axis=0, b=weights)


def by_hand(name: str, z: np.ndarray, several: bool, weights: np.ndarray) -> float:
    log, rest = pooled_logs(name, z, several, weights)
    if several:
        return float(-log[0] - rest[1:].sum())
    return float(logsumexp(log) - log[0])


def learned(layer, z: np.ndarray, several: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses (bags,), their gradients with respect to the logits, and weights (bags, windows, classes)."""
    variable, counts = tf.Variable(z, dtype=tf.float32), tf.fill([len(z)], z.shape[1])
    features = np.random.default_rng(0).normal(size=(*z.shape[:2], SIZE)).astype(np.float32)
    with tf.GradientTape() as tape:
        probabilities = tf.sigmoid(variable) if several else tf.nn.softmax(variable)
        logs = losses.Logs(several)(variable)
        _, weights, log, rest = layer([probabilities, features, counts, *logs])
        if several:
            each = tf.reduce_sum(losses.binary_cross_entropy(log - rest, [[1.0, 0.0, 0.0]] * len(z)), axis=1)
        else:
            each = losses.cross_entropy(log, tf.zeros(len(z), tf.int32))
    return each.numpy(), tape.gradient(each, variable).numpy(), weights.numpy().astype(np.float64)


@pytest.mark.parametrize("name", NAMES)
def test_pooled_losses_and_gradients_are_those_of_float64(name) -> None:
    layer = layer_of(name)
    bags = np.array(list(FAR.values())) + 1e-3 * np.arange(12).reshape(4, 3)  # no ties
    for several in (False, True):
        for far, z, value, gradient, weights in zip(FAR, bags, *learned(layer, bags, several), strict=True):
            told = f"{far}, several = {several}"
            assert np.isfinite(gradient).all(), told
            if "wrong" in far or "beyond" in far:
                assert np.abs(gradient).max() > 0.1, told
            # what rounds to 1 ties with others, and an operator by rank then takes another window
            if getattr(pooling.kind(name), "BY_RANK", False) and far.startswith(("sure", "one")):
                continue
            assert value == pytest.approx(by_hand(name, z, several, weights), rel=1e-4, abs=1e-12), told
            numeric, h = np.zeros_like(z), 1e-4
            for place in np.ndindex(z.shape):
                step = np.zeros_like(z)
                step[place] = h
                up, down = (by_hand(name, z + sign * step, several, weights) for sign in (1, -1))
                numeric[place] = (up - down) / (2 * h)
            scale = max(np.abs(numeric).max(), 1e-3)
            np.testing.assert_allclose(gradient, numeric, atol=2e-3 * scale, err_msg=told)


@pytest.mark.parametrize("name", NAMES)
def test_padding_and_empty_bags_change_no_loss(name) -> None:
    layer, random = layer_of(name), np.random.default_rng(1)
    z = random.normal(size=(2, 3, 3)).astype(np.float32)
    features = random.normal(size=(2, 3, SIZE)).astype(np.float32)
    counts = tf.constant([2, 0])
    found = []
    for behind in (0.0, -40.0, np.nan):
        logs = [one.numpy() for one in losses.Logs()(z)]
        for one in logs:
            one[0, 2] = one[1] = behind
        variables = [tf.Variable(one) for one in logs]
        with tf.GradientTape() as tape:
            log, rest = layer([tf.nn.softmax(z), features, counts, *variables])[2:]
            value = tf.reduce_sum(log) + tf.reduce_sum(rest)
        gradient = np.stack(tape.gradient(value, variables))  # (2, bags, windows, classes)
        assert np.isfinite(float(value)) and not gradient[:, 0, 2].any() and not gradient[:, 1].any()
        found.append((float(value), gradient[:, 0, :2].tolist()))
    assert found[0] == found[1] == found[2]


def test_cross_entropy_of_numbers_and_of_shares() -> None:
    z = np.array([[-30.0, 0.0, 1.0], [2.0, 5.0, -60.0]])
    shares = np.array([[0.5, 0.0, 0.5], [0.0, 0.0, 2.0]])
    for target, expected in (
        (np.array([0, 2]), -log_softmax(z, axis=1)[[0, 1], [0, 2]]),
        (shares, -(shares * log_softmax(z, axis=1)).sum(axis=1)),
    ):
        variable = tf.Variable(z, dtype=tf.float32)
        with tf.GradientTape() as tape:
            each = losses.cross_entropy(variable, target)
        np.testing.assert_allclose(each, expected, rtol=1e-6)
        own = np.eye(3)[target] if target.ndim == 1 else target
        by_formula = own.sum(axis=1, keepdims=True) * softmax(z, axis=1) - own
        np.testing.assert_allclose(tape.gradient(each, variable), by_formula, atol=1e-6)
        of_class = np.array([2.0, 5.0, 0.5])
        weighted = losses.cross_entropy(variable, target, of_class)
        np.testing.assert_allclose(
            weighted, -(own * of_class * log_softmax(z, axis=1)).sum(axis=1), rtol=1e-6
        )


def test_binary_cross_entropy_at_any_logit() -> None:
    z = np.array([-90.0, -30.0, 0.0, 30.0, 90.0])
    for target in (0.0, 0.3, 1.0):
        variable = tf.Variable(z, dtype=tf.float32)
        with tf.GradientTape() as tape:
            each = losses.binary_cross_entropy(variable, np.full(5, target), 3.0)
        expected = 3 * target * np.logaddexp(0, -z) + (1 - target) * np.logaddexp(0, z)
        np.testing.assert_allclose(each, expected, rtol=1e-5, atol=1e-7)
        slope = (1 - target) * expit(z) - 3 * target * expit(-z)
        np.testing.assert_allclose(tape.gradient(each, variable), slope, rtol=1e-5, atol=1e-7)


def test_losses_of_probabilities_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss

    p = np.array([[1.0, 0.0], [0.25, 0.75]])
    found = losses.log_loss(p[[0, 1], [1, 1]]).mean()
    assert found == pytest.approx(log_loss([1, 1], p, labels=[0, 1]), rel=1e-9)
    assert losses.binary_log_loss(0.25, 1.0) == pytest.approx(np.log(4))
    for activation, back in (("softmax", lambda z: softmax(z, axis=1)), ("sigmoid", expit), ("", np.asarray)):
        np.testing.assert_allclose(back(losses.logits_of(p, activation)), p, atol=1e-12)
