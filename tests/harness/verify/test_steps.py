"""The fingerprint of a training: the losses that the ordinary training has at its first steps."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.pipeline import Pipeline

from audiomtl import config
from audiomtl.harness.train.child import Result
from audiomtl.harness.verify.steps import (
    BOUND,
    STEPS,
    FirstSteps,
    all_equal,
    bounds,
    compared,
    differences,
    losses_of,
    rounded,
    rounding,
)
from audiomtl.nn import fit
from audiomtl.nn import steps as graphs
from tests.surroundings.families import raw_settings, sounds


@pytest.mark.parametrize(
    ("recorded", "now", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.0], [0.0, 0.0]),
        ([1.0, 2.0], [1.0, 2.0002], [0.0, 1e-4]),
        ([0.0, 2.0], [0.0, 2.0], [0.0, 0.0]),
        ([0.0], [1e-9], [1.0]),
        ([1.0, 2.0], [1.0], [math.inf, math.inf]),
        ([], [], [math.inf]),
        ([1.0], [math.nan], [math.inf]),
    ],
)
def test_differences_are_relative(recorded, now, apart) -> None:
    assert differences(recorded, now) == pytest.approx(apart, rel=1e-3)


def test_the_bound_follows_what_rounding_does() -> None:
    losses = [2.0, 1.0, 4.0]
    moved = rounding(losses, [[2.0, 1.0, 4.004], [2.0, 1.001, 4.0], [2.0, 1.0, 4.0]])
    assert moved == pytest.approx([0.0, 1e-3, 1e-3], rel=1e-2)
    assert bounds(3, moved) == pytest.approx([BOUND, 1e-2, 1e-2], rel=1e-2)
    assert bounds(3, [0.003, 0.0, 0.02]) == pytest.approx([0.03, 0.2, 0.2])
    assert bounds(2) == [BOUND, BOUND]


CHAOTIC = [0.0, 1e-3]  # what rounding does


@pytest.mark.parametrize(
    ("now", "rounding", "exact", "came_back", "said"),
    [
        ([1.0, 2.0], [], True, True, "2 steps reproduced bit for bit"),
        ([1.0, 2.0], [], False, True, "2 steps reproduced bit for bit"),
        ([1.0, 2.0000004], [], False, True, "2 steps reproduced within 2e-07 (relative)"),
        ([1.0, 2.0000004], [], True, False, "on the processor that recorded them they must be equal"),
        ([1.0, 2.01], CHAOTIC, True, False, "on the processor that recorded them they must be equal"),
        ([1.0, 2.01], [], False, False, "differ by 0.005 (relative) at step 2, more than 0.0001"),
        ([1.0, 2.01], CHAOTIC, False, True, "2 steps reproduced within 0.005 (relative)"),
        ([1.0, 2.1], CHAOTIC, False, False, "differ by 0.048 (relative) at step 2, more than 0.01"),
        ([1.001, 2.0], CHAOTIC, False, False, "differ by 0.001 (relative) at step 1, more than 0.0001"),
        ([1.0], [], False, False, "recorded are 2 losses, now there are 1"),
        ([1.0, math.nan], CHAOTIC, False, False, "or one is not finite"),
        ([], CHAOTIC, False, False, "now there are 0"),
    ],
)
def test_on_the_same_processor_every_bit_must_come_back(now, rounding, exact, came_back, said) -> None:
    verdict, text = compared([1.0, 2.0], now, exact=exact, rounding=rounding)
    assert verdict is came_back and said in text


def test_a_rounded_value_is_the_next_float32_or_the_same() -> None:
    values = np.random.default_rng(0).normal(size=(50, 60)).astype(np.float32)
    moved = rounded(values, np.random.default_rng(1))
    neighbours = [np.nextafter(values, np.float32(where)) for where in (-np.inf, np.inf)]
    shares = [float(np.mean(moved == one)) for one in (neighbours[0], values, neighbours[1])]
    assert sum(shares) == pytest.approx(1) and min(shares) > 0.3
    assert rounded(values.astype(np.float64), np.random.default_rng(1)).dtype == np.float64


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
        yield sounds(folder / "sounds")


@pytest.fixture(autouse=True)
def eagerly():
    """Steps as they are written, without the seconds that tracing takes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trained(
    raw: dict[str, Any], seed: int = 1, *, watch: bool, rounded: int = 0
) -> tuple[list[float], list[dict[str, float]]]:
    """The first losses and the scores of every epoch, of a training in this process."""
    family, settings = config.family("model", raw["model"]), config.settings_of(raw, "test")
    history: list[dict[str, float]] = []

    def train() -> Result:
        prepared = family.prepare(settings, seed)
        fit.seed_everything(seed)
        fitted = family.train(settings, prepared, seed, lambda *_: True, None)
        history.extend(fitted.fit.history)
        return Result(False, {}, 0, 1, 0.0, 0.0, 1)

    if not watch:
        train()
        return [], history
    with pytest.MonkeyPatch.context() as patch:  # what a child process changes is put back here
        patch.setattr(graphs.Steps, "compiled", graphs.Steps.compiled)
        patch.setattr(family, "train", family.train)
        patch.setattr(Pipeline, "fit", Pipeline.fit)
        job = FirstSteps("test", raw, seed, Path("x"), Path("x"), rounded=rounded)
        return losses_of(job.work(train)), history


