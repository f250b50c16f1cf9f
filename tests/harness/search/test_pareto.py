"""Studies that several scores judge: the front, which trials are pruned, what is promoted.

One real study, killed and whole.
"""

import math
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import optuna
import pytest

from audiomtl import config
from audiomtl.harness.leases import Lease
from audiomtl.harness.search import pareto, pruning, records, space
from audiomtl.harness.search.proposals import best_trial, create_study, sampler
from audiomtl.harness.search.single import Running, SingleTrials
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.search.worker import Worker
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.train.workers import Outcome
from tests.command import run

UP, DOWN, NAN, INF = "maximize", "minimize", math.nan, math.inf
SEVERAL = 'metrics = ["validation/error_rate", "validation/loss"]'


def judge_by_several(project: Any) -> None:
    project.edit("studies", 'metric = "validation/error_rate"', SEVERAL)
    project.edit("studies", '\ndirection = "minimize"', '\ndirections = ["minimize", "minimize"]')


# ---------------------------------------------------------------- the front


@pytest.mark.parametrize(
    ("scores", "directions", "front"),
    [
        ({}, [UP, UP], []),
        ({0: [0.5, 0.5]}, [UP, UP], [0]),
        # the staircase 2, 0, 3; trial 1 lies below 0, trial 4 has the best of 3 but less of the other
        ({0: [0.6, 0.6], 1: [0.5, 0.6], 2: [0.2, 0.9], 3: [0.8, 0.1], 4: [0.8, 0.05]}, [UP, UP], [0, 2, 3]),
        (
            {0: [0.6, 0.6], 1: [0.5, 0.6], 2: [0.2, 0.9], 3: [0.8, 0.1], 4: [0.8, 0.05]},
            [DOWN, DOWN],
            [1, 2, 4],
        ),
        ({0: [0.6, 0.6], 1: [0.5, 0.6], 2: [0.2, 0.9], 3: [0.8, 0.1], 4: [0.8, 0.05]}, [UP, DOWN], [4]),
        ({3: [0.5, 0.5], 1: [0.5, 0.5], 2: [0.1, 0.1]}, [UP, UP], [1]),  # of equal ones the first
        ({0: [NAN, 1.0], 1: [0.1, 0.1], 2: [0.2, NAN]}, [UP, UP], [1]),
        ({0: [NAN, NAN]}, [UP, UP], []),
        ({0: [INF, 0.2], 1: [0.3, 0.3], 2: [INF, 0.4]}, [DOWN, DOWN], [0, 1]),
        ({0: [1, 1, 3], 1: [1, 2, 2], 2: [1, 1, 2], 3: [3, 0, 0]}, [UP, UP, UP], [0, 1, 3]),
        ({0: [0.4], 1: [0.3], 2: [0.3]}, [DOWN], [1]),  # one score: the best trial
    ],
)
def test_the_front_by_hand(scores: dict[int, list[float]], directions: list[str], front: list[int]) -> None:
    assert pareto.front(scores, directions) == front


def test_the_front_is_optunas() -> None:
    study = optuna.create_study(directions=[UP, DOWN, UP])
    for values in np.random.default_rng(0).random((60, 3)):  # no two are equal
        study.add_trial(optuna.trial.create_trial(values=list(values)))
    front = pareto.front({trial.number: trial.values for trial in study.trials}, [UP, DOWN, UP])
    assert front == sorted(trial.number for trial in study.best_trials) and 5 < len(front) < 60


def test_rows_name_what_is_not_as_in_trial_0() -> None:
    settings = {0: {"a": "1", "b": "2"}, 3: {"a": "1", "b": "5", "c": "7"}}
    assert pareto.rows([0, 3], {0: [0.5, 1], 3: [0.25, 2]}, settings) == [
        ["0", "0.5000", "1.0000", "the experiment itself"],
        ["3", "0.2500", "2.0000", "b = 5, c = 7"],
    ]


# ---------------------------------------------------------------- pruning


class FakeTrial(SimpleNamespace):
    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value


def verdict(project: Any, mine: list[float], *others: list[float], epochs: int = 6, **attrs: Any) -> bool:
    """Whether a trial is pruned; values are (prune_on, first metric, second metric)."""
    study = config.load_study("tiny").study.model_copy(
        update={
            "metric": None,
            "direction": None,
            "metrics": ["one", "two"],
            "directions": [UP, DOWN],
            "prune_on": "loss",
        }
    )
    trials = [
        FakeTrial(number=number, user_attrs={"reached 6": values}) for number, values in enumerate(others)
    ]
    trial = FakeTrial(number=9, user_attrs=dict(attrs))
    scores = dict(zip(("loss", "one", "two"), mine, strict=True))
    pruning.note(trial, study, epochs, scores)
    stop = pruning.should_prune(trial, [*trials, trial], study, epochs, scores)
    assert trial.user_attrs.get("reached 6") == (mine if epochs == 6 else None)
    return stop


