"""Trials judged by several trainings, with the real stores and trainings that take no time.

Each study runs in a forked process, so that it can be killed (SIGKILL) at any call and started again.
"""

import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from audiomtl import config
from audiomtl.data import catalog, protocols
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.search import judged, records, selection, study, verdicts
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.train.workers import Outcome
from tests.harness.conftest import Project

STATES = [(optuna.trial.TrialState.COMPLETE, 0.5), (optuna.trial.TrialState.RUNNING, None)]
JUDGED = 'sampler = "random"\n\n[judge]\nover = "folds"\n'


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with both databases: made once, since that takes longer than a study."""
    with pytest.MonkeyPatch.context() as patch:
        whole = Project(tmp_path_factory.mktemp("empty") / "project", patch)
        provenance.code_version(config.load_experiment("tiny").raw)  # kept by every fork
        open_storage().engine.dispose()
        Tracking()
        return whole.runs


@pytest.fixture(scope="module")
def undisturbed(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Summary of a study of three trials, with one slot."""
    with pytest.MonkeyPatch.context() as patch:
        whole = Project(tmp_path_factory.mktemp("undisturbed") / "project", patch)
        judge_over_folds(whole, empty, trials=3)
        assert run_in_fork(patch) == 0
        return summary(whole)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "5 trials, minimize validation/error_rate; resumes: 1 trial done, 1 interrupted"),
        (
            {"sampler_seed = 3\n": 'sampler_seed = 3\n\n[judge]\nover = "folds"\n'},
            "5 trials, minimize validation/error_rate, each the mean of trainings on all inner folds (validation"
            " splits without the test clips); a trial that falls behind the best is dropped before its last"
            " training (prune_on is not used); resumes: 1 trial done, 1 interrupted",
        ),
        (
            {"sampler_seed = 3\n": 'sampler_seed = 3\n\n[judge]\nover = "seeds"\nn = 3\ndrop = false\n'},
            "5 trials, minimize validation/error_rate, each the mean of trainings on 3 seeds; every trial gets all"
            " its trainings (prune_on is not used); resumes: 1 trial done, 1 interrupted",
        ),
    ],
)
def test_the_first_line_says_how_trials_are_judged(study_file, changes, expected) -> None:
    file = study_file(changes)
    trials = [optuna.trial.create_trial(state=state, value=value) for state, value in STATES]
    assert records.start_line(file, trials, ()) == f"study tiny ({file.identity}): {expected}"


@pytest.mark.parametrize(
    ("status", "member", "words"),
    [
        ("complete", False, "validation/loss 0.5000 (best epoch 1 of 2), 3 s"),
        ("stopped", False, "pruned after 2 epochs at validation/loss 0.5000, 3 s"),
        ("stopped", True, "stopped after 2 epochs at validation/loss 0.5000: its trial has ended, 3 s"),
    ],
)
def test_how_a_training_ended_in_words(status, member, words) -> None:
    result = Result(status == "stopped", {"validation/loss": 0.5}, 0, 2, 1.0, 1.0, 8)
    outcome = Outcome(status, result=result, wall_seconds=3.0)
    assert records.in_words(outcome, {"validation/loss": "minimize"}, member=member) == words


def fake_training(job: Job) -> Outcome:
    """Right answers by chance: many with 8 units, few with 4; the same for the same settings."""
    settings = config.settings_of(job.settings, job.name)
    if settings.network.fault == "raise" and settings.protocol.inner_fold == 1:
        return Outcome("failed", "RuntimeError: as ordered")
    table = protocols.divide(
        catalog.clips(settings.data), settings.data, settings.protocol, job.seed
    ).validation
    flat = {**config.flatten(job.settings["network"]), **config.flatten(job.settings["optimizer"])}
    key = config.digest([flat, job.seed, settings.protocol.inner_fold])
    wrong = np.random.default_rng(int(key, 16)).random(len(table)) > (
        0.9 if settings.network.units == 8 else 0.2
    )
    predicted = np.where(wrong, 1 - table["label"], table["label"])
    table[["clip_id", "source"]].assign(truth=table["label"], predicted=predicted).to_parquet(
        job.folder / "predictions_validation.parquet"
    )
    (job.checkpoint).mkdir(parents=True, exist_ok=True)
    scores = {"validation/error_rate": float(wrong.mean()), "validation/loss": float(wrong.mean()) + 1}
    return Outcome("complete", result=Result(False, scores, 2, 6, 1.0, 1.0, 10), wall_seconds=1.0)


def train_all_fake(order: Callable[[list[Job]], Job]) -> Callable[..., None]:
    """In place of `workers.train_all`: trainings that run together end in the order that ``order`` picks."""

    def train_all(next_job: Any, listener: Any, *, slots: int, **_: Any) -> None:
        running: list[Job] = []
        while True:
            while len(running) < slots and isinstance(job := next_job(), Job):
                listener.started(job)
                running.append(job)
            if not running:
                return
            job = order(running)
            running.remove(job)
            go_on = listener.epoch(job, 0, {"validation/error_rate": 0.5, "validation/loss": 1.0})
            listener.ended(job, fake_training(job) if go_on else Outcome("stopped"))

    return train_all


