"""Softmax over the places that count."""

import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn.softmax import LOWEST, SMALLEST, masked_softmax

SCORES = np.log([[[1.0], [3.0], [9.0]], [[2.0], [2.0], [7.0]], [[5.0], [5.0], [5.0]]]).astype(np.float32)
VALID = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0]], bool)[:, :, None]


@pytest.mark.parametrize("offset", [0.0, 200.0, -200.0], ids="offset {}".format)
def test_shares_by_hand_whatever_is_added_to_all_scores(offset) -> None:
    shares = masked_softmax(tf.constant(SCORES + np.float32(offset)), tf.constant(VALID)).numpy()[:, :, 0]
    assert np.allclose(shares, [[1 / 4, 3 / 4, 0], [2 / 11, 2 / 11, 7 / 11], [0, 0, 0]], atol=1e-5)


def test_what_does_not_count_has_no_influence_and_no_gradient() -> None:
    scores = tf.Variable(np.where(VALID, SCORES, np.nan).astype(np.float32))
    with tf.GradientTape() as tape:
        shares = masked_softmax(tf.where(VALID, scores, 1e9), tf.constant(VALID))
        value = tf.reduce_sum(shares * tf.constant([[[1.0], [2.0], [3.0]]]))
    gradient = tape.gradient(value, scores).numpy()[:, :, 0]
    # a share s of the value v has the gradient s * (v - mean): 1/4 * (1 - 7/4) and 3/4 * (2 - 7/4)
    assert np.allclose(gradient[0], [-3 / 16, 3 / 16, 0], atol=1e-6) and not gradient[2].any()


def test_the_numbers_that_keep_it_finite() -> None:
    assert np.float32(1) + np.float32(SMALLEST) > 1  # float32 sees it beside 1
    assert np.exp(np.float32(LOWEST)) == 0 and np.isfinite(np.float32(LOWEST))
