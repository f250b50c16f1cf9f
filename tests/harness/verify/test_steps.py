"""The fingerprint of a training: the losses that the ordinary training has at its first steps."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.harness.train.child import Result
from audiomtl.harness.verify.steps import BOUND, STEPS, FirstSteps, compared, difference, losses_of
from audiomtl.nn import fit
from audiomtl.nn import steps as graphs
from tests.surroundings.families import raw_settings, sounds


@pytest.mark.parametrize(
    ("recorded", "now", "apart"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.0], [1.0, 2.0002], 1e-4),
        ([0.0, 2.0], [0.0, 2.0], 0.0),
        ([0.0], [1e-9], 1.0),
        ([1.0, 2.0], [1.0], math.inf),
        ([], [], math.inf),
        ([1.0], [math.nan], math.inf),
    ],
)
def test_the_largest_relative_difference_counts(recorded, now, apart) -> None:
    assert difference(recorded, now) == pytest.approx(apart, rel=1e-3)


def test_rounding_is_within_the_bound_and_another_training_is_not() -> None:
    losses = np.linspace(2.0, 1.0, STEPS)
    assert difference(losses.tolist(), (losses * (1 + 1e-6)).tolist()) < BOUND
    assert difference(losses.tolist(), (losses * (1 + 1e-3)).tolist()) > BOUND


@pytest.mark.parametrize(
    ("now", "exact", "came_back", "said"),
    [
        ([1.0, 2.0], True, True, "2 steps reproduced bit for bit"),
        ([1.0, 2.0], False, True, "2 steps reproduced bit for bit"),
        ([1.0, 2.0000004], False, True, "2 steps reproduced within 2e-07 (relative)"),
        ([1.0, 2.0000004], True, False, "on the processor that recorded them they must be equal"),
        ([1.0, 2.01], False, False, "differ by 0.005 (relative), more than 0.0001"),
        ([1.0], False, False, "differ by inf"),
    ],
)
def test_on_the_same_processor_every_bit_must_come_back(now, exact, came_back, said) -> None:
    verdict, text = compared([1.0, 2.0], now, exact=exact)
    assert verdict is came_back and said in text


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


def trained(raw: dict[str, Any], seed: int = 1, *, watch: bool) -> tuple[list[float], list[dict[str, float]]]:
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
        job = FirstSteps("test", raw, seed, Path("x"), Path("x"))
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
    assert difference(losses, trained(raw, 2, watch=True)[0]) > BOUND


def test_a_family_without_steps_has_losses_of_clips(clips) -> None:
    raw = raw_settings("baseline", clips)
    losses, _ = trained(raw, watch=True)
    assert len(losses) == STEPS and len(set(losses)) > 1
    assert (
        difference(losses, trained(config.override(raw, {"features.low_hz": 300.0}), watch=True)[0]) > BOUND
    )
