"""Whose fault a failure is: the machine's is no result, a failed setting may be tried again."""

import os
import re
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from audiomtl.harness.search import retries
from tests.harness.conftest import PATIENCE

pytestmark = pytest.mark.slow


def faulty(project: Any, fault: str, trials: int = 2) -> None:
    project.edit("experiments", 'fault = "none"', f'fault = "{fault}"')
    project.edit("studies", "trials = 5", f"trials = {trials}")


@pytest.mark.parametrize("fault", ["kill once", pytest.param("disk once", marks=pytest.mark.faults)])
def test_a_training_that_the_machine_ended_starts_again_and_is_no_failure(project: Any, fault: str) -> None:
    faulty(project, fault)
    said = project.run("study", "tiny", "--slots", "1")
    assert "trial 0: " in said and said.count("it starts again from its last checkpoint") == 1
    assert ("killed by SIGKILL" if fault == "kill once" else "No space left on device") in said
    assert [trial.number for trial in project.trials()] == [0, 1]
    assert {trial.state.name for trial in project.trials()} <= {"COMPLETE", "PRUNED"}


def test_a_machine_that_ends_every_training_pauses_the_study_and_no_trial_is_used_up(project: Any) -> None:
    faulty(project, "kill")
    project.edit("experiments", "memory_megabytes = 2000", "memory_megabytes = 2000\nretries = 1")
    said = project.run("study", "tiny", "--slots", "1", code=1)
    assert "trial 0: the machine ended this training 2 times in a row" in said and "Traceback" not in said
    assert "next:" not in said and said.count("it starts again") == 1
    [trial] = project.trials()
    assert trial.state.name == "RUNNING"
    [run] = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert run.info.status == "KILLED" and "outcome" not in run.data.tags
    said = project.run("study", "tiny", "--slots", "1", code=1)  # the same trial, not the next one
    assert "0 trials done, 1 interrupted" in said and len(project.trials()) == 1


def test_a_study_whose_first_trials_fail_alike_stops_and_retries_them_when_asked(project: Any) -> None:
    faulty(project, "raise", trials=6)
    said = project.run("study", "tiny", "--slots", "1", code=1)
    assert "the first 3 trials failed alike: RuntimeError: as ordered" in said and "next:" not in said
    assert "--retry-failed" in said and [trial.state.name for trial in project.trials()] == ["FAIL"] * 3


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        ({}, ""),
        ({1: {"retry of": 0}, 0: {}}, "1 of 3 trials failed (1): as ordered; fix the cause, then run"),
        (
            {0: {"limit": ["limits.seconds", 1]}, 2: {}},
            "2 of 3 trials failed (0, 2): as ordered; raise limits.seconds in tiny.toml, then run",
        ),
    ],
)
def test_failed_trials_are_named_with_what_trains_them(failed: dict[int, dict[str, Any]], line: str) -> None:
    trials = []
    for number in range(3):
        state = TrialState.FAIL if number in failed else TrialState.COMPLETE
        own = {"reason": "as ordered", **failed.get(number, {})}
        value = None if number in failed else 1.0
        trials.append(optuna.trial.create_trial(state=state, value=value, user_attrs=own))
        trials[-1].number = number
    file: Any = SimpleNamespace(name="tiny", experiment=SimpleNamespace(path="tiny.toml"))
    assert retries.told(trials, file) == (f"{line} `audiomtl study tiny --retry-failed`" if line else "")


def test_failed_settings_are_trained_again_under_new_numbers(project: Any) -> None:
    faulty(project, "hang")
    project.edit("studies", "trials = 2", "trials = 2\nstop_after_failures = 10")
    project.edit("experiments", "seconds = 3600.0", "seconds = 1.0")
    said = project.run("study", "tiny", "--slots", "2", code=1)
    assert "no trial of this study is complete" in said or "failed alike" in said
    said = project.run("study", "tiny", "--slots", "2", "--retry-failed", code=1)
    assert "trial 0 failed and is trained again under a new number (--retry-failed)" in said
    assert [trial.state.name for trial in project.trials()] == ["FAIL"] * 4
    assert project.trials()[2].params == project.trials()[0].params

    # raising the limit is enough; trials 0 and 1 were tried again already
    project.edit("experiments", "seconds = 1.0", "seconds = 2.0")
    said = project.run("study", "tiny", "--slots", "2", code=1)
    assert said.count("(limits.seconds was raised from 1 to 2)") == 2
    assert [trial.user_attrs.get("retry of") for trial in project.trials()[4:]] == [2, 3]