GOOD = [[0.1, 0.9, 0.2], [0.2, 0.8, 0.3], [0.3, 0.7, 0.4], [0.4, 0.6, 0.5], [0.5, 0.5, 0.6]]


@pytest.mark.parametrize(
    ("mine", "stopped"),
    [
        ([0.15, 0.1, 0.9], False),  # the second of six by loss: among the best third
        ([0.25, 0.1, 0.9], True),  # the third
        ([0.9, 0.95, 0.9], False),  # the worst loss, but nobody has more of the first metric
        ([0.9, 0.1, 0.1], False),  # nor less of the second
        ([0.9, 0.9, 0.2], False),  # as good as trial 0 in both: it beats nobody, and nobody beats it
        ([0.9, 0.9, 0.25], True),  # trial 0 has less of the second and as much of the first
        ([0.9, NAN, 0.1], True),
        ([0.9, 0.95, NAN], True),
    ],
)
def test_a_trial_is_stopped_when_it_is_poor_and_beaten(
    project: Any, mine: list[float], stopped: bool
) -> None:
    assert verdict(project, mine, *GOOD) is stopped


def test_between_rungs_nobody_is_stopped_and_a_stored_verdict_stands(project: Any) -> None:
    poor = [0.9, 0.1, 0.9]
    assert verdict(project, poor, *GOOD) is True
    assert verdict(project, poor, *GOOD, epochs=5) is False
    assert verdict(project, poor, *GOOD, **{"rung 6": "go on"}) is False
    assert verdict(project, poor) is False  # the first that comes


def test_nan_in_one_objective_is_a_failure_with_its_reason(project: Any) -> None:
    judge_by_several(project)
    file = config.load_study("tiny")
    runner: Any = SingleTrials.__new__(SingleTrials)
    worker: Any = Worker.__new__(Worker)
    runner.worker, runner.file, runner.tracking, runner.leases = worker, file, MagicMock(), MagicMock()
    runner.leases.guard.return_value.__exit__.return_value = False
    runner.study, worker.parent = create_study(file, optuna.storages.InMemoryStorage()), "parent"
    worker.file, worker.study, worker.progress = file, runner.study, MagicMock()
    for number, loss in enumerate((0.3, NAN)):
        trial, name = runner.study.ask(), f"trial {number}"
        runner.running = {name: Running(trial, Lease(f"trial/{number}", 1), f"run{number}", "key")}
        scores = {"validation/error_rate": 0.1, "validation/loss": loss}
        result = Result(False, scores, 1, 2, 1.0, 1.0, 10)
        job = Job(name, {"limits": {}}, 0, project.folder / "staging", project.folder / "checkpoint")
        runner.ended(job, Outcome("complete", result=result))
    assert [(trial.state.name, trial.values) for trial in runner.study.trials] == [
        ("COMPLETE", [0.1, 0.3]),
        ("FAIL", None),
    ]
    assert runner.study.trials[1].user_attrs["reason"] == "validation/loss is nan at the best epoch"
    assert [call.args[2].status for call in runner.tracking.end.call_args_list] == ["complete", "failed"]
    assert "best trials 0" not in str(worker.progress.end.call_args) and worker.best_text() == "trials 0"


def test_the_sampler_proposes_the_same_again_also_after_a_restart(project: Any) -> None:
    """More trials than those at random, some of them pruned: the sampler models both scores and draws
    from its seed alone.
    """
    judge_by_several(project)
    file = config.load_study("tiny")

    def propose(restarted_at: int) -> list[dict[str, Any]]:
        storage = optuna.storages.InMemoryStorage()
        study = create_study(file, storage)
        for number in range(16):
            if number == restarted_at:
                study = create_study(file, storage)
            study.sampler = sampler(file, number)
            trial = study.ask()
            values = space.suggest(trial, file)
            rate = values["optimizer.learning_rate"]
            if number % 4 == 3:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, [abs(rate - 0.01), abs(rate - 0.02) * values["network.units"]])
        return [trial.params for trial in study.trials]

    assert propose(0) == propose(13)


# ---------------------------------------------------------------- promoting


def command(monkeypatch: pytest.MonkeyPatch, capsys: Any, *words: str) -> tuple[int, str]:
    code, *said = run(monkeypatch, capsys, *words)
    return code, "".join(said)


def fill(scores: list[list[float] | None]) -> None:
    """Optuna trials of the study, complete with their scores, or pruned."""
    study = create_study(config.load_study("tiny"), open_storage())
    spaces = {
        "network.units": optuna.distributions.CategoricalDistribution([4, 8]),
        "optimizer.learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-1, log=True),
    }
    for number, values in enumerate(scores):
        params = {
            "network.units": 8 if number == 0 else 4,
            "optimizer.learning_rate": 0.05 if number == 0 else 0.01 * number,
        }
        state = optuna.trial.TrialState.PRUNED if values is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=spaces, values=values, state=state)
        )


