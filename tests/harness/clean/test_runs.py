"""What trainings left: only what nothing needs any more goes."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness.clean import runs
from audiomtl.harness.clean.things import Found
from audiomtl.harness.record.runs import existing
from audiomtl.harness.record.store import runs_folder
from audiomtl.harness.search.storage import open_storage
from audiomtl.system import process_identity
from tests.harness.clean.conftest import listing, written

GONE = ":".join([*process_identity().split(":")[:1], "1", "0", *process_identity().split(":")[3:]])


def look(storage: str = "") -> Found:
    return runs.found(existing(), runs.existing_leases(storage))


def remove(found: Found) -> list[bool]:
    return [thing.remove() for rule in found.rules for thing in rule.things]


def cut_off(store: Any, kind: str, seed: int, *, status: str = "KILLED", **tags: str) -> str:
    """A run without an outcome."""
    every = {"kind": kind, "seed": str(seed), "ablation": "", **tags}
    run = store.tracking.start("tiny", f"{kind} {seed}", tags=every, description="")
    if status != "RUNNING":
        store.tracking.client.set_terminated(run, status)
    return str(run)


def lease(owner: str, name: str) -> None:
    """Let a process hold a lease."""
    leases = runs.Leases(open_storage().engine, owner=owner)
    assert leases.take(name)


def trainings(store: Any) -> tuple[dict[str, str], dict[str, str]]:
    """{what: run} of trainings that are over, and of those that run or can be resumed."""
    identity = config.load_study("tiny").identity
    done, later = {"study": "tiny", "study_key": "done"}, {"study": "tiny", "study_key": identity}
    tracking = store.tracking
    parent = tracking.start("tiny", "study", tags={"kind": "study", **done}, description="")
    tracking.client.set_terminated(parent, "FINISHED")
    paused = tracking.start("tiny", "study", tags={"kind": "study", **later}, description="")
    tracking.client.set_terminated(paused, "KILLED")
    over = {
        "cut off, trained since with other settings": cut_off(store, "best", 1),
        "cut off, its worker was killed": cut_off(store, "best", 1, status="RUNNING", lease="best/gone"),
        "cut-off ablation, trained since": cut_off(store, "ablation", 1, ablation="narrow"),
        "complete": store.best(1, 0.1, 0.2),
        "failed": store.best(3, 0.1, 0.2, outcome="failed"),
        "ablation": store.narrow(1, 0.3),
        "pruned trial": store.trial(1, {}, "pruned"),
        "cut-off trial of a finished study": cut_off(store, "trial", 0, trial="1", **done),
        "cut-off member of a finished study": cut_off(store, "member", 0, trial="2", member="1", **done),
    }
    stay = {
        "stopped again, complete before (--again)": cut_off(store, "best", 1),
        "runs, complete before": cut_off(store, "best", 3, status="RUNNING"),
        "another ablation was trained since": cut_off(store, "ablation", 1, ablation="same"),
        "trial of a study that can be resumed": cut_off(store, "trial", 0, trial="3", **later),
        "training with a new seed after its study": cut_off(store, "optimism", 1001, trial="1", **done),
        "curve": cut_off(store, "curve", 1),
        "MLflow has its outcome, but not yet its files": store.best(2, 0.1, 0.2, lease="best/x"),
        "complete, its worker still writes": store.best(2, 0.1, 0.2, code="code2", lease="best/held"),
        "of another store": "f" * 32,
    }
    tracking.resume(stay["MLflow has its outcome, but not yet its files"])
    stay["stopped"] = cut_off(store, "best", 2)
    lease(GONE, "best/gone")
    lease(process_identity(), "best/held")
    return over, stay


def test_only_files_of_trainings_that_are_over_go(store: Any, tmp_path: Path) -> None:
    over, stay = trainings(store)
    names = {run: what for what, run in (over | stay).items()}
    places = runs_folder() / "checkpoints", runs_folder() / "staging"
    for run in names:
        written(places[0], f"{run}/1/weights.npz", 700)
        written(places[0], f"{run}/2/weights.npz", 300)
        written(places[1], f"{run}-2/settings.toml", 10)
    outside = written(tmp_path / "outside", "weights.npz")
    linked = store.best(4, 0.1, 0.2)
    (places[0] / linked).symlink_to(outside.parent)
    (places[1] / f"{linked}-1").symlink_to(outside.parent)
    before = listing(runs_folder())

    found = look()

    assert listing(runs_folder()) == before, "looking changes nothing"
    assert [(len(rule.things), rule.size) for rule in found.rules[:2]] == [
        (len(over), 1000 * len(over)),
        (len(over), 10 * len(over)),
    ]
    assert len(found.notes) == 2 and f"{len(stay) - 1} trainings stay" in found.notes[0]
    assert "1 trainings stay, whose runs" in found.notes[1]
    assert all(remove(found))
    for place in places:
        left = {names[path.name.partition("-")[0]] for path in place.iterdir() if not path.is_symlink()}
        assert left == set(stay)
    assert outside.exists() and (places[0] / linked).is_symlink()
    assert remove(look()) == []


def test_a_training_that_begins_before_its_files_are_removed_keeps_them(store: Any) -> None:
    run = store.best(1, 0.1, 0.2, lease="best/x")
    path = written(runs_folder(), f"checkpoints/{run}/1/weights.npz")
    open_storage()
    found = look()
    lease(process_identity(), "best/x")
    assert remove(found) == [False] and path.exists()


def test_a_removal_that_was_cut_off_is_finished_the_next_time(store: Any, monkeypatch: Any) -> None:
    run = store.best(1, 0.1, 0.2)
    written(runs_folder(), f"checkpoints/{run}/1/weights.npz")

    def die(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs.shutil, "rmtree", die)
        remove(look())
    assert not (runs_folder() / "checkpoints" / run).exists(), "no half of a checkpoint is under its name"
    assert remove(look()) == [True] and list((runs_folder() / "checkpoints").iterdir()) == []


# ---------------------------------------------------------------- artifacts

FILES = (
    "settings.toml",
    "log.txt",
    "history.json",
    "figures/confusion.png",
    "predictions_validation.parquet",
    "predictions_validation.json",
    "windows_validation.parquet",
)
NEEDED = {name for name in FILES if name.startswith(("settings", "predictions"))}


def with_files(store: Any, run: str, folder: Path) -> str:
    for name in FILES:
        written(folder, name, 10)
    store.tracking.client.log_artifacts(run, str(folder))
    return run


def kept_files(store: Any, run: str) -> set[str]:
    client = store.tracking.client
    items = client.list_artifacts(run)
    return {
        one.path
        for item in items
        for one in (client.list_artifacts(run, item.path) if item.is_dir else [item])
    }


def test_artifacts_of_pruned_trials_go_and_all_others_stay(store: Any, tmp_path: Path) -> None:
    pruned = {"trial": store.trial(1, {"best/validation/error_rate": 0.5}, "pruned")}
    dropped = store.trial(2, {}, "pruned")
    complete = store.trial(0, {"best/validation/error_rate": 0.4}, "complete")
    for name, outcome in (("complete member", "complete"), ("pruned member", "pruned")):
        tags = {"member": "0", "trial": "2", "mlflow.parentRunId": dropped}
        pruned[name] = store.add("member", 0, {}, outcome=outcome, **tags)
    stay = {
        "complete trial": complete,
        "its member": store.add("member", 0, {}, **{"mlflow.parentRunId": complete, "member": "0"}),
        "best": store.best(1, 0.1, 0.2),
        "pruned, still written": store.trial(4, {}, "pruned"),
        "answered": store.trial(5, {}, "answered"),
        "failed": store.trial(6, {}, "failed"),
        "interrupted": cut_off(store, "trial", 0, trial="7"),
    }
    store.tracking.client.update_run(stay["pruned, still written"], status="RUNNING")
    for number, run in enumerate([*pruned.values(), *stay.values()]):
        with_files(store, run, tmp_path / str(number))
    before = {run: store.tracking.client.get_run(run).data.to_dictionary() for run in pruned.values()}

    found = look()
    assert [(len(rule.things), rule.size) for rule in found.rules] == [(0, 0), (0, 0), (3, 3 * 40)]
    assert all(remove(found))

    for what, run in pruned.items():
        assert kept_files(store, run) == NEEDED, what
        assert store.tracking.client.get_run(run).data.to_dictionary() == before[run]
    for what, run in stay.items():
        assert kept_files(store, run) == set(FILES), what
    assert remove(look()) == []


def test_artifacts_behind_links_stay(store: Any, tmp_path: Path) -> None:
    run = with_files(store, store.trial(1, {}, "pruned"), tmp_path / "files")
    place = runs.artifacts.folder(store.tracking.client.get_run(run))
    outside = written(tmp_path / "outside", "a.png").parent
    (place / "linked").symlink_to(outside)
    assert all(remove(look())) and os.listdir(outside) == ["a.png"]
    other = with_files(store, store.trial(2, {}, "pruned"), tmp_path / "files")
    folder = runs.artifacts.folder(store.tracking.client.get_run(other))
    moved = folder.rename(tmp_path / "moved")
    folder.symlink_to(moved)
    found = look()
    assert remove(found) == [] and "links lead out" in found.notes[0]
    assert len(os.listdir(moved)) == len({name.split("/")[0] for name in FILES})


def test_a_store_that_others_use_is_cleaned_of_this_project_only(
    store: Any, tmp_path: Path, monkeypatch
) -> None:
    own = with_files(store, store.trial(1, {}, "pruned"), tmp_path / "files")
    other = with_files(store, store.trial(1, {}, "pruned", experiment="others"), tmp_path / "files")
    shared = tmp_path / "shared.db"
    with (
        contextlib.closing(sqlite3.connect(runs_folder() / "mlflow.db")) as before,
        contextlib.closing(sqlite3.connect(shared)) as copy,
    ):
        before.backup(copy)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}")
    assert [len(rule.things) for rule in look().rules] == [0, 0, 1]
    assert remove(look()) == [True]
    assert kept_files(store, own) == NEEDED and kept_files(store, other) == set(FILES)


def test_looking_makes_no_store(project: Any) -> None:
    assert remove(look()) == [] and not project.runs.exists()