@pytest.mark.parametrize(("batch", "steps"), [(9, 2), (1, STEPS)])
def test_they_are_the_losses_of_the_ordinary_training(clips, batch, steps) -> None:
    """Of 18 clips: two batches of an epoch, whose mean is its loss; or more than ten steps in one epoch."""
    raw = raw_settings("mil", clips, training__batch_size=batch, training__epochs=1)
    losses, unfinished = trained(raw, watch=True)
    assert len(losses) == steps and unfinished == []
    _, history = trained(raw, watch=False)
    if steps < STEPS:
        assert float(np.mean(losses)) == history[0]["train/loss"]
    assert max(differences(losses, trained(raw, 2, watch=True)[0])) > BOUND


def test_a_family_without_steps_has_losses_of_clips(clips) -> None:
    raw = raw_settings("baseline", clips)
    losses, _ = trained(raw, watch=True)
    assert len(losses) == 6 < STEPS and len(set(losses)) > 1  # of the 6 validation clips
    other = config.override(raw, {"features.low_hz": 300.0})
    assert max(differences(losses, trained(other, watch=True)[0])) > BOUND


def test_a_classifier_that_knows_its_train_clips_by_heart_is_asked_about_others(clips) -> None:
    noise = {"classifier__name": "extra_trees", "features__low_hz": 5000.0}  # above the tones
    losses, _ = trained(raw_settings("baseline", clips, **noise), watch=True)
    assert max(losses) > 0 and all_equal(losses) == ""


@pytest.mark.parametrize(
    ("losses", "fault"),
    [
        ([0.0, 0.0], "the first 2 losses are all 0, which would detect no change"),
        ([0.7], ""),
        ([0.0, 1e-9], ""),
        ([], ""),
    ],
)
def test_equal_losses_are_no_fingerprint(losses, fault) -> None:
    assert all_equal(losses) == fault


@pytest.mark.parametrize(
    ("family", "changes"),
    [("mil", {"training__batch_size": 1, "training__epochs": 1}), ("baseline", {"classifier__name": "svm"})],
)
def test_rounding_moves_the_losses_a_little(clips, family, changes) -> None:
    """And another seed of it otherwise; the first loss of a network hardly."""
    raw = raw_settings(family, clips, **changes)
    losses, one, other = (trained(raw, watch=True, rounded=seed)[0] for seed in (0, 1, 2))
    apart = differences(losses, one)
    assert one != other and 0 < max(apart) < 1e-2 and (family == "baseline" or apart[0] < 1e-5)