def test_promote_asks_for_a_trial_of_the_front_and_writes_that(
    project: Any, monkeypatch: Any, capsys: Any
) -> None:
    judge_by_several(project)
    path = project.folder / "experiments" / "tiny.toml"
    before = path.read_text()
    assert command(monkeypatch, capsys, "promote", "tiny", "--trial", "0")[0] == 2  # nothing to choose from
    fill([[0.5, 0.5], [0.1, 0.9], None, [0.4, 0.4], [0.9, 0.1], [0.9, 0.95]])
    code, said = command(monkeypatch, capsys, "promote", "tiny")
    assert code == 1 and said.count("\n") == 1 and said.endswith("with --trial: 1, 3, 4\n")
    for refused in ("0", "2", "5", "77"):
        code, said = command(monkeypatch, capsys, "promote", "tiny", "--trial", refused)
        assert code == 2 and f"trial {refused} is not on the Pareto front; choose one of 1, 3, 4" in said
    assert path.read_text() == before
    code, said = command(monkeypatch, capsys, "promote", "tiny", "--trial", "3")
    assert code == 0 and "trial 3 (validation/error_rate 0.4000, validation/loss 0.4000) promoted" in said
    raw = config.flatten(config.load_experiment("tiny").raw)
    assert (raw["network.units"], raw["optimizer.learning_rate"]) == (4, 0.03)
    assert best_trial(config.load_study("tiny"), number=3)[0] == 3  # promoting leaves the study as it is


def test_a_trial_is_chosen_where_several_scores_judge_only(
    project: Any, monkeypatch: Any, capsys: Any
) -> None:
    fill([[0.5], [0.2], [0.2]])
    code, said = command(monkeypatch, capsys, "promote", "tiny", "--trial", "2")
    assert code == 2 and "validation/error_rate is the only metric and trial 1 is best: omit --trial" in said
    assert command(monkeypatch, capsys, "promote", "tiny", "--to", "copy")[0] == 0


# ---------------------------------------------------------------- a real study


UNEQUAL = (records.ENDING, records.LINK)  # seconds, and ids of runs


def whole(project: Any) -> list[tuple]:
    """What must be equal in two runs of the study."""
    return [
        (
            trial.number,
            trial.state.name,
            trial.params,
            trial.values,
            {key: value for key, value in trial.user_attrs.items() if key not in UNEQUAL},
        )
        for trial in project.trials()
    ]


DYING = """
import itertools
from optuna.trial import Trial
real, calls = Trial.set_user_attr, itertools.count(1)
def dying(*arguments):
    real(*arguments)
    if next(calls) == 4: die()
Trial.set_user_attr = dying
"""


@pytest.mark.slow
def test_a_killed_study_is_the_same_and_its_runs_say_who_is_on_the_front(project: Any, tmp_path: Any) -> None:
    judge_by_several(project)
    project.edit("studies", "sampler_seed = 3", "sampler_seed = 4")
    said = project.run("study", "tiny", "--slots", "1")
    once = whole(project)
    # trial 0 is the experiment itself
    assert once[0][2] == {
        "network.units": 8,
        "optimizer.learning_rate": 0.05,
    }
    assert {state for _, state, *_ in once} == {"COMPLETE", "PRUNED"}
    complete = {number: values for number, state, _, values, _ in once if state == "COMPLETE"}
    assert all(len(values) == 2 for values in complete.values())
    front = pareto.front(complete, [DOWN, DOWN])
    assert (
        f"Pareto front of study tiny: {len(front)} of 5 trials" in said
        and "next: audiomtl promote tiny --trial N, then make best-tiny" in said
    )
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert {int(run.data.tags["trial"]): run.data.tags["pareto"] for run in runs} == {
        n: "yes" if n in front else "no" for n in range(5)
    }

    project.use_runs(tmp_path / "other")
    # a trial's place at a rung is written, the verdict is not
    project.run_killed(DYING, "study", "tiny", "--slots", "1")
    assert len(whole(project)) < 5
    assert "interrupted" in project.run("study", "tiny", "--slots", "1")
    assert whole(project) == once
    tracking = project.tracking()
    assert [run.info.status for run in tracking.runs("tiny", "tags.kind = 'study'")] == ["FINISHED"]
    records.mark_front(tracking, config.load_study("tiny"), [2])  # as after more trials: tags follow
    marked = {run.data.tags["trial"] for run in tracking.runs("tiny", "tags.pareto = 'yes'")}
    assert marked == ({"2"} if 2 in complete else set())
