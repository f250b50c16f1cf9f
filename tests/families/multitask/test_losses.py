"""Losses of heads and the coupling of two of them, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from audiomtl.families.multitask import losses
from audiomtl.families.multitask.losses import coupling_loss


def test_coupling_by_hand_and_its_gradient_reaches_both_heads() -> None:
    """Linear softmax of 0.5, 1 is 1.25 / 1.5; of 0.2 in all steps 0.2."""
    classes = tf.Variable([[0.7, 0.3]])
    segments = tf.Variable([[[0.5, 0.2], [1.0, 0.2], [0.9, 0.9]]])
    with tf.GradientTape() as tape:
        value = coupling_loss(classes, segments, tf.constant([2]))
    assert float(value) == pytest.approx(((0.7 - 1.25 / 1.5) ** 2 + (0.3 - 0.2) ** 2) / 2, rel=1e-5)
    left, right = tape.gradient(value, [classes, segments])
    assert np.allclose(left, [[0.7 - 1.25 / 1.5, 0.1]], atol=1e-6)
    assert np.all(right[0, :2] != 0) and not np.any(right[0, 2])  # the third step lies behind the end
    agreed = coupling_loss(tf.constant([[0.2, 0.4]]), tf.tile([[[0.2, 0.4]]], [1, 5, 1]), tf.constant([5]))
    assert float(agreed) == pytest.approx(0, abs=1e-12)
    assert np.isfinite(float(coupling_loss(tf.constant([[0.5, 0.5]]), tf.zeros([1, 3, 2]), tf.constant([3]))))


def test_cross_entropy_is_of_the_right_class_and_a_label_that_is_missing_does_not_count() -> None:
    logits = tf.math.log([[[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]]])
    each, counted = losses.cross_entropy(logits, tf.constant([[0, 2, -1]]))
    assert np.allclose(each[0, :2], -np.log([0.7, 0.1]), atol=1e-5) and np.isfinite(each).all()
    assert counted.numpy().tolist() == [[1.0, 1.0, 0.0]]  # class 0 is a class
    each, counted = losses.cross_entropy(logits[0], tf.constant([1, 0, 2]))  # of clips
    assert np.allclose(each, -np.log([0.2, 0.3, 0.8]), atol=1e-5) and np.all(counted == 1)


def test_binary_cross_entropy_is_summed_over_columns() -> None:
    logits = tf.constant([[[np.log(9.0), -np.log(4.0)], [-50.0, 50.0]]], tf.float32)  # 0.9 and 0.2
    target = tf.constant([[[1.0, 0.0], [0.0, 0.0]]])
    each, counted = losses.binary_cross_entropy(logits, target)
    assert np.allclose(each, [[-np.log(0.9) - np.log(0.8), 50.0]], rtol=1e-4) and np.all(counted == 1)
    each, _ = losses.binary_cross_entropy(logits, target, 3.0)
    assert float(each[0, 0]) == pytest.approx(-3 * np.log(0.9) - np.log(0.8), rel=1e-4)


def test_a_mean_over_steps_is_of_a_clip_s_own_steps_that_count() -> None:
    """Clips of 3, 2 and 1 steps: (1 + 3) / 2, 4, and nothing that counts; what does not count may be NaN."""
    nan = np.nan
    each = tf.constant([[1.0, nan, 3.0], [4.0, 4.0, 100.0], [nan, nan, nan]])
    counted = tf.constant([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    steps = tf.constant([3, 2, 1])

    def mean(*weight: float) -> float:
        return float(losses.over_steps(each, counted, tf.constant(weight), steps))

    assert mean(1.0, 1.0, 0.0) == pytest.approx((2 + 4) / 2)
    assert mean(3.0, 1.0, 0.0) == pytest.approx((3 * 2 + 4) / 4)
    assert mean(0.0, 0.0, 1.0) == mean(0.0, 0.0, 0.0) == 0
    assert mean(0.25, 0.25, 0.0) == pytest.approx(3)  # weights below 1 are weights
    single = losses.over_steps(each[:2, :1], counted[:2, :1], tf.ones(2), tf.constant([1, 1]))
    assert float(single) == pytest.approx((1 + 4) / 2)


def test_a_mean_over_clips_is_weighted_and_of_those_that_count() -> None:
    each, weight = tf.constant([1.0, 4.0, np.nan]), tf.constant([2.0, 0.5, 1.0])
    assert float(losses.over_clips(each, tf.constant([1.0, 1.0, 0.0]), weight)) == pytest.approx(4 / 2.5)
    assert float(losses.over_clips(each, tf.zeros(3), weight)) == 0
    half = losses.over_clips(each[:2], tf.constant([0.0, 1.0]), weight[:2])
    assert float(half) == pytest.approx(4)
