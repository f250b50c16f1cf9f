"""What can be removed of ``runs/``: checkpoints and staged files of trainings that are over, and artifacts of
pruned trials.

A training is over if its run has an outcome; or if it was cut off and nothing resumes it, because its study
is finished, or because the same experiment, ablation and seed has been trained since. A run that the MLflow
store does not have may be in another store: what belongs to it stays. Whoever removes something holds the
run's lease meanwhile, as a worker does.

Parameters, metrics and tags stay, and of the artifacts those in `KEPT`: `audiomtl verify` reads the settings
of a run, and a trial judged by several trainings may be answered with one of a dropped trial, whose
predictions are compared. Nothing else reads artifacts of pruned trials. Contents: `found`.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from audiomtl import config
from audiomtl.harness import database
from audiomtl.harness.clean import things
from audiomtl.harness.clean.things import Found, Rule, Thing
from audiomtl.harness.executor import shown, storage_url
from audiomtl.harness.leases import Leases
from audiomtl.harness.record import artifacts
from audiomtl.harness.record.store import Run, Tracking, runs_folder
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.verify.run import find

KEPT = ("settings.toml", "predictions_validation.parquet", "predictions_validation.json")
TRIALS = ("trial", "member")
REPEATED = ("best", "ablation")  # kinds of runs of which a later one takes the place of one that was cut off


def existing_leases(storage: str = "") -> Leases | None:
    """The project's leases; None before its first training, because looking must not create a database."""
    url = storage_url(storage)
    path = database.sqlite_path(url)
    return None if path and not path.exists() else Leases(open_storage(storage).engine)


def found(tracking: Tracking | None, leases: Leases | None) -> Found:
    """What can be removed of ``runs/``."""
    live = [row.name for row in leases.live()] if leases else []
    left = _Left(tracking, leases, live)
    checkpoints = left.things(runs_folder() / "checkpoints", lambda name: name)
    staged = left.things(runs_folder() / "staging", lambda name: name.rpartition("-")[0])
    rules = [
        Rule("checkpoints of finished trainings", tuple(checkpoints)),
        Rule("temporary files of finished trainings", tuple(staged)),
    ]
    pruned, links = _pruned(tracking) if tracking else ([], 0)
    rules.append(Rule("artifacts of pruned trials", tuple(pruned)))
    notes = left.notes()
    if links:
        notes.append(f"artifacts of {links} pruned trials stay: symbolic links lead out of {_runs()}")
    return Found(rules, notes)


def _runs() -> str:
    return shown(runs_folder())


# ---------------------------------------------------------------- what trainings left


