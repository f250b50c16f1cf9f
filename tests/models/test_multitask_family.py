"""Two tasks, one encoder, on a second or two with a tone or noise somewhere in it."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import UserError
from audiomtl.models import multitask
from audiomtl.nn.balancing import METHODS
from audiomtl.nn.fit import Checkpoint, seed_everything

PROJECT = Path(__file__).parents[2]
RATE = 8000


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> pd.DataFrame:
    """40 clips of two classes in five folds, one event in each."""
    folder, rows = tmp_path_factory.mktemp("sounds"), []
    for number in range(40):
        random, tone = np.random.default_rng(number), number % 2
        y = 0.01 * random.standard_normal(int(random.uniform(1.0, 1.8) * RATE))
        start = int(random.uniform(0.1, 0.4) * RATE)
        count = int(0.5 * RATE)
        event = np.sin(2 * np.pi * 1500 * np.arange(count) / RATE) if tone else random.uniform(-1, 1, count)
        y[start : start + count] += 0.4 * event
        path = folder / f"clip_{number:02}.wav"
        audio.save(path, y, sample_rate=RATE)
        spans = ((start / RATE, (start + count) / RATE),)
        rows.append((path.stem, str(path), len(y) / RATE, ("noise", "tone")[tone], f"source_{number // 2:02}", number // 8 + 1, spans))
    return pd.DataFrame(rows, columns=["clip_id", "path", "seconds", "event", "source", "fold", "passages"])


@pytest.fixture
def use(table, monkeypatch, tmp_path_factory):
    """Make the family see a clip table, this module's by default."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path_factory.getbasetemp() / "multitask_cache"))

    def as_clips(other: pd.DataFrame) -> None:
        monkeypatch.setattr(catalog, "clips", lambda data: other)

    as_clips(table)
    return as_clips


def settings(**changes):
    """The settings of multitask_scenes, made small; keyword ``a__b`` is the setting path a.b."""
    raw = tomllib.loads((PROJECT / "experiments" / "multitask_scenes.toml").read_text(encoding="utf-8"))
    raw.pop("ablation"), raw.pop("expected", None)
    small = {"features.sample_rate": RATE, "features.bands": 16, "features.n_fft": 256, "features.high_hz": 4000.0}
    small |= {"encoder.units": 8, "training.epochs": 3, "training.batch_size": 8, "optimizer.learning_rate": 0.002}
    small |= {"encoder.kind": "article", "encoder.dropout": 0.0, "heads.activity.weight": 1.0, "optimizer.name": "adam"}
    small |= {"balancing.method": "fixed", "optimizer.schedule": "constant", "optimizer.clipnorm": 0.0}  # a study may have moved them
    small |= {"training.monitor": "validation/loss", "training.monitor_direction": "minimize"}  # of 8 clips: accuracy is soon 1
    changed = {path.replace("__", "."): value for path, value in changes.items()}
    return config.settings_of(config.override(raw, small | changed), "test")


