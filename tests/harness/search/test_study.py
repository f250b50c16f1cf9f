"""Studies of the tiny family, through the real command."""

import os
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.harness.conftest import PATIENCE

pytestmark = pytest.mark.slow


def test_a_study_does_not_go_on_with_other_data(project) -> None:
    """As after a generator got another VERSION: the old trials' scores are of other sounds."""
    project.edit("studies", "trials = 5", "trials = 2")
    project.run("study", "tiny", "--slots", "1")
    tracking = project.tracking()
    for run in tracking.runs("tiny", "tags.kind = 'trial'"):
        tracking.client.set_tag(run.info.run_id, "data", "0ther")
    project.edit("studies", "trials = 2", "trials = 3")
    said = project.run("study", "tiny", "--slots", "1", code=2)
    assert (
        "earlier trials used data 0ther, but the data are now" in said
        and "change sampler_seed to start a new study" in said
    )
    project.edit("studies", "sampler_seed = ", "sampler_seed = 7")
    assert "resumes" not in project.run("study", "tiny", "--slots", "1")


def test_with_one_slot_two_runs_of_a_study_are_equal_and_the_number_is_a_total(project, whole_study) -> None:
    once = whole_study
    assert len(once) == 5
    # trial 0 is the experiment itself
    assert once[0][2] == {
        "network.units": 8,
        "optimizer.learning_rate": 0.05,
    }
    project.edit("studies", "trials = 5", "trials = 3")
    project.run("study", "tiny", "--slots", "1")
    project.edit("studies", "trials = 3", "trials = 5")
    # extended, in two sittings: the same study
    assert "resumes: 3 trials done" in project.run("study", "tiny", "--slots", "1")
    assert project.summary() == once
    assert "5 trials done" in project.run("study", "tiny", "--slots", "2")
    assert project.summary() == once  # a finished study has nothing left to do

    runs = project.tracking().runs("tiny")
    parents = [run for run in runs if run.data.tags["kind"] == "study"]
    assert len(parents) == 1
    trials = [run for run in runs if run.data.tags["kind"] == "trial"]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parents[0].info.run_id}
    assert sorted(int(run.data.tags["trial"]) for run in trials) == list(range(5))
    state = {"COMPLETE": ("FINISHED", "complete"), "PRUNED": ("KILLED", "pruned")}
    for run in trials:
        assert (run.info.status, run.data.tags["outcome"]) == state[once[int(run.data.tags["trial"])][1]]
        assert run.data.params["optimizer.learning_rate"] == str(
            once[int(run.data.tags["trial"])][2]["optimizer.learning_rate"]
        )
        assert {"training.epochs", "data.dataset", "seed", "limits.seconds"} <= run.data.params.keys()
        assert {
            "commit",
            "dirty",
            "lock",
            "data",
            "code",
            "seed",
            "mlflow.note.content",
        } <= run.data.tags.keys()
        assert run.inputs.dataset_inputs[0].dataset.name == "tinylab.tones"
        curve = dict(project.tracking().history(run.info.run_id, "validation/error_rate"))
        best = run.data.metrics["best/validation/error_rate"]  # of a pruned trial so far
        assert best == pytest.approx(curve[int(run.data.metrics["best_epoch"])])
        history = project.tracking().client.get_metric_history
        for name in ("best/validation/error_rate", "best_epoch", "cost/wall_seconds", "parameters"):
            assert [point.step for point in history(run.info.run_id, name)] == [0], name  # a bar, not a curve
        assert run.data.tags["mlflow.source.name"] == "tiny.toml" and run.data.tags["mlflow.user"]
        assert run.data.tags["mlflow.source.git.commit"] == run.data.tags["commit"]
    links = {str(trial.number): trial.user_attrs["mlflow"] for trial in project.trials()}
    assert all(links[run.data.tags["trial"]].endswith(f"/runs/{run.info.run_id}") for run in trials)
    table = {one.path for one in project.tracking().client.list_artifacts(parents[0].info.run_id)}
    assert {"trials.csv", "trials.json"} <= table


