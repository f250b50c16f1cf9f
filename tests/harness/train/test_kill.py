"""A run that is killed with SIGKILL at any batch and started again ends with bit-identical weights and
scores.
"""

import os
import random
import signal
from pathlib import Path

import mlflow
import numpy as np
import pytest

pytestmark = pytest.mark.slow


def _weights(project, run_id: str) -> dict[str, np.ndarray]:
    folder = Path(project.tracking().client.download_artifacts(run_id, "weights.npz"))
    with np.load(folder) as stored:
        return {name: stored[name] for name in stored.files}


def _trial_runs(project) -> dict[str, mlflow.entities.Run]:
    return {run.data.tags["trial"]: run for run in project.tracking().runs("tiny", "tags.kind = 'trial'")}


def _kill_after_epochs(project, epochs: int, **environment: str) -> None:
    """Start the study; SIGKILL its whole process group while it trains the epoch after ``epochs``."""
    batch = random.Random(epochs).randrange(10)
    process = project.start_held(f"{epochs}:{batch}", "study", "tiny", "--slots", "1", **environment)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # the training may be ahead of what its worker has recorded
    assert len(project.tracking().history(_trial_runs(project)["0"].info.run_id, "validation/loss")) <= epochs


@pytest.fixture
def slow_project(project):
    """One trial of 8 epochs of 10 batches.

    Its plateau rule strikes in epochs 3 and 4, its best epoch is the last.
    """
    project.edit("experiments", "clips = 64", "clips = 160")
    project.edit("experiments", "learning_rate = 0.05", "learning_rate = 0.005")
    project.edit("experiments", "plateau_patience = 2", "plateau_patience = 1")
    project.edit("experiments", "epochs = 6", "epochs = 8")
    project.edit("studies", "trials = 5", "trials = 1")
    return project


def test_a_killed_trial_comes_back_to_the_bit(slow_project, tmp_path) -> None:
    project = slow_project
    for epochs in (2, 5):
        _kill_after_epochs(project, epochs)
    before = _trial_runs(project)
    assert [run.info.status for run in before.values()] == ["RUNNING"]  # nobody was left to close it
    output = project.run("study", "tiny", "--slots", "1")
    assert "resumes" in output
    after = _trial_runs(project)
    assert {trial: run.info.run_id for trial, run in after.items()} == {
        trial: run.info.run_id for trial, run in before.items()
    }
    killed = after["0"]
    assert killed.info.status == "FINISHED"
    history = project.tracking().history(killed.info.run_id, "validation/loss")
    assert [step for step, _ in history] == list(range(1, 9))  # each step once
    # after both kills, so that its weights depend on all that was restored
    assert killed.data.metrics["best_epoch"] == 8
    rates = [rate for _, rate in project.tracking().history(killed.info.run_id, "learning_rate")]
    assert rates[5] < 0.3 * rates[0]
    weights = _weights(project, killed.info.run_id)

    project.use_runs(tmp_path / "whole")
    project.run("study", "tiny", "--slots", "1")
    whole = _trial_runs(project)["0"]
    expected = _weights(project, whole.info.run_id)
    assert project.tracking().history(whole.info.run_id, "validation/loss") == history
    same = {key: value for key, value in killed.data.metrics.items() if not key.startswith("cost/")}
    assert same == {key: value for key, value in whole.data.metrics.items() if not key.startswith("cost/")}
    assert weights.keys() == expected.keys()
    assert all(np.array_equal(weights[name], expected[name]) for name in weights)

    # this test must be able to fail: without the optimizer's state the weights do not come back
    project.use_runs(tmp_path / "dropped")
    _kill_after_epochs(project, 3)
    project.run("study", "tiny", "--slots", "1", TINYLAB_DROP_OPTIMIZER="1")
    dropped = _weights(project, _trial_runs(project)["0"].info.run_id)
    assert not all(np.array_equal(dropped[name], expected[name]) for name in expected)


def _members(project) -> dict[tuple[str, str], tuple]:
    """Of each training of each trial: status, weights, scores, and steps of a curve."""
    found: dict[tuple[str, str], tuple] = {}
    for run in project.tracking().runs("tiny", "tags.kind = 'member'"):
        tags, metrics = run.data.tags, run.data.metrics
        assert (tags["trial"], tags["member"]) not in found, "a training has two runs"
        scores = {key: value for key, value in metrics.items() if not key.startswith("cost/")}
        curve = project.tracking().history(run.info.run_id, "validation/loss")
        assert [step for step, _ in curve] == list(range(1, len(curve) + 1))
        found[tags["trial"], tags["member"]] = (run.info.status, tags["weights"], scores, curve)
    return found


@pytest.mark.faults
def test_trials_of_several_trainings_survive_kills_and_are_shared_by_workers(project, tmp_path) -> None:
    """SIGKILL inside the first and inside the second training of trial 0; then two workers from the start."""
    project.edit("studies", "trials = 5", "trials = 2")
    project.edit("studies", "\n[search]", '\n[judge]\nover = "seeds"\nn = 2\ndrop = false\n\n[search]')
    project.use_runs(tmp_path / "undisturbed")
    project.run("study", "tiny", "--slots", "1")
    trials, members = project.summary(), _members(project)
    assert [(state, len(steps)) for _, state, _, _, steps in trials] == [("COMPLETE", 2)] * 2
    assert sorted(members) == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]

    project.use_runs(tmp_path / "killed")
    for place in ("4:1", "1:1"):  # the first training goes on from epoch 4: only the second one comes to 1
        process = project.start_held(place, "study", "tiny", "--slots", "1")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert sorted(
        run.data.tags["member"] for run in project.tracking().runs("tiny", "tags.kind = 'member'")
    ) == ["0", "1"]
    project.run("study", "tiny", "--slots", "1")
    assert project.summary() == trials and _members(project) == members

    project.use_runs(tmp_path / "shared")
    workers = [project.start("study", "tiny", "--slots", "1") for _ in range(2)]
    for one in workers:
        said, _ = one.communicate()
        assert one.returncode == 0, said
    assert project.summary() == trials and _members(project) == members
