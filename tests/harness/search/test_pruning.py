"""Which trials of one metric are pruned, and what Optuna holds of their epochs. Several metrics: `test_pareto`."""

from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from audiomtl import config
from audiomtl.harness.search import pruning
from audiomtl.harness.search.proposals import name_metrics

# loss after 2 epochs (the rung), error rate; of trials that begin one after another
LOSSES = [60.0, 74.0, 50.0, 55.0, 40.0, 45.0, 80.0, 39.0]
ERRORS = [0.9, 1.0, 1.0, 0.8, 1.0, 0.7, 0.43, 1.0]


class FakeTrial(SimpleNamespace):
    """A trial as Optuna keeps it, filled by this version or, ``old``, as earlier ones did."""

    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value

    def report(self, value: float, step: int) -> None:
        self.intermediate_values.setdefault(step, value)


def fake(number: int) -> FakeTrial:
    return FakeTrial(number=number, user_attrs={}, intermediate_values={})


def study(project: Any, **changes: Any) -> Any:
    given = {"prune_on": "loss", "prune_direction": "minimize", "prune_after_epochs": 2, "metric": "error"}
    return config.load_study("tiny").study.model_copy(update={**given, "direction": "minimize", **changes})


def verdicts(file: Any, old: int = 0) -> tuple[list[bool], list[FakeTrial]]:
    """Which trials are pruned, if the first ``old`` of them were recorded by an earlier version."""
    trials: list[FakeTrial] = []
    stops = []
    for number, (loss, error) in enumerate(zip(LOSSES, ERRORS, strict=True)):
        trial = fake(number)
        scores = {"loss": loss, "error": error, "accuracy": 1 - error}
        if number < old:
            mine = scores[file.prune_on]
            trial.report(mine if file.prune_direction == file.direction else -mine, 2)
        else:
            pruning.note(trial, file, 1, scores)
            pruning.note(trial, file, 2, scores)
        trials.append(trial)
        stops.append(pruning.should_prune(trial, trials, file, 2, scores))
    return stops, trials


# by hand: the loss is among the best third (at least one) of those that have reached the rung
BY_LOSS = [False, True, False, True, False, False, True, False]
MAXIMIZED = {"metric": "accuracy", "direction": "maximize"}


@pytest.mark.parametrize("old", [0, 3, 8])
@pytest.mark.parametrize("changes", [{}, MAXIMIZED], ids=["minimized", "maximized"])
def test_the_same_trials_are_pruned_whatever_version_recorded_the_earlier_ones(project: Any, changes, old):
    file = study(project, **changes)
    stops, trials = verdicts(file, old)
    assert stops == BY_LOSS
    for number, trial in enumerate(trials[old:], old):
        held = ERRORS[number] if file.metric == "error" else 1 - ERRORS[number]
        assert trial.intermediate_values == {1: held, 2: held}  # the objective, nothing else
        sign = 1 if file.direction == "minimize" else -1
        assert trial.user_attrs["reached 2"] == [sign * LOSSES[number]]


def test_an_objective_that_prunes_is_not_stored_twice(project: Any):
    stops, trials = verdicts(study(project, prune_on="error"))
    assert stops == [False, True, True, False, True, False, False, True]
    assert all("reached 2" not in trial.user_attrs for trial in trials)


def test_a_kill_between_the_two_leaves_nothing_that_is_read_as_an_earlier_version(project: Any):
    file, trial = study(project), fake(0)
    trial.report = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        pruning.note(trial, file, 2, {"loss": 60.0, "error": 0.9})
    assert pruning._reached(trial, file, 2) == [60.0]


def test_optuna_knows_the_names_of_the_objectives(project: Any):
    file = config.load_study("tiny")
    found = optuna.create_study()
    name_metrics(found, file)
    name_metrics(found, file)
    assert found.metric_names == list(file.study.objectives)