def read_until(process: Any, pattern: str) -> str:
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(said)


def test_several_workers_share_a_study_and_take_over_from_one_that_is_killed(
    project: Any, whole_study: Any
) -> None:
    first = project.start_held("1:0", "study", "tiny", "--slots", "1")
    second = project.start("study", "tiny", "--slots", "1")
    read_until(second, "waiting for trials that other workers train")
    assert project.trials()[0].state.name == "RUNNING" and len(project.trials()) == 5
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0 and "trial 0:" in said, said
    assert len(project.trials()) == 5 and all(trial.state.is_finished() for trial in project.trials())
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(5))
    # trial 0 has the settings of the experiment in both: the same bits, although it changed hands
    assert project.summary()[0] == whole_study[0]
    steps = project.tracking().history(
        next(r for r in runs if r.data.tags["trial"] == "0").info.run_id, "train/loss"
    )
    assert [step for step, _ in steps] == list(range(1, len(steps) + 1))


def epochs_recorded(project: Any) -> int:
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    return max((len(project.tracking().history(run.info.run_id, "train/loss")) for run in runs), default=0)


@pytest.mark.faults
def test_a_worker_that_slept_past_its_lease_writes_nothing(project: Any) -> None:
    environment = {"AUDIOMTL_LEASE_SECONDS": "3"}
    first = project.start_held("1:0", "study", "tiny", "--slots", "1", **environment)
    while not epochs_recorded(project):  # a worker that is stopped while it writes would keep SQLite locked
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGSTOP)
    second = project.start("study", "tiny", "--slots", "1", **environment)
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0 and "trial 0:" in said, said
    before = project.summary()
    ends = {
        run.info.run_id: run.info.end_time for run in project.tracking().runs("tiny", "tags.kind = 'trial'")
    }
    drained: list[str] = []
    reader = threading.Thread(target=lambda: drained.append(first.stdout.read()))
    reader.start()
    (project.folder / "held").unlink()
    os.killpg(first.pid, signal.SIGCONT)
    first.wait(timeout=PATIENCE)
    reader.join()
    first.stdout.close()
    assert first.returncode == 0 and "another worker has taken this trial over" in drained[0], drained
    assert project.summary() == before
    after = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert {run.info.run_id: run.info.end_time for run in after} == ends
    assert not project.tracking().runs("tiny", "attributes.status = 'RUNNING'")


def test_data_that_change_while_a_study_runs_stop_it_before_the_next_trial(project: Any) -> None:
    process = project.start_held("1:0", "study", "tiny", "--slots", "1")
    recording = next(project.folder.glob("cache/corpora/tones/*.wav"))
    recording.write_bytes(recording.read_bytes()[:-2] + b"\1\1")
    (project.folder / "held").unlink()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and "the data have changed while the study ran" in said, said
    assert "trial 0: validation/error_rate" in said and "Traceback" not in said
    assert [trial.state.name for trial in project.trials()] == ["COMPLETE", "RUNNING"]


@pytest.mark.faults
def test_take_over_does_not_wait_for_a_lease_to_expire(project: Any) -> None:
    project.edit("studies", "trials = 5", "trials = 2")
    first = project.start_held("1:0", "study", "tiny", "--slots", "1")
    while not epochs_recorded(project):
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGSTOP)  # its lease of 30 s is held, and its process is there
    said = project.run("study", "tiny", "--slots", "1", "--take-over")
    assert "waiting for trials" not in said and "trial 0:" in said
    assert all(trial.state.is_finished() for trial in project.trials())
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