class _Left:
    """Folders that are named after runs."""

    def __init__(self, tracking: Tracking | None, leases: Leases | None, live: Sequence[str]) -> None:
        self.tracking, self.leases, self.live = tracking, leases, live
        self.resumable, self.unknown = set[str](), set[str]()  # ids of runs whose folders stay
        self.known: dict[str, Run | None] = {}

    def things(self, place: Path, run_of: Callable[[str], str]) -> list[Thing]:
        """The folders in ``place`` whose trainings are over."""
        if not things.inside(place, runs_folder()):
            return []
        folders = [path for path in sorted(place.iterdir()) if path.is_dir() and not path.is_symlink()]
        found = things.left_aside(place)
        for folder in folders:
            run_id = run_of(folder.name)
            if folder.name.startswith("."):
                continue
            if run_id not in self.known:
                self.known[run_id] = find(self.tracking, run_id) if self.tracking else None
            run = self.known[run_id]
            if run is None:
                self.unknown.add(run_id)
            elif not self._is_live(run) and self._is_over(run):
                found.append(Thing(things.size(folder), partial(self._remove, folder, run)))
            else:
                self.resumable.add(run_id)
        return found

    def notes(self) -> list[str]:
        notes = []
        if count := len(self.resumable):
            notes.append(f"files of {count} trainings stay, which run or can be resumed")
        if count := len(self.unknown):
            notes.append(
                f"files of {count} trainings stay, whose runs are not in this MLflow store; without another"
                f" store, remove them by hand from {_runs()}/checkpoints and {_runs()}/staging"
            )
        return notes

    def _is_live(self, run: Run) -> bool:
        lease = run.data.tags.get("lease", "")
        return lease in self.live or (lease.endswith("/") and any(one.startswith(lease) for one in self.live))

    def _is_over(self, run: Run) -> bool:
        tags = run.data.tags
        if "outcome" in tags:
            return bool(run.info.status != "RUNNING")  # else MLflow may not have its files yet
        assert self.tracking is not None
        experiment = self.tracking.client.get_experiment(run.info.experiment_id).name
        if tags.get("kind") in TRIALS:
            key = tags.get("study_key", "")
            query = f"tags.kind = 'study' and tags.study_key = '{key}' and attributes.status = 'FINISHED'"
            return bool(self.tracking.runs(experiment, query))
        if tags.get("kind") in REPEATED:
            query = (
                f"tags.kind = '{tags['kind']}' and tags.outcome = 'complete' and tags.seed = '{tags['seed']}'"
            )
            return any(
                other.info.start_time > run.info.start_time
                and other.data.tags.get("ablation", "") == tags.get("ablation", "")
                for other in self.tracking.runs(experiment, query)
            )
        return False

    def _remove(self, folder: Path, run: Run) -> bool:
        name = run.data.tags.get("lease", "")
        if self.leases is None or not name or name.endswith("/"):
            shutil.rmtree(things.set_aside(folder))
            return True
        lease = self.leases.take(name)
        if lease is None:
            return False
        try:
            aside = things.set_aside(folder)
        finally:
            self.leases.release(lease)
        shutil.rmtree(aside)
        return True


# ---------------------------------------------------------------- artifacts


def _pruned(tracking: Tracking) -> tuple[list[Thing], int]:
    """Artifacts of pruned trials, one thing for each training; and how many are left alone because of
    links.
    """
    found, links = [], 0
    for run in _pruned_runs(tracking):
        folder = artifacts.folder(run)
        if folder and folder.is_relative_to(runs_folder()) and not things.inside(folder, runs_folder()):
            links += folder.exists()
            continue
        sizes = _sizes(folder) if folder else artifacts.sizes(tracking, run)
        # object stores delete all that begins with a name
        items = [item for item in sizes if not any(kept.startswith(item) for kept in KEPT)]
        if items:
            total = sum(sizes[item] for item in items)
            found.append(Thing(total, partial(_remove_artifacts, tracking, run, items)))
    return found, links


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of what is in a folder, without links: MLflow refuses to list a folder behind one."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: things.size(path) for path in paths if not path.is_symlink()}


def _remove_artifacts(tracking: Tracking, run: Run, items: Sequence[str]) -> bool:
    for item in items:
        tracking.client.delete_artifact(run.info.artifact_uri, item)
    return True


def _pruned_runs(tracking: Tracking) -> Iterator[Run]:
    """Runs of pruned trials that have ended, and of all trainings of those that several judge."""
    for name in _experiments(tracking):
        runs = [run for run in tracking.runs(name, "tags.outcome = 'pruned'") if _has_ended(run)]
        pruned = {run.info.run_id for run in runs if run.data.tags.get("kind") in TRIALS}
        yield from (run for run in runs if run.info.run_id in pruned)
        if pruned:
            for run in tracking.runs(name, "tags.kind = 'member'"):
                of_pruned = run.data.tags.get("mlflow.parentRunId") in pruned
                if of_pruned and _has_ended(run) and run.info.run_id not in pruned:
                    yield run


def _has_ended(run: Run) -> bool:
    return "outcome" in run.data.tags and run.info.status != "RUNNING"


def _experiments(tracking: Tracking) -> list[str]:
    """Names of the MLflow experiments of this project: all of its own store, and of a store that others may
    use those whose files are here.
    """
    own = tracking.uri == database.sqlite_url(runs_folder() / "mlflow.db")
    here = set(config.names("experiments"))
    every = [one.name for one in tracking.client.search_experiments()]
    return sorted(name for name in every if own or name in here)
