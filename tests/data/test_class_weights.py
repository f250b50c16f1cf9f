"""Weights of classes: every class has the same part in the loss."""

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data.class_weights import class_weights
from audiomtl.errors import UserError
from tests.data.test_preflight import SPLIT, settings_of


@pytest.mark.parametrize(
    ("labels", "classes", "weights"),
    [
        ([0, 1, 0, 1], 2, [1.0, 1.0]),
        ([0, 0, 0, 1], 2, [2 / 3, 2.0]),
        ([0, 0, 1], 3, [0.5, 1.0, 0.0]),  # a class without a clip
    ],
)
def test_weights(labels, classes, weights):
    found = class_weights(labels, classes)
    np.testing.assert_allclose(found, weights, rtol=1e-6)
    sums = np.bincount(labels, found[labels], minlength=classes)
    assert np.ptp(sums[sums > 0]) < 1e-6  # the same part for every class


@pytest.mark.parametrize(
    ("name", "data", "changes", "said"),
    [
        ("mil_esc10", {"labels": "several"}, {}, 'weights the one class of each clip, but data.labels = "several"'),
        ("baseline_esc10", {}, {"classifier.name": "nearest_neighbours", "classifier.neighbours": 3},
         "nearest_neighbours knows no weights"),
        ("transfer_esc10", {}, {"head.kind": "nearest_neighbours", "head.neighbours": 3},
         "nearest_neighbours knows no weights"),
    ],
)  # fmt: skip
def test_what_knows_no_weights_is_refused(name, data, changes, said):
    with pytest.raises(UserError, match=said):
        settings_of(
            name, {"label": "label", "groups": [], **data}, SPLIT, **{"class_weights": "balanced", **changes}
        )


def test_a_head_of_another_kind_knows_no_weights():
    changes = {"heads.phones.class_weights": "balanced"}
    with pytest.raises(UserError, match="is for heads of kind clip_class"):
        settings_of("multitask_emodb", {"label": "label", "groups": []}, SPLIT, **changes)


def test_the_rare_class_is_found_with_weights():
    """Ten of one class and one of the other, in overlapping clouds: without weights the rare one is lost."""
    from audiomtl.nn.classifiers import class_probabilities, fit_classifier

    chosen = config.load_experiment("experiments/baseline_esc10.toml").settings.classifier  # type: ignore[attr-defined]
    chosen = chosen.model_copy(update={"name": "logistic_regression", "inverse_regularization": 1.0})
    random = np.random.default_rng(0)
    truth = np.array([0] * 200 + [1] * 20)
    table = random.normal(size=(220, 2)) + 1.2 * truth[:, None]
    recall = {}
    for balanced in (False, True):
        pipeline = fit_classifier(chosen, table, truth, 0, balanced=balanced)
        recall[balanced] = class_probabilities(pipeline, table).argmax(axis=1)[truth == 1].mean()
    assert recall[True] > recall[False] + 0.3


def test_losses_of_mil_are_weighted():
    import tensorflow as tf

    from audiomtl.families.mil.model import clip_loss, window_loss

    outputs = {"clip": tf.constant([[0.5, 0.5], [0.25, 0.75]]), "windows": tf.constant([[0.5, 0.5]] * 3)}
    batch = {"labels": tf.constant([0, 1]), "counts": tf.constant([2, 1])}
    of_class = tf.constant([1.0, 3.0])
    log = np.log
    assert float(clip_loss(outputs, batch, of_class)) == pytest.approx(
        -(log(0.5) + 3 * log(0.75)) / 2, rel=1e-5
    )
    assert float(window_loss(outputs, batch, of_class)) == pytest.approx(
        -(log(0.5) + 3 * log(0.5)) / 2, rel=1e-5
    )
    ones = tf.ones(2)
    for loss in (clip_loss, window_loss):
        assert float(loss(outputs, batch, ones)) == pytest.approx(float(loss(outputs, batch)), rel=1e-6)
