"""Weights of clips: cells, batches, mixed labels, losses, and classifiers."""

import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import augmentation, item_weights
from audiomtl.errors import UserError
from audiomtl.settings.classifier import Classifier
from tests.data.test_preflight import SPLIT, clips, settings_of


@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, np.float32(0.5), np.int64(3)])
def test_numbers_of_at_least_0_are_weights(value):
    assert item_weights.weight_of(value, "a", "item_weight") == float(value)


@pytest.mark.parametrize("value", [-1, -1e-9, float("nan"), float("inf"), None, "1", "", [1.0], pd.NA])
def test_other_values_are_refused(value):
    with pytest.raises(UserError, match=r"^item_weight: clip a has .*; a weight must be a number of at"):
        item_weights.weight_of(value, "a", "item_weight")


def test_weights_are_read_by_clip_and_without_a_column_there_are_none():
    table = clips(4, trust=[1, 0, 2, 1])
    weights = {"clip_000": 1.0, "clip_001": 0.0, "clip_002": 2.0, "clip_003": 1.0}
    assert item_weights.weights_of(table, "trust") == weights
    assert item_weights.weights_of(table, "") == {}


def test_a_clip_of_weight_2_is_as_if_it_stood_there_twice_and_of_0_as_if_it_did_not():
    from audiomtl.nn import losses

    each = np.array([0.5, 2.0, 7.0], np.float32)
    weights = item_weights.of_batch([1, 2, 0])
    assert weights.dtype == np.float32 and weights.mean() == 1
    assert float(losses.of_items(each, weights)) == pytest.approx((0.5 + 2.0 + 2.0) / 3)
    counts, windows = np.array([2, 1, 1], np.int32), np.array([0.2, 0.8, 2.0, 7.0], np.float32)
    assert float(losses.of_bags(windows, counts, weights)) == pytest.approx((0.5 + 2.0 + 2.0) / 3)
    assert float(losses.of_items(each, item_weights.of_batch([0, 0, 0]))) == 0
    assert item_weights.of_batch([0.3, 0.3]).tolist() == [1, 1]


def test_losses_of_families_are_weighted_and_classes_too():
    import tensorflow as tf

    from audiomtl.families.mil.losses import clip_loss, tag_loss, window_loss, window_tag_loss

    log = np.log
    outputs = {"clip_logits": tf.math.log([[0.5, 0.5], [0.25, 0.75]]), "window_logits": tf.zeros((3, 2))}
    batch = {"labels": tf.constant([0, 1]), "counts": tf.constant([2, 1])}
    batch["item_weights"] = tf.constant([0.5, 1.5])
    of_class = tf.constant([1.0, 3.0])
    assert float(clip_loss(outputs, batch, of_class)) == pytest.approx(
        -(0.5 * log(0.5) + 1.5 * 3 * log(0.75)) / 2, rel=1e-5
    )
    assert float(window_loss(outputs, batch, of_class)) == pytest.approx(
        -(0.5 + 4.5) * log(0.5) / 2, rel=1e-5
    )
    tags = {**batch, "labels": tf.constant([[1.0, 0.0], [0.0, 0.0]])}
    given = {"clip_logits": tf.constant([[0.0, 0.0], [100.0, 0.0]]), "window_logits": tf.zeros((3, 2))}
    assert float(tag_loss(given, tags)) == pytest.approx(0.5 * (0.5 * 2 * log(2) + 1.5 * (100 + log(2))) / 2)
    assert float(window_tag_loss(given, tags, of_class)) == pytest.approx(log(2), rel=1e-5)


@pytest.mark.parametrize("tags", [False, True])
def test_the_loss_of_mixed_labels_is_the_mixture_of_weighted_losses(tags):
    random = np.random.default_rng(1)
    targets = (random.uniform(size=(5, 3)) > 0.5).astype(np.float32) if tags else np.eye(5)[:, :3]
    logits, weights = random.normal(size=(5, 3)), np.array([0.0, 1.0, 2.0, 0.0, 0.5])
    pairs = np.array([0.5, 0.7, 1.0, 0.9, 0.6], np.float32), np.array([1, 0, 4, 0, 2])

    def loss(target: np.ndarray) -> np.ndarray:
        if tags:
            return (target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)).sum(axis=1)
        return -(target * (logits - np.logaddexp.reduce(logits, axis=1)[:, None])).sum(axis=1)

    shares, order = pairs
    expected = shares * weights * loss(targets) + (1 - shares) * weights[order] * loss(targets[order])
    own, total = augmentation.weighted(pairs, weights)
    mixed = augmentation.soft(targets, own, 0.0, 3)
    np.testing.assert_allclose(total * loss(mixed), expected, rtol=1e-5, atol=1e-6)
    same, ones = augmentation.weighted(pairs, np.ones(5))
    assert same[0].dtype == np.float32 and np.array_equal(same[0], shares) and (ones == 1).all()


@pytest.mark.parametrize("name", ["random_forest", "extra_trees", "svm", "logistic_regression"])
def test_weights_of_classifiers_multiply_those_of_classes(name):
    """As scikit-learn has it when all of it is in sample_weight."""
    from audiomtl.nn.classifiers import class_probabilities, fit_classifier

    chosen = Classifier.model_validate(
        {"name": name, "trees": 20, "inverse_regularization": 0.7, "kernel": "rbf"}
    )
    random = np.random.default_rng(0)
    truth = np.array([0] * 40 + [1] * 10 + [2] * 15)
    rows = random.normal(size=(65, 3)) + truth[:, None]
    weights = random.integers(0, 4, 65) / 2
    both = weights * (65 / (3 * np.bincount(truth)))[truth]
    found = [
        class_probabilities(fit_classifier(chosen, rows, truth, 0, balanced=balanced, weights=given), rows)
        for balanced, given in ((True, weights), (False, both), (True, None), (True, np.ones(65)))
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    assert np.abs(found[0] - found[2]).max() > 0.01
    assert np.array_equal(found[2], found[3])


@pytest.mark.parametrize(
    ("name", "table"), [("baseline_esc10", "classifier.name"), ("transfer_esc10", "head.kind")]
)
def test_nearest_neighbours_know_no_weights(name, table):
    changes = {table: "nearest_neighbours", f"{table.split('.')[0]}.neighbours": 3, "class_weights": "none"}
    with pytest.raises(UserError, match=r'item_weight = "trust": nearest_neighbours knows no weights; set'):
        settings_of(name, {"label": "label", "groups": []}, SPLIT, **changes, item_weight="trust")


def test_a_loss_is_no_judge_while_weights_are_swept():
    for family in ("mil", "transfer", "fusion"):
        assert {"class_weights", "item_weight"} <= set(config.family("settings", family).LOSS_PATHS)
    assert "heads.*.item_weight" in config.family("settings", "multitask").LOSS_PATHS
