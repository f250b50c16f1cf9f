"""Losses and votes of tags, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from audiomtl.nn import tags

LOGITS = np.array([[2.0, -1.0, 0.5], [-3.0, 0.0, 40.0]], np.float32)
TARGETS = np.array([[1, 0, 1], [0, 1, 0]], np.float32)


def test_the_loss_of_logits_is_that_of_their_probabilities_where_digits_are_left() -> None:
    p = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    by_hand = -(TARGETS * np.log(p) + (1 - TARGETS) * np.log1p(-np.minimum(p, 1 - 1e-16)))
    by_hand[1, 2] = 40.0  # 1 - sigmoid(40) is below the last bit of 1
    np.testing.assert_allclose(tags.loss_of_logits(LOGITS, TARGETS), by_hand.mean(axis=1), rtol=1e-6)
    for row, logits in ((0, None), (0, LOGITS[:1]), (1, LOGITS[1:])):
        found = tags.evaluate(TARGETS[[row]], p[[row]], "abc", logits=logits, every_score=True)
        assert found == {"loss": pytest.approx(by_hand[row].mean(), rel=1e-5)}  # one clip has no ranking


def test_a_sure_and_wrong_answer_has_a_gradient() -> None:
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tags.loss_of_logits(logits, TARGETS))
    assert float(tape.gradient(loss, logits)[1, 2]) == pytest.approx(1 / 3, rel=1e-5)


def test_votes_are_shares_of_windows_and_ties_go_to_the_mean() -> None:
    windows = np.array([[0.9, 0.4, 0.5], [0.6, 0.45, 0.1], [0.2, 0.1, 0.1]])
    found = tags.majority_vote(windows)
    np.testing.assert_allclose(found, [2 / 3, 0, 1 / 3], atol=0.05)
    assert tags.majority_vote(windows + np.array([0, 0.01, 0]))[1] > found[1]
    assert tags.majority_vote(np.ones((3, 2))) == pytest.approx([1, 1], abs=1e-12)


def test_lists_of_what_holds() -> None:
    assert tags.predicted([1, 0, 1], np.array([0.5, 0.49, 0.2]), "abc") == {
        "truth": ["a", "c"],
        "predicted": ["a"],
    }