def trained(settings, seed: int = 1, on_epoch=lambda epoch, scores: True, checkpoint=None):
    seed_everything(seed)
    prepared = multitask.prepare(settings, seed)
    return multitask.train(settings, prepared, seed, on_epoch, checkpoint), prepared


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "epochs"), [("article", 12), ("recurrent", 25)])
def test_both_tasks_are_learned_and_reload(use, kind, epochs, tmp_path) -> None:
    fitted, prepared = trained(settings(encoder__kind=kind, encoder__units=16, training__epochs=epochs, optimizer__learning_rate=0.005))
    scores = multitask.evaluate(fitted, prepared.examples["test"])
    assert scores["accuracy"] >= 0.9 and scores["segment_f1"] >= 0.55
    assert scores["loss"] == pytest.approx(scores["event_loss"] + scores["activity_loss"])
    last = fitted.fit.history[-1]
    assert last["train/event_weight"] == last["train/activity_weight"] == 1.0
    assert last["train/loss"] == pytest.approx(last["train/event_loss"] + last["train/activity_loss"], rel=1e-3)
    multitask.save(fitted, tmp_path)
    again = multitask.load(tmp_path)
    for one, other in zip(
        multitask.predict(fitted, prepared.examples["test"]).values(),
        multitask.predict(again, prepared.examples["test"]).values(),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.slow
def test_an_auxiliary_head_is_not_saved(use, tmp_path) -> None:
    fitted, prepared = trained(settings(heads__activity__train_only=True))
    multitask.save(fitted, tmp_path)
    again = multitask.load(tmp_path)
    assert set(again.model.output) == {"clip_class"} and again.parameters < fitted.parameters
    tables = multitask.predict(again, prepared.examples["test"])
    assert set(tables) == {"predictions"}
    expected = multitask.predict(fitted, prepared.examples["test"])["predictions"]
    pd.testing.assert_frame_equal(tables["predictions"], expected)


@pytest.mark.parametrize("kind", ["article", "recurrent"])
def test_padding_has_no_influence(use, kind) -> None:
    some = settings(encoder__kind=kind)
    seed_everything(0)
    model = multitask.network(some, 16, 2)
    frames = np.random.default_rng(0).normal(size=(1, 70, 16)).astype(np.float32)
    padded = np.concatenate([frames, np.full((1, 90, 16), 5.0, np.float32)], axis=1)
    padded = np.concatenate([padded, np.random.default_rng(1).normal(size=(1, 160, 16)).astype(np.float32)])
    padded[0, 70:] = 0
    alone = model([frames, np.array([70], np.int32)])
    together = model([padded, np.array([70, 160], np.int32)])
    assert np.allclose(alone["clip_class"][0], together["clip_class"][0], atol=1e-6)
    assert np.allclose(alone["segments"][0], together["segments"][0, :5], atol=1e-6)


def test_activity_by_hand() -> None:
    """Steps of 0.16 s: an event from 0.20 s to 0.50 s fills most of the second and the third step, an eighth of the fourth."""
    some = settings()
    activity = multitask.activity_of([(0.20, 0.50)], 1, 70, 3, some)
    assert activity.shape == (5, 3) and activity[:, 1].tolist() == [0, 1, 1, 0, 0] and not activity[:, [0, 2]].any()


@pytest.mark.slow
def test_tables_name_every_clip_and_step_once(use) -> None:
    fitted, prepared = trained(settings())
    examples = prepared.examples["validation"]
    tables = multitask.predict(fitted, list(reversed(examples)))
    assert sorted(tables["predictions"]["clip_id"]) == sorted(one.clip_id for one in examples)
    counts = tables["steps"].groupby("clip_id").size()
    assert all(counts[one.clip_id] == -(-len(one.frames) // 16) for one in examples)


# ---------------------------------------------------------------- labels that are missing


def test_a_batch_without_a_label_leaves_its_head_alone(use) -> None:
    some = settings()
    seed_everything(0)
    prepared = multitask.prepare(some, 1)
    model = multitask.network(some, 16, 2)
    examples = [replace(one, activity=None) for one in prepared.examples["train"][:4]]
    batch = {name: tf.constant(value) for name, value in multitask._collate(examples, prepared.scaler, 2).items() if name != "clip_ids"}
    with tf.GradientTape(persistent=True) as tape:
        outputs = model([batch["frames"], batch["lengths"]])
        losses = {kind: multitask.task_loss(kind, outputs, batch) for kind in ("clip_class", "segments")}
    assert float(losses["segments"]) == 0.0 and float(losses["clip_class"]) > 0
    gradients = tape.gradient(
        losses["segments"], [variable.value for variable in model.trainable_variables], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    assert all(not np.any(gradient) for gradient in gradients)


def test_a_clip_without_a_label_counts_in_no_mean(use) -> None:
    some = settings()
    prepared = multitask.prepare(some, 1)
    model = multitask.network(some, 16, 2)
    examples = prepared.examples["train"][:4]

    def loss_of(chosen) -> float:
        batch = {name: tf.constant(value) for name, value in multitask._collate(chosen, prepared.scaler, 2).items() if name != "clip_ids"}
        return float(multitask.task_loss("segments", model([batch["frames"], batch["lengths"]]), batch))

    assert loss_of([*examples[:2], replace(examples[2], activity=None)]) == pytest.approx(loss_of(examples[:2]), rel=1e-5)


def test_a_share_of_labels_is_kept_and_counted(use) -> None:
    full = multitask.prepare(settings(), 1)
    few = multitask.prepare(settings(heads__activity__labelled_share=0.25), 1)
    assert full.facts["train/labelled_activity"] == 24 and few.facts["train/labelled_activity"] == 6
    assert few.facts["train/labelled_event"] == 24
    assert all(one.activity is not None for one in few.examples["test"])  # scores are over all that is known
    again = multitask.prepare(settings(heads__activity__labelled_share=0.25), 1)
    assert [one.activity is None for one in few.examples["train"]] == [one.activity is None for one in again.examples["train"]]


@pytest.mark.slow
def test_a_task_of_weight_0_is_not_trained(use) -> None:
    fitted, prepared = trained(settings(heads__activity__weight=0.0, training__epochs=2))
    seed_everything(1)
    start = multitask.network(fitted.settings, 16, 2)
    assert np.array_equal(start.get_layer("activity").kernel, fitted.model.get_layer("activity").kernel)
    assert not np.array_equal(start.get_layer("event").kernel, fitted.model.get_layer("event").kernel)
    assert "train/activity_loss" not in fitted.fit.history[-1]
    assert "segment_f1" in multitask.evaluate(fitted, prepared.examples["test"])  # of the untrained head: a line of the table all the same


# ---------------------------------------------------------------- balancing


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(use, method) -> None:
    fitted, _ = trained(settings(balancing__method=method, training__epochs=3, heads__activity__labelled_share=0.3))
    history = fitted.fit.history
    assert np.isfinite([list(scores.values()) for scores in history]).all()
    assert history[-1]["train/event_loss"] < history[0]["train/event_loss"]
    assert history[-1]["train/activity_loss"] < history[0]["train/activity_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["uncertainty", "dynamic_weight_average", "random", "gradnorm", "pcgrad"])
def test_a_stopped_training_goes_on_to_the_same_bits(use, method, tmp_path) -> None:
    some = settings(balancing__method=method, encoder__dropout=0.2, training__epochs=4)
    whole, _ = trained(some, checkpoint=Checkpoint(tmp_path / "whole"))
    trained(some, on_epoch=lambda epoch, scores: epoch < 1, checkpoint=Checkpoint(tmp_path / "cut"))
    again, _ = trained(some, checkpoint=Checkpoint(tmp_path / "cut"))
    assert whole.fit.history == again.fit.history
    for one, other in zip(whole.model.variables, again.model.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


# ---------------------------------------------------------------- refusals


def test_what_cannot_be_trained_is_refused(use, table) -> None:
    with pytest.raises(UserError, match="at least one head must have a weight above 0"):
        settings(heads__event__weight=0.0, heads__activity__weight=0.0)
    use(table.drop(columns="passages"))
    with pytest.raises(UserError, match="needs passages, which these clips do not have"):
        multitask.prepare(settings(), 1)
    use(table.assign(event="tone"))
    with pytest.raises(UserError, match=r"every clip has the same class \(tone\); two are needed"):
        multitask.prepare(settings(), 1)
    use(table.assign(passages=None))
    with pytest.raises(UserError, match=r"heads\.activity: no clip of the train side has its label"):
        multitask.prepare(settings(), 1)