def test_every_fault_ends_its_trial_with_the_reason_and_the_study_goes_on(project) -> None:
    project.edit("experiments", "memory_megabytes = 2000", "memory_megabytes = 1200")
    search = 'network.fault = { choices = ["none", "raise", "crash", "memory", "nan"] }\n'
    project.edit("studies", "network.units = { choices = [4, 8] }\n", search)
    # fewer than TPE begins with: drawn by their numbers, whatever ends first
    # however many of those that end first fail alike: on a loaded machine the first may well end last
    project.edit("studies", "trials = 5", "trials = 8\nstop_after_failures = 9")
    project.edit("studies", "sampler_seed = 3", "sampler_seed = 4")
    project.run("study", "tiny", "--slots", "2")
    wanted = {
        "raise": "RuntimeError: as ordered",
        "crash": "killed by SIGSEGV",
        "memory": "exceeded limits.memory_megabytes = 1200",
        "nan": "loss is nan at epoch 0, step 0",
    }
    runs = {run.data.tags["trial"]: run for run in project.tracking().runs("tiny", "tags.kind = 'trial'")}
    seen = set()
    for trial in project.trials():
        fault, run = trial.params["network.fault"], runs[str(trial.number)]
        seen.add(fault)
        if fault == "none":
            assert trial.state.name in ("COMPLETE", "PRUNED")
        else:
            assert trial.state.name == "FAIL" and run.info.status == "FAILED"
            assert wanted[fault] in run.data.tags["reason"] and wanted[fault] in trial.user_attrs["reason"]
    assert seen == {"none", *wanted}


def test_a_training_that_hangs_is_ended_at_its_limit_and_the_study_goes_on(project) -> None:
    """All trials hang: one that does not might take as long on a loaded machine."""
    project.edit("experiments", "seconds = 3600.0", "seconds = 1.0")
    project.edit("experiments", 'fault = "none"', 'fault = "hang"')
    project.edit("studies", "trials = 5", "trials = 3")
    assert "the first 3 trials failed alike" in project.run("study", "tiny", "--slots", "2", code=1)
    trials = project.trials()
    assert [trial.state.name for trial in trials] == ["FAIL"] * 3
    assert all("exceeded limits.seconds = 1" in trial.user_attrs["reason"] for trial in trials)
    assert {run.info.status for run in project.tracking().runs("tiny", "tags.kind = 'trial'")} == {"FAILED"}


AT_CALL = """
import itertools
from {module} import {owner}
whole, calls = {owner}.{method}, itertools.count(1)
def dying(*arguments, **options):
    call = next(calls)
    if call == {call} and not {after}: die()
    result = whole(*arguments, **options)
    if call == {call}: die()
    return result
{owner}.{method} = dying
"""


@pytest.mark.parametrize(
    ("module", "owner", "method", "call", "after"),
    [
        ("optuna", "Study", "tell", 3, False),  # MLflow knows the end of the trial, Optuna does not
        pytest.param("optuna", "Study", "tell", 3, True, marks=pytest.mark.faults),
        ("audiomtl.harness.record.store", "Tracking", "end", 2, False),  # the child has ended, nobody knows
        # a run without params; one whose scores are there, but not its files; only its status is not
        pytest.param("audiomtl.harness.record.store", "Tracking", "start", 3, True, marks=pytest.mark.faults),
        pytest.param("mlflow", "MlflowClient", "log_artifacts", 2, False, marks=pytest.mark.faults),
        pytest.param("mlflow", "MlflowClient", "set_terminated", 2, False, marks=pytest.mark.faults),
        # trial 0 has written its places at two rungs and its end; of trial 1 the place at a rung is written, not
        # its verdict; the verdict, which is not acted on
        pytest.param("optuna.trial", "Trial", "set_user_attr", 4, True, marks=pytest.mark.faults),
        pytest.param("optuna.trial", "Trial", "set_user_attr", 5, True, marks=pytest.mark.faults),
    ],
)
def test_a_kill_between_two_stores_changes_nothing(
    project, whole_study, module, owner, method, call, after
) -> None:
    patch = AT_CALL.format(module=module, owner=owner, method=method, call=call, after=after)
    project.run_killed(patch, "study", "tiny", "--slots", "1")
    project.run("study", "tiny", "--slots", "1")
    killed = project.summary()
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert sorted(int(run.data.tags["trial"]) for run in runs) == [0, 1, 2, 3, 4]
    status = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
    assert all(run.info.status == status[killed[int(run.data.tags["trial"])][1]] for run in runs)
    assert all(
        "optimizer.learning_rate" in run.data.params and run.data.tags["outcome"] in ("complete", "pruned")
        for run in runs
    )
    for run in runs:
        files = {one.path for one in project.tracking().client.list_artifacts(run.info.run_id)}
        assert {"weights.npz", "history.json"} <= files or run.data.tags["outcome"] == "pruned"
    assert [run.info.status for run in project.tracking().runs("tiny", "tags.kind = 'study'")] == ["FINISHED"]
    assert not list(project.runs.glob("staging/*")) and not list(project.runs.glob("checkpoints/*"))

    assert killed == whole_study