def run_in_fork(
    patch: pytest.MonkeyPatch,
    *,
    slots: int = 1,
    order: Callable[[list[Job]], Job] = lambda jobs: jobs[0],
    die: tuple[Any, str, int] | None = None,
    retry_failed: bool = False,
) -> int:
    """Run the study ``tiny`` in a process of its own; its exit code, -9 where it was killed.

    ``die`` is (owner, function, call): it is killed after that call.
    """
    patch.setattr(study, "train_all", train_all_fake(order))
    patch.setattr(study, "start_forkserver", lambda *_: None)
    patch.setattr(study, "device", lambda *_: "CPU")
    patch.setattr(selection, "conclude", lambda *_, **__: None)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setsid()
            if die:
                kill_after(*die)
            study.run_study(config.load_study("tiny"), slots=slots, threads=1, retry_failed=retry_failed)
            code = 0
        except BaseException as error:  # told by the exit code
            print(f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def kill_after(owner: Any, name: str, call: int) -> None:
    whole, calls = getattr(owner, name), [0]

    def dying(*arguments: Any, **options: Any) -> Any:
        result = whole(*arguments, **options)
        calls[0] += 1
        if calls[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def judge_over_folds(project: Any, empty: Path, trials: int = 6, table: str = JUDGED) -> None:
    shutil.copytree(empty, project.runs)
    project.edit("experiments", "rotations = 1", "rotations = 4")
    project.edit("studies", 'sampler = "random"\n', "")
    for line in (
        'prune_on = "validation/loss"\n',
        'prune_direction = "minimize"\n',
        "prune_after_epochs = 2\n",
    ):
        project.edit("studies", line, "")
    project.edit("studies", "trials = 5", f"trials = {trials}")
    project.edit("studies", "\n[search]", f"{table}\n[search]")


UNEQUAL = (records.ENDING, records.LINK, "run", "words")  # seconds, and ids of runs


def summary(project: Any) -> list[Any]:
    """What must be equal in two runs of a study: trials, values to the bit, decisions, members."""
    found = []
    for trial in project.trials():
        attributes = {key: value for key, value in trial.user_attrs.items() if key not in UNEQUAL}
        for key in [key for key in attributes if key.startswith("member ")]:
            attributes[key] = attributes[key]["outcome"]["result"]["scores"]
        found.append(
            (
                trial.number,
                trial.state.name,
                trial.params,
                trial.values,
                trial.intermediate_values,
                attributes,
            )
        )
    return found


def check_runs(project: Any) -> list[Any]:
    """Each trial has one run, each of its members one below it; returns the members."""
    runs = project.tracking().runs("tiny")
    trials = {run.data.tags["trial"]: run for run in runs if run.data.tags["kind"] == "trial"}
    members = [run for run in runs if run.data.tags["kind"] == "member"]
    assert sorted(map(int, trials)) == [trial.number for trial in project.trials()]
    assert len(trials) == len([run for run in runs if run.data.tags["kind"] == "trial"])
    places = [(run.data.tags["trial"], run.data.tags["member"]) for run in members]
    assert len(places) == len(set(places))
    for run in members:
        assert run.data.tags["mlflow.parentRunId"] == trials[run.data.tags["trial"]].info.run_id
    assert not [run for run in runs if run.info.status == "RUNNING"]
    assert not list(project.runs.glob("staging/*")) and not list(project.runs.glob("checkpoints/*"))
    return members


def test_a_judged_trial_is_the_mean_of_its_folds_and_poor_ones_are_dropped(
    project: Any, empty: Path, monkeypatch: Any, tmp_path: Path
) -> None:
    judge_over_folds(project, empty, trials=4)
    assert run_in_fork(monkeypatch) == 0
    once = summary(project)
    states = [state for _, state, *_ in once]
    assert len(once) == 4 and states[0] == "COMPLETE" and "PRUNED" in states
    for _, state, _, values, means, attributes in once:
        folds = [scores["validation/error_rate"] for key, scores in attributes.items() if "member" in key]
        assert sorted(means) == list(range(1, len(folds) + 1))
        assert means[len(folds)] == pytest.approx(np.mean(folds), abs=1e-15)
        if state == "COMPLETE":
            assert len(folds) == 3 and values == [means[3]]
        else:
            assert len(folds) < 3 and np.mean(folds) > once[0][4][len(folds)]  # worse on the same clips
            assert attributes[f"after {len(folds)}"]["decision"] == "stop"
    members = check_runs(project)
    assert len(members) < 12
    inner = {run.data.tags["member"]: run.data.params.get("protocol.inner_fold") for run in members}
    assert inner == {"0": None, "1": "1", "2": "2"}  # the first is the training of a study with one
    best = next(run for run in project.tracking().runs("tiny", "tags.kind = 'trial'"))
    assert best.data.metrics["best/validation/error_rate"] == once[0][3][0]
    curve = project.tracking().history(best.info.run_id, "validation/error_rate")
    assert [step for step, _ in curve] == [1, 2, 3]

    # extended in two sittings, and with trainings that end in another order: the same trials
    project.use_runs(tmp_path / "again")
    shutil.copytree(empty, project.runs)
    project.edit("studies", "trials = 4", "trials = 2")
    assert run_in_fork(monkeypatch) == 0
    project.edit("studies", "trials = 2", "trials = 4")
    assert run_in_fork(monkeypatch, slots=3, order=lambda jobs: jobs[-1]) == 0
    kept = [(number, params) for number, _, params, *_ in summary(project)]
    assert kept == [(number, params) for number, _, params, *_ in once]
    assert summary(project)[:2] == once[:2]
    check_runs(project)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (judged.JudgedTrials, "epoch", 2),  # in the second member of trial 0
        (judged.JudgedTrials, "_give_settings", 2),
        (verdicts.records, "finish_run", 2),  # a member's files are in MLflow, its lease is held
        (verdicts.Verdicts, "_drops", 3),  # the decision is stored, not acted on
        (verdicts.Verdicts, "end", 1),  # the trial's end is stored, nobody is told
        (judged.records, "ending", 2),
    ],
)
def test_a_killed_study_is_the_same(
    project: Any, empty: Path, undisturbed: list[Any], monkeypatch: Any, owner: Any, name: str, call: int
) -> None:
    judge_over_folds(project, empty, trials=3)
    assert run_in_fork(monkeypatch, die=(owner, name, call)) == -signal.SIGKILL
    assert run_in_fork(monkeypatch) == 0
    assert summary(project) == undisturbed
    check_runs(project)


