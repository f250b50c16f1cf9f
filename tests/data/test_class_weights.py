"""Weights of classes: every class has the same part in the loss."""

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data.class_weights import class_weights
from audiomtl.errors import UserError
from tests.data.test_preflight import SPLIT, settings_of
from tests.whole_settings import whole_settings


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


def test_weights_of_tags():
    """Two clips without the first tag and three with it; all have the second, none the third."""
    rows = [[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0]]
    np.testing.assert_allclose(class_weights([np.array(row, np.float32) for row in rows], 3), [2 / 3, 1, 1])


def test_losses_of_tags_are_weighted():
    """As if a clip with the rare tag stood there three times: of four clips one has it."""
    from types import SimpleNamespace

    from audiomtl.families.mil.model import tag_loss, window_tag_loss
    from audiomtl.families.multitask.heads import tags as head
    from audiomtl.families.transfer.losses import loss

    labels = np.array([[0], [0], [0], [1]], np.float32)
    logits = np.array([[-1.0], [0.5], [-2.0], [0.3]], np.float32)
    p = 1 / (1 + np.exp(-logits))
    each = -np.log(np.where(labels > 0, p, 1 - p))[:, 0]
    expected = float((each * [1, 1, 1, 3]).mean())
    of_class = class_weights(list(labels), 1)
    batch = {"labels": labels, "targets": labels, "counts": np.ones(4, np.int32), "positive": of_class}
    assert float(tag_loss({"clip_logits": logits}, batch, of_class)) == pytest.approx(expected, rel=1e-5)
    assert float(window_tag_loss({"window_logits": logits}, batch, of_class)) == pytest.approx(
        expected, rel=1e-5
    )
    for level, given in (
        ("clip", {"clip_logits": logits}),
        ("patch", {"patch_logits": logits}),
    ):
        settings = SimpleNamespace(data=SimpleNamespace(labels="several"), head=SimpleNamespace(loss=level))
        assert float(loss(given, batch, settings)) == pytest.approx(expected, rel=1e-5)
    assert float(head.loss(logits, labels * of_class, np.ones(4, np.float32), None)) == pytest.approx(
        expected, rel=1e-5
    )


def test_heads_weigh_clips_of_classes_and_targets_of_tags():
    from dataclasses import replace

    from audiomtl.families.multitask.examples import Example, with_class_weights

    heads = {
        "event": {"kind": "clip_class", "weight": 1.0, "class_weights": "balanced"},
        "labels": {"kind": "tags", "weight": 1.0, "class_weights": "balanced", "column": "tags"},
    }
    raw = whole_settings("multitask_scenes") | {
        "heads": heads,
        "coupling": {},
        "decoding": {},
        "scores": {"loss": "minimize"},
    }
    settings = config.settings_of(raw | {"inputs": {"audio": True}}, "x")
    one = Example("x", np.zeros((1, 1)), {}, {"event": 1.0, "labels": 1.0}, None, None, {})
    rows = [[1, 1], [1, 1], [0, 1], None, [0, 1]]
    clips = [
        replace(one, targets={
            "event": None if label is None else np.array(label, np.int32),
            "labels": None if row is None else np.array(row, np.float32),
        })
        for label, row in zip([0, 0, 0, 1, None], rows, strict=True)
    ]  # fmt: skip
    found = with_class_weights(clips, {"event": ("a", "b"), "labels": ("a", "b")}, settings)
    assert [clip.weights["event"] for clip in found] == pytest.approx([2 / 3] * 3 + [2, 1])
    assert found[3].targets["labels"] is None and found[0].targets["labels"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "data", "changes", "said"),
    [
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
    with pytest.raises(UserError, match="is for heads of kind clip_class or tags"):
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

    outputs = {"clip_logits": tf.math.log([[0.5, 0.5], [0.25, 0.75]]), "window_logits": tf.zeros((3, 2))}
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