@pytest.mark.faults
def test_ctrl_c_while_the_server_still_imports_tensorflow(project) -> None:
    process = project.start("study", "tiny", "--slots", "2", cold=True)
    while not _imports(process.pid):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in output
    if (project.runs / "mlflow.db").exists():
        assert not project.tracking().runs("tiny", "attributes.status = 'RUNNING'")


def _imports(pid: int) -> bool:
    """Whether a command has started its server, and Ctrl-C, which it ignores while it does that, reaches
    it again.
    """
    try:
        servers = [
            child for child in psutil.Process(pid).children() if "forkserver" in " ".join(child.cmdline())
        ]
        ignored = re.search(r"^SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (psutil.Error, OSError):
        return False
    return bool(servers and ignored and not int(ignored[1], 16) & 1 << (signal.SIGINT - 1))


def test_ctrl_c_stops_what_stands_still_and_the_same_trial_goes_on(project) -> None:
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.01")
    process = project.start_held("1:3", "study", "tiny", "--slots", "2")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in output and "resumes" in output
    stopped = {run.data.tags["trial"]: run for run in project.tracking().runs("tiny", "tags.kind = 'trial'")}
    assert {run.info.status for run in stopped.values()} == {"KILLED"}

    project.edit("experiments", "pause_seconds = 0.01", "pause_seconds = 0.0")
    output = project.run("study", "tiny", "--slots", "2")
    assert "starting a new study" in output  # pause_seconds is a setting outside the search
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.01")
    project.edit("studies", "trials = 5", "trials = 3")
    project.run("study", "tiny", "--slots", "2")
    after = {
        run.data.tags["trial"]: run
        for run in project.tracking().runs(
            "tiny", "params.network.pause_seconds = '0.01' and tags.kind = 'trial'"
        )
    }
    assert sorted(after) == ["0", "1", "2"]
    assert all(after[trial].info.run_id == run.info.run_id for trial, run in stopped.items())
    assert not project.tracking().runs("tiny", "attributes.status = 'RUNNING'")


@pytest.mark.parametrize("slots", ["1", pytest.param("2", marks=pytest.mark.faults)])
def test_settings_trained_before_are_answered(project, slots: str) -> None:
    project.edit("studies", "optimizer.learning_rate = { low = 1e-3, high = 1e-1, log = true }\n", "")
    project.run("study", "tiny", "--slots", slots)
    trials = project.trials()
    assert len(trials) == 5
    runs = {run.data.tags["trial"]: run for run in project.tracking().runs("tiny", "tags.kind = 'trial'")}
    first: dict[int, int] = {}
    for trial in trials:
        units = trial.params["network.units"]
        if units in first:
            assert runs[str(trial.number)].data.tags["outcome"] == "answered"
            assert trial.value == trials[first[units]].value
        else:
            first[units] = trial.number
            assert runs[str(trial.number)].data.tags["outcome"] in ("complete", "pruned")
