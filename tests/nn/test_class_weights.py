"""Weights of classes: what they are, and that each family's loss is as if rare clips stood there more often."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.families.mil import model as mil
from audiomtl.families.multitask.examples import Example, with_class_weights
from audiomtl.families.transfer.losses import loss as transfer_loss
from audiomtl.nn import classifiers
from audiomtl.nn.class_weights import balanced
from audiomtl.settings.classifier import Classifier
from tests.whole_settings import whole_settings

LABELS = [0, 0, 0, 1]  # of four clips; class 2 has none
ROWS = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 1, 0], [1, 1, 0]], np.float32)


def test_every_class_weighs_the_same_in_total() -> None:
    weights = balanced(LABELS, 3)
    np.testing.assert_allclose(weights, [4 / 6, 4 / 2, 1])
    assert weights[LABELS].mean() == pytest.approx(1)
    # 2 clips without the first tag, 3 with it; all have the second, none the third
    np.testing.assert_allclose(balanced(list(ROWS), 3), [2 / 3, 1, 1])


def test_mil_as_if_a_clip_stood_there_three_times() -> None:
    p = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], np.float32)
    batch = {"labels": np.array(LABELS, np.int32), "counts": np.ones(4, np.int32)}
    weights, order = balanced(LABELS, 2), [0, 1, 2, 3, 3, 3]
    more = {"labels": batch["labels"][order], "counts": np.ones(6, np.int32)}
    for of, name in ((mil.clip_loss, "clip"), (mil.window_loss, "windows")):
        found = of({name: p}, batch | {"class_weights": weights})
        assert float(found) == pytest.approx(float(of({name: p[order]}, more)), rel=1e-5)
        assert float(found) != pytest.approx(float(of({name: p}, batch)), rel=1e-3)


@pytest.mark.parametrize("level", ["clip", "patch"])
def test_transfer_as_if_a_clip_stood_there_three_times(level) -> None:
    p = np.array([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], np.float32)
    settings = SimpleNamespace(data=SimpleNamespace(labels="one"), head=SimpleNamespace(loss=level))
    batch = {"targets": np.eye(2, dtype=np.float32)[LABELS], "counts": np.ones(4, np.int32)}
    order, name = [0, 1, 2, 3, 3, 3], {"clip": "clip", "patch": "patches"}[level]
    found = transfer_loss({name: p}, batch | {"class_weights": balanced(LABELS, 2)}, settings)
    more = {"targets": batch["targets"][order], "counts": np.ones(6, np.int32)}
    assert float(found) == pytest.approx(float(transfer_loss({name: p[order]}, more, settings)), rel=1e-5)


def test_multitask_weighs_clips_of_classes_and_targets_of_tags() -> None:
    heads = {"event": {"kind": "clip_class", "weight": 1.0, "class_weights": "balanced"}}
    heads["labels"] = {"kind": "tags", "weight": 1.0, "class_weights": "balanced", "column": "tags"}
    raw = whole_settings("multitask_scenes") | {
        "heads": heads,
        "coupling": {},
        "scores": {"loss": "minimize"},
    }
    settings = config.settings_of(raw | {"inputs": {"audio": True}}, "x")
    one = Example("x", np.zeros((1, 1)), {}, {"event": 1.0, "labels": 1.0}, None, None, {})
    targets = [*LABELS, -1, None]
    rows = [*ROWS[:4], None, ROWS[4]]
    clips = [
        replace(one, targets={"event": None if label is None else np.array(label, np.int32), "labels": row})
        for label, row in zip(targets, rows, strict=True)
    ]
    found = with_class_weights(clips, {"event": ("a", "b"), "labels": ("a", "b", "c")}, settings)
    assert [one.weights["event"] for one in found] == pytest.approx([4 / 6] * 3 + [2, 1, 1])
    assert found[4].targets["labels"] is None
    np.testing.assert_allclose(found[0].targets["labels"], [2 / 3, 1, 0], rtol=1e-6)
    raw["heads"] = {"age": {"kind": "value", "weight": 1.0, "class_weights": "balanced", "column": "age"}}
    with pytest.raises(
        UserError, match=r'heads\.age\.class_weights = "balanced": is for heads of kind clip_class'
    ):
        config.settings_of(raw | {"inputs": {"audio": True}}, "x")


@pytest.mark.parametrize("name", ["random_forest", "svm", "logistic_regression"])
def test_scikit_learn_finds_more_of_a_rare_class(name) -> None:
    random = np.random.default_rng(0)
    truth = (np.arange(60) % 10 == 0).astype(int)
    rows = random.normal(size=(60, 2)) + truth[:, None]
    chosen = Classifier(name=name, trees=20, inverse_regularization=0.1, kernel="rbf")
    found = [
        classifiers.class_probabilities(
            classifiers.fit_classifier(chosen, rows, truth, 0, balanced=equal), rows
        )
        for equal in (False, True)
    ]
    assert found[1][truth == 1, 1].mean() > found[0][truth == 1, 1].mean() or name == "random_forest"
    assert not np.allclose(found[0], found[1])


@pytest.mark.parametrize(
    "experiment, changes",
    [
        ("baseline_esc10", {"classifier.name": "nearest_neighbours", "classifier.neighbours": 3}),
        ("transfer_esc10", {"head.kind": "nearest_neighbours", "head.neighbours": 3}),
    ],
)
def test_neighbours_have_no_weights(experiment, changes) -> None:
    raw = config.override(whole_settings(experiment), {"class_weights": "balanced", **changes})
    with pytest.raises(
        UserError, match='class_weights = "balanced": nearest_neighbours gives no class a weight'
    ):
        config.settings_of(raw, "x")
