"""A changed search space keeps the trials that still lie in it: from MLflow's records, without training."""

from types import SimpleNamespace

import optuna
import pytest
from mlflow.entities import Metric
from optuna.trial import TrialState

from audiomtl import config
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.search import copies, extension, proposals, space

UNITS = "choices = [4, 8]"
RATE = "low = 1e-3, high = 1e-1"
DATA = SimpleNamespace(hash=lambda raw, name: "data")
# (units, learning rate, outcome, error rate): trial 0 is the experiment
TRIALS = [(8, 0.05, "complete", 0.4), (4, 0.002, "complete", 0.3), (8, 0.02, "pruned", 0.5)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOMTL_RUNS", str(tmp_path_factory.mktemp("extension") / "runs"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield Tracking()


@pytest.fixture
def recorded(store, study_file):
    """The study of ``tests/lab`` in MLflow, with three trials, under a name of its own."""
    file = study_file({})
    name = file.experiment.name
    if store.runs(name):
        return file
    tags = {"kind": "study", "study": file.name, "study_key": file.identity}
    parent = store.start(name, "study", tags=tags, description="")
    told = config.flatten(file.study.told("description"))
    store.log_params(parent, {f"study.{path}": value for path, value in told.items()})
    for number, (units, rate, outcome, error) in enumerate(TRIALS):
        own = {**tags, "kind": "trial", "trial": str(number), "seed": "0", "data": "data", "outcome": outcome}
        run = store.start(name, f"trial {number}", tags=own, description="")
        raw = config.override(file.raw, {"network.units": units, "optimizer.learning_rate": rate})
        store.log_settings(run, raw, 0, "data")
        curve = [
            Metric(key, error, 1000 + step, step)
            for step in (1, 2)
            for key in (file.study.metric, file.study.prune_on)
        ]
        store.client.log_batch(run, metrics=[*curve, Metric(f"best/{file.study.metric}", error, 1000, 0)])
        store.close(run, "FINISHED" if outcome == "complete" else "KILLED")
    # the pruned one once more, in another form of the study: a copy, which has no curve
    own = {**tags, "study_key": "form", "kind": "trial", "trial": "2", "seed": "0", "data": "data"}
    store.log_params(
        store.start(name, "study", tags={**tags, "study_key": "form"}, description=""),
        {f"study.{path}": value for path, value in told.items()},
    )
    copy = store.start(name, "trial 2", tags={**own, "outcome": "answered"}, description="")
    store.log_settings(copy, raw, 0, "data")
    store.close(copy, "KILLED")
    return file


def extended(store, file, trials=5):
    study = proposals.create_study(file, optuna.storages.InMemoryStorage())
    file.study.__dict__["trials"] = trials
    lines = extension.enqueue(store, study, file, DATA)
    again = extension.enqueue(store, study, file, DATA)
    assert again == []
    return study, lines


CASES = {
    "wider range": ({RATE: "low = 1e-4, high = 1.0"}, [8, 4, 8], 0),
    "one more choice": ({UNITS: "choices = [4, 8, 16]"}, [8, 4, 8], 0),
    "another path": (
        {"[search]\n": "[search]\noptimizer.momentum = { choices = [0.0, 0.9] }\n"},
        [8, 4, 8],
        0,
    ),
    "fewer choices": ({UNITS: "choices = [8, 16]"}, [8, 8], 1),
    "narrower range": ({RATE: "low = 1e-2, high = 1e-1"}, [8, 8], 1),
    "another seed of the sampler": ({"sampler_seed = 3": "sampler_seed = 4"}, [8], 0),
    "another score": ({"prune_after_epochs = 2": "prune_after_epochs = 3"}, [8], 0),
}


@pytest.mark.parametrize("case", CASES)
def test_trials_that_lie_in_the_changed_space_are_queued_once(store, recorded, study_file, case):
    changes, units, outside = CASES[case]
    file = study_file(changes)
    assert file.identity != recorded.identity
    study, lines = extended(store, file)
    waiting = [space.params_of(trial) for trial in study.trials]
    assert [params["network.units"] for params in waiting] == units
    assert all(trial.state == TrialState.WAITING for trial in study.trials)
    if case == "another path":
        assert all(params["optimizer.momentum"] == 0.9 for params in waiting)
    kept = [copies.KEPT in trial.user_attrs for trial in study.trials]
    if len(units) == 1:  # trial 0 alone, to be trained
        assert kept == [False] and lines == []
    else:
        assert all(kept) and lines[0].startswith(f"{len(units)} trials from before")
        assert ("1 others lie outside" in lines[0]) == bool(outside)


def test_a_changed_fixed_setting_keeps_nothing(store, recorded, study_file):
    file = study_file({UNITS: "choices = [4, 8, 16]"})
    file.experiment.raw["training"]["epochs"] += 1
    study, lines = extended(store, file)
    assert len(study.trials) == 1 and copies.KEPT not in study.trials[0].user_attrs and lines == []


def test_no_more_are_kept_than_the_study_has_trials(store, recorded, study_file):
    study, lines = extended(store, study_file({UNITS: "choices = [4, 8, 16]"}), trials=2)
    assert len(study.trials) == 2 and lines[0].startswith("2 trials")


def test_kept_trials_have_their_earlier_values_and_curves(store, recorded, study_file):
    """Also after a change of the code, which a study goes on with: the scores' key plays no part."""
    file = study_file({UNITS: "choices = [4, 8, 16]"})
    study, _ = extended(store, file)
    for _ in TRIALS:
        trial = study.ask()
        space.suggest(trial, file)
        copies.find(store, file, study, trial, "key of another code").tell()
    assert [(trial.state.name, trial.value) for trial in study.trials] == [
        ("COMPLETE", 0.4),
        ("COMPLETE", 0.3),
        ("PRUNED", 0.5),
    ]
    assert [trial.intermediate_values for trial in study.trials] == [{1: e, 2: e} for *_, e in TRIALS]
