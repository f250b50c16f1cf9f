"""Recording in MLflow: one MLflow experiment per experiment file, one run per training. Only this module and
the report use MLflow.

Names: epoch scores are ``train/...`` and ``validation/...`` with the epoch, counted from 1, as step; the
scores of the best epoch's weights are ``best/validation/...`` and ``test/...``; costs are ``cost/...``,
counts of the data ``data/...``. Timestamps are a function of the step, so that replaying epochs after a crash
leaves each step once. Contents: `Tracking`.
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from audiomtl import config, redaction, surroundings, system
from audiomtl.errors import SurroundingsError
from audiomtl.harness import database
from audiomtl.harness.record import evaluation, moved, provenance
from audiomtl.harness.record.client import Client, local_store
from audiomtl.harness.train.workers import Outcome
from audiomtl.names import safe_name

# MLflow's import sets these louder
for noisy in ("alembic", "mlflow", "mlflow.store.db.utils", "sqlalchemy"):
    logging.getLogger(noisy).setLevel(logging.ERROR)

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # a bar for every small table
INPUT_TRIES = 4
STORE_TAG = "audiomtl.store"
STATUS = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def runs_folder() -> Path:
    """Folder of the project's databases, artifacts and checkpoints: ``runs/`` in the current directory, or
    ``AUDIOMTL_RUNS``.
    """
    return Path(os.environ.get("AUDIOMTL_RUNS", "runs")).resolve()


@contextlib.contextmanager
def locked(name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold ``runs/locks/NAME``; yields False at once when another process has it and ``wait`` is off."""
    path = runs_folder() / "locks" / name
    with contextlib.ExitStack() as stack:
        try:
            mine = stack.enter_context(system.locked(path, wait=wait))
        except OSError as error:
            fault = (
                system.os_fault(error) or f"{error.filename or path}: {error.strerror}: check AUDIOMTL_RUNS"
            )
            raise SurroundingsError(fault) from error
        yield mine


def say(line: str) -> None:
    """A line about the stores, on stderr."""
    print(redaction.redact(line), file=sys.stderr)


