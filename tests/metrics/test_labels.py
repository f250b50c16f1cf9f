"""Scores of labels against scikit-learn, and hand-made cases."""

import numpy as np
import pytest

from audiomtl.metrics import labels


def test_accuracy_counts_equal_entries():
    assert labels.accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    assert labels.accuracy(["rock", "jazz"], ["rock", "rock"]) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: labels.accuracy([1, 2], [1]), r"one shape, but got \(2,\) and \(1,\)"),
        (lambda: labels.accuracy([], []), "at least one entry"),
        (lambda: labels.roc_auc([1, 1], [0.1, 0.2]), "a positive and a negative"),
        (lambda: labels.average_precision([0, 0], [0.1, 0.2]), "at least one positive"),
        (lambda: labels.roc_auc([0, 1], [0.1, float("nan")]), "finite"),
        (lambda: labels.roc_auc([0, 0], [0.1, 0.2]), "at least one positive"),
        (lambda: labels.average_precision([0, 2], [0.1, 0.2]), "must be 0 and 1, or bool, but got 2"),
        (lambda: labels.average_precision(["0", "1"], [0.1, 0.2]), "must be 0 and 1, or bool, but got '0'"),
        (lambda: labels.average_precision([0, 1], [0.1]), r"one shape \(n,\), but got \(2,\) and \(1,\)"),
        (lambda: labels.balanced_accuracy([], []), "at least one entry"),
        (lambda: labels.macro_f1(["a"], ["a", "b"]), r"one shape, but got \(1,\) and \(2,\)"),
        (lambda: labels.confusion(["a"], []), "equally many, but got 1 and 0"),
    ],
)
def test_input_without_a_score_is_refused_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("seed", range(6))
def test_scores_of_labels_and_rankings_are_those_of_scikit_learn(seed):
    from sklearn import metrics as reference

    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    assert labels.balanced_accuracy(truth, predicted) == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    assert labels.macro_f1(truth, predicted) == pytest.approx(
        reference.f1_score(truth, predicted, average="macro")
    )
    right, scores = rng.integers(0, 2, 40), rng.integers(0, 6, 40) / 7  # many ties
    assert labels.average_precision(right, scores) == pytest.approx(
        reference.average_precision_score(right, scores)
    )
    assert labels.roc_auc(right, scores) == pytest.approx(reference.roc_auc_score(right, scores))
    assert labels.average_precision(right, right) == labels.roc_auc(right, right) == 1


def test_confusion_counts_pairs():
    counts = labels.confusion(["b", "a", "b"], ["a", "a", "a"])
    assert counts == {("a", "a"): 1, ("b", "a"): 2} and list(counts) == sorted(counts)


def test_labels_may_be_text_and_a_class_that_is_never_said_or_never_true_counts():
    truth, predicted = ["rock", "rock", "jazz", "folk"], ["rock", "pop", "jazz", "jazz"]
    assert labels.balanced_accuracy(truth, predicted) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert labels.macro_f1(truth, predicted) == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4)