def test_a_failed_member_fails_its_trial_with_the_fold_and_only_it_is_trained_again(
    project: Any, empty: Path, monkeypatch: Any
) -> None:
    judge_over_folds(project, empty, trials=1)
    project.edit("experiments", 'fault = "none"', 'fault = "raise"')
    assert run_in_fork(monkeypatch) == 1
    [trial] = project.trials()
    assert trial.state.name == "FAIL" and trial.user_attrs["reason"] == "fold 1: RuntimeError: as ordered"
    assert run_in_fork(monkeypatch, retry_failed=True) == 1
    runs = project.tracking().runs("tiny", "tags.kind = 'member' and tags.trial = '1'")
    assert [run.data.tags["outcome"] for run in runs] == ["answered", "failed"]


def test_seeds_judge_on_one_split_and_are_none_that_report(
    project: Any, empty: Path, monkeypatch: Any
) -> None:
    judge_over_folds(project, empty, 2, JUDGED.replace('"folds"', '"seeds"\nn = 3\ndrop = false'))
    assert run_in_fork(monkeypatch) == 0
    members = check_runs(project)
    places = {(run.data.params["seed"], run.data.params.get("protocol.split_seed")) for run in members}
    assert places == {("0", None), ("3", "0"), ("4", "0")}  # 1 and 2 are the experiment's seeds
    assert len(members) == 6 and [trial.state.name for trial in project.trials()] == ["COMPLETE"] * 2


def test_a_training_done_before_is_copied(project: Any, empty: Path, monkeypatch: Any) -> None:
    judge_over_folds(project, empty, trials=4)
    project.edit("studies", "optimizer.learning_rate = { low = 1e-3, high = 1e-1, log = true }\n", "")
    assert run_in_fork(monkeypatch, slots=2) == 0
    by_units: dict[int, set[Any]] = {}
    for trial in project.trials():
        by_units.setdefault(trial.params["network.units"], set()).add(trial.value)
    assert all(len(values) == 1 for values in by_units.values())
    members = check_runs(project)
    done = [run.data.tags["fingerprint"] for run in members if run.data.tags["outcome"] == "complete"]
    assert len(done) == len(set(done)) < len(members)


def test_several_metrics_are_means_too(project: Any, empty: Path, monkeypatch: Any) -> None:
    judge_over_folds(project, empty, trials=4)
    project.edit("studies", 'metric = "validation/error_rate"\ndirection = "minimize"\n', "")
    several = (
        'metrics = ["validation/error_rate", "validation/loss"]\ndirections = ["minimize", "minimize"]\n'
    )
    project.edit("studies", "trials = 4", f"{several}trials = 4")
    assert run_in_fork(monkeypatch) == 0
    values: Sequence[Any] = project.trials()[0].values
    assert values[1] == pytest.approx(values[0] + 1)
    check_runs(project)
