"""The coupling of two heads, by hand."""

import numpy as np
import pytest
import tensorflow as tf

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