class Tracking:
    """A connection to the MLflow store that ``MLFLOW_TRACKING_URI`` names; by default ``runs/mlflow.db``."""

    def __init__(self) -> None:
        default = runs_folder() / "mlflow.db"
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or database.sqlite_url(default)
        self._local = self.uri.startswith("sqlite")
        with locked("mlflow"):  # several processes that open a fresh store at once break it
            path = database.sqlite_path(self.uri) if self._local else None
            if path:
                self.uri = database.sqlite_url(path)
                database.make_sound(path, local_store(), say)
            if path == default:
                moved.follow(default, runs_folder() / "artifacts", say)
            self.client = Client(self.uri)

    # ---------------------------------------------------------------- runs

    def experiment(self, name: str) -> str:
        """Id of the MLflow experiment of an experiment file, created if necessary."""
        with locked("mlflow"):
            found = self.client.get_experiment_by_name(name)
            if found:
                self._restore(found)
                return found.experiment_id
            place = (runs_folder() / "artifacts" / safe_name(name)).as_uri() if self._local else None
            if self._local:
                self._put_away_default()
            return self.client.create_experiment(name, artifact_location=place)

    def _put_away_default(self) -> None:
        """Delete the experiment that MLflow begins every store with, as long as nobody has used it: a page
        without runs is of no use. MLflow keeps it, and it can be restored.
        """
        found = self.client.get_experiment_by_name("Default")
        if found is None or found.lifecycle_stage != "active":
            return
        if not self.client.search_runs([found.experiment_id], max_results=1):
            self.client.delete_experiment(found.experiment_id)

    def _restore(self, found: Any) -> None:
        """Bring an experiment back that was deleted in MLflow's pages: its name is taken for good."""
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
            say(
                f"MLflow experiment {found.name} was deleted and has been restored with its runs; to start"
                f" without them, delete it again and run `mlflow gc --backend-store-uri {self.uri}"
                f" --experiment-ids {found.experiment_id}`"
            )

    def start(self, experiment: str, name: str, *, tags: Mapping[str, str], description: str) -> str:
        """Open a run and return its id. If an earlier run has its name, it gets a number behind it."""
        head, dirty = provenance.commit()
        every = {
            **tags,
            "commit": head,
            "dirty": str(dirty).lower(),
            "lock": provenance.lock_hash(),
            "machine": provenance.machine(),
            "keras": surroundings.keras_text(),
            "environment": surroundings.computing_variables() or "none of note",
            "owner": system.process_identity(),
            "mlflow.note.content": description,
            "mlflow.source.name": f"{experiment}.toml",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": head,
            "mlflow.user": system.user(),
        }
        number = self.experiment(experiment)
        own = self._free_name(number, name)
        return self.client.create_run(number, tags=every, run_name=own).info.run_id

    def _free_name(self, experiment_id: str, name: str) -> str:
        """``trial 3``, or ``trial 3 (2)`` where another study or an earlier training has a run of this
        name.
        """
        pattern = name.replace("'", "_")  # which stands for any character
        found = self.client.search_runs([experiment_id], f"attributes.run_name LIKE '{pattern}%'")
        taken = {run.info.run_name for run in found}
        others = (f"{name} ({number})" for number in count(2))
        return name if name not in taken else next(one for one in others if one not in taken)

    def resume(self, run_id: str) -> None:
        """Take up a run whose owner is gone."""
        self.client.set_tag(run_id, "owner", system.process_identity())
        self.client.update_run(run_id, status="RUNNING")
        if "reason" in self.client.get_run(run_id).data.tags:
            self.client.delete_tag(run_id, "reason")

    def log_settings(self, run_id: str, raw: Mapping[str, Any], seed: int, data: str) -> None:
        """Log all settings as params, and the data set. Repeating it after a crash changes nothing."""
        flat = {
            key: value
            for key, value in config.flatten(raw).items()
            if key not in ("seeds", "study_seed", "description")
        }
        self.log_params(run_id, {**flat, "seed": seed})
        name = raw["data"]["dataset"]
        profile = json.dumps(config.flatten(raw["data"]))
        source = Dataset(
            name=name, digest=data, source_type="local", source=json.dumps({"dataset": name}), profile=profile
        )
        inputs = [DatasetInput(source, [InputTag("mlflow.data.context", "train, validation, test")])]
        for left in reversed(range(INPUT_TRIES)):
            try:
                self.client.log_inputs(run_id, inputs)
                return
            except MlflowException as error:  # another run named the same new data set at the same time
                if not left or not any(words in str(error) for words in ("UNIQUE", "duplicate key")):
                    raise

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log params in one batch; values other than text as JSON."""
        entries = [
            Param(key, value if isinstance(value, str) else json.dumps(value))
            for key, value in sorted(params.items())
        ]
        self.client.log_batch(run_id, params=entries)

    def epoch(self, run_id: str, epoch: int, scores: Mapping[str, float]) -> None:
        """Scores of one epoch (counted from 0) in one batch; MLflow's steps count epochs from 1."""
        step = epoch + 1
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, self._began(run_id) + step, step) for key, value in scores.items()],
        )

    def end(
        self,
        run_id: str,
        folder: Path,
        outcome: Outcome,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Close a run with its last scores, costs, the files in ``folder`` and its status.

        The folder is removed.
        """
        result = outcome.result
        costs = {"cost/wall_seconds": outcome.wall_seconds, "cost/memory_megabytes": outcome.memory_megabytes}
        scores: dict[str, float] = {}
        if result:
            costs |= {
                "cost/seconds": result.seconds,
                "cost/cpu_seconds": result.cpu_seconds,
                "cost/entered_seconds": outcome.entered_seconds,
            }
            scores = {
                name if name.startswith("test/") else f"best/{name}": value
                for name, value in result.scores.items()
            }
            scores |= {
                "best_epoch": result.best_epoch + 1,
                "epochs": result.epochs,
                "parameters": result.parameters,
            }
            scores |= {f"data/{name}": value for name, value in result.facts.items()}
        stamp = self._began(run_id)
        notes = {
            **(tags or {}),
            "outcome": {"complete": "complete", "stopped": "pruned", "failed": "failed"}[outcome.status],
        }
        if result and result.weights:
            notes["weights"] = result.weights
        if folder.is_dir():
            notes |= evaluation.tag(evaluation.of_predictions(folder))
        if outcome.reason:
            notes["reason"] = outcome.reason
        if description:
            notes["mlflow.note.content"] = description
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, stamp, 0) for key, value in {**scores, **costs}.items()],
            tags=[RunTag(key, value) for key, value in notes.items()],
        )
        if folder.is_dir():
            redaction.redact_files(folder)
            self.client.log_artifacts(run_id, str(folder))
            shutil.rmtree(folder)
        self.client.set_terminated(run_id, STATUS[outcome.status])

    def add(self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Further metrics, at step 0, and tags of a run that has ended."""
        stamp = self._began(run_id)
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, stamp, 0) for key, value in sorted(metrics.items())],
            tags=[RunTag(key, value) for key, value in sorted(tags.items())],
        )

    def copy_scores(self, source: Run, run_id: str) -> None:
        """Copy the final scores, not the curves, of another run."""
        kept = {
            key: value
            for key, value in source.data.metrics.items()
            if key.startswith(("best", "data/")) or "/" not in key
        }
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, self._began(run_id), 0) for key, value in sorted(kept.items())],
        )

    def close(self, run_id: str, status: str, reason: str = "") -> None:
        """End a run without further logging."""
        if reason:
            self.client.set_tag(run_id, "reason", reason)
        self.client.set_terminated(run_id, status)

    def _began(self, run_id: str) -> int:
        if run_id not in self._starts:
            self._starts[run_id] = self.client.get_run(run_id).info.start_time
        return self._starts[run_id]

    _starts: dict[str, int] = {}

    # ---------------------------------------------------------------- looking back

    def runs(self, experiment: str, filter_string: str = "") -> list[Run]:
        """All runs of an experiment file, oldest first."""
        found = self.client.get_experiment_by_name(experiment)
        if not found:
            return []
        every: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs(
                [found.experiment_id],
                filter_string,
                max_results=1000,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            every += page
            token = page.token
            if not token:
                return every

    def finished(self, experiment: str, fingerprint: str, kinds: tuple[str, ...]) -> Run | None:
        """The newest complete run of one training, of one of some kinds."""
        found = self.runs(
            experiment, f"tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'"
        )
        return next((run for run in reversed(found) if run.data.tags.get("kind") in kinds), None)

    def reap(self, experiment: str, live: Collection[str]) -> None:
        """Close runs that say RUNNING although nobody holds their lease.

        Parameters
        ----------
        live : names of the leases that somebody holds or may still hold.
        """
        if found := self.client.get_experiment_by_name(experiment):
            self._restore(found)
        for run in self.runs(experiment, "attributes.status = 'RUNNING'"):
            lease = run.data.tags.get("lease", "")
            held = lease in live or (lease.endswith("/") and any(name.startswith(lease) for name in live))
            if not held:
                self.close(
                    run.info.run_id,
                    "KILLED",
                    "its process exited without reporting a result; the same command resumes it",
                )

    def store_id(self, experiment: str) -> str:
        """Name of this store, the same for everyone who uses it: a tag of an MLflow experiment."""
        number = self.experiment(experiment)
        with locked("mlflow"):
            tags = self.client.get_experiment(number).tags
            if STORE_TAG not in tags:
                self.client.set_experiment_tag(number, STORE_TAG, uuid.uuid4().hex)
                tags = self.client.get_experiment(number).tags
        return str(tags[STORE_TAG])

    def count_test_look(self, experiment: str) -> int:
        """Count one more evaluation on the test split in the experiment's tag ``test_looks``.

        Returns how many there were.
        """
        with locked("mlflow"):
            found = self.client.get_experiment_by_name(experiment)
            assert found is not None
            looks = int(found.tags.get("test_looks", 0)) + 1
            self.client.set_experiment_tag(found.experiment_id, "test_looks", str(looks))
        return looks

    def history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """(step, value) of one score, in order of steps."""
        return sorted((entry.step, entry.value) for entry in self.client.get_metric_history(run_id, key))


def staging(run_id: str, token: int) -> Path:
    """A new folder for the files of one run until MLflow has them; those of earlier holders of its lease
    go.
    """
    place = runs_folder() / "staging"
    for left in place.glob(f"{run_id}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = place / f"{run_id}-{token}"
    folder.mkdir(parents=True)
    return folder


def server_log() -> Path:
    """Path of the forkserver's log."""
    return runs_folder() / "forkserver.log"


def checkpoint_folder(run_id: str, token: int) -> Path:
    """Where the holder of a run's lease keeps its checkpoint: a folder for each token, with a copy of the
    last holder's checkpoint.
    """
    place = runs_folder() / "checkpoints" / run_id
    folder = place / str(token)
    earlier = [int(one.name) for one in place.glob("*") if one.name.isdecimal() and int(one.name) < token]
    if earlier and not folder.exists():
        copy = place / f".{token}"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(place / str(max(earlier)), copy, ignore=shutil.ignore_patterns("*.tmp"))
        copy.rename(folder)
    return folder


def remove_checkpoints(run_id: str) -> None:
    """Remove what `checkpoint_folder` keeps of a run that has ended."""
    shutil.rmtree(runs_folder() / "checkpoints" / run_id, ignore_errors=True)
