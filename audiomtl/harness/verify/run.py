"""One run of MLflow rebuilt: a best run, an ablation or a trial, trained again from its record.

The record is what the run itself holds: its settings (the file ``settings.toml`` and the parameters), its
seed, the tags data, code, lock, commit and dirty, its key ``fingerprint``, its scores and the digest of its
weights. Nothing is written into the run.

Contents: `verify_run`, `Record`, `read`, `rebuilt`, `changes_of`.
"""

import json
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from audiomtl import config
from audiomtl.data import availability, text
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance, runs
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.verify.again import train_again
from audiomtl.harness.verify.origin import Change
from audiomtl.harness.verify.result import Verified

KINDS = ("best", "ablation", "trial", "member")
SIDES = ("test/", "best/validation/")  # of the scores of a run


@dataclass(frozen=True)
class Record:
    """A run as it is recorded, in MLflow or in a frozen study."""

    name: str  # for people
    raw: dict[str, Any]  # its settings, complete
    params: dict[str, str]  # the same as MLflow's parameters, without those that change no score
    tags: dict[str, str]
    scores: dict[str, float]  # "test/..." and "best/validation/..."

    @property
    def seed(self) -> int:
        return int(self.tags["seed"])

    @property
    def threads(self) -> int:
        return int(self.tags.get("threads", 1))


def read(run: Run, settings: str) -> Record:
    """The record of a run; ``settings`` is the text of its ``settings.toml``.

    Raises
    ------
    UserError : a run of another kind, or one without final scores.
    """
    tags, name = dict(run.data.tags), f"run {run.info.run_id[:8]} ({run.info.run_name})"
    if tags.get("kind") not in KINDS:
        kind = tags.get("kind", "none")
        raise UserError(
            f"{name}: its kind is {kind}: only runs of the kinds {', '.join(KINDS)} are trainings"
        )
    if runs.outcome(run) != "complete":
        raise UserError(f"{name}: {runs.outcome(run)}: it has no final scores to rebuild")
    scores = {key: value for key, value in run.data.metrics.items() if key.startswith(SIDES)}
    tags["seed"] = str(tags.get("seed", run.data.params.get("seed")))
    params = {
        path: text for path, text in run.data.params.items() if path != "seed" and config.is_scored(path)
    }
    return Record(name, tomllib.loads(settings), params, tags, dict(sorted(scores.items())))


def as_params(raw: Mapping[str, Any]) -> dict[str, str]:
    """Settings that affect scores, as `Tracking.log_params` writes them."""
    return {
        path: value if isinstance(value, str) else json.dumps(value)
        for path, value in config.scored_settings(raw).items()
    }


def changes_of(record: Record) -> list[Change]:
    """What the run depends on and is not as recorded here.

    Raises
    ------
    MissingData : the data set is not on this machine.
    """
    raw, tags, found = record.raw, record.tags, []
    if tags.get("dirty") == "true":
        found.append(Change("commit", f"{tags.get('commit', '')[:12]} with changed files", "no such commit"))
    written = as_params(raw)
    for path in sorted({*written, *record.params}):
        if written.get(path) != record.params.get(path):
            logged = record.params.get(path, "nothing")
            found.append(
                Change(f"settings ({path})", logged, f"{written.get(path, 'nothing')} in settings.toml")
            )
    if record.seed not in (*raw["seeds"], raw["study_seed"]):
        found.append(Change("seeds", tags["seed"], f"{[*raw['seeds'], raw['study_seed']]} in settings.toml"))
    table = availability.require(config.settings_of(raw, record.name))
    here = {
        "data": text.fingerprint(table, raw),
        "code": provenance.code_version(raw),
        "lock": provenance.lock_hash(),
    }
    for what, value in here.items():
        if tags.get(what, value) != value:
            found.append(Change(what, tags[what], value))
    if not found:  # then the key of the run must come out as well: its settings and seed are part of it
        device = tags.get("device", "CPU")
        training = provenance.training_key(raw, record.seed, here["data"], record.threads, device)
        key = provenance.scores_key(training, raw)
        if key != tags.get("fingerprint"):
            found.append(Change("settings or seed", f"key {tags.get('fingerprint')}", f"key {key}"))
    return found


def rebuilt(records: Sequence[Record], title: str, *, slots: int, threads: int) -> list[Verified]:
    """Compare each record with what is here, train those that nothing has changed for, and compare scores."""
    results: dict[str, Verified] = {}
    jobs: dict[str, Job] = {}
    for number, record in enumerate(records):
        if changed := changes_of(record):
            text = "; ".join(map(str, changed))
            if any(one.what == "code" for one in changed):
                text += f"; recorded by commit {record.tags.get('commit', 'unknown')[:12]}"
            results[record.name] = Verified(record.name, False, text)
            continue
        test = any(name.startswith("test/") for name in record.scores)
        place = Path(str(number))
        jobs[record.name] = Job(record.name, record.raw, record.seed, place, place / "checkpoint", test=test)
    trained = train_again(list(jobs.values()), title, slots=slots, threads=threads)
    for record in records:
        if record.name in jobs:
            results[record.name] = _compared(record, trained.get(record.name))
    return [results[record.name] for record in records]


def _compared(record: Record, result: Result | None) -> Verified:
    if result is None:
        return Verified(record.name, False, "the training failed")
    now = {
        name if name.startswith("test/") else f"best/{name}": value for name, value in result.scores.items()
    }
    moved = [name for name, value in record.scores.items() if now.get(name) != value]
    where = ""
    if record.tags.get("machine") not in (None, provenance.machine()):
        where = f", recorded on a different processor ({record.tags['machine']})"
    if moved:
        first = moved[0]
        text = (
            f"recorded score: {len(moved)} of {len(record.scores)} scores differ: {first} recorded"
            f" {record.scores[first]:.6f}, now {now.get(first, float('nan')):.6f}{where}"
        )
        return Verified(record.name, False, text)
    weights = record.tags.get("weights", "")
    if weights and weights != result.weights:
        return Verified(
            record.name, False, f"weights: recorded {weights[:12]}, now {result.weights[:12]}{where}"
        )
    also = " and the weights" if weights else ""
    return Verified(
        record.name, True, f"all {len(record.scores)} scores{also} were reproduced bit for bit{where}"
    )


def verify_run(run_id: str, *, slots: int, threads: int) -> Verified:
    """Train a run again and compare its scores, and its weights, to the bit.

    Raises
    ------
    UserError : no such run; what `read` refuses.
    """
    tracking = runs.existing()
    found = tracking and find(tracking, run_id)
    if not tracking or not found:
        raise UserError(
            f"{run_id}: no such run in the MLflow store; `audiomtl ui` shows the runs and their ids"
        )
    parts = _members(tracking, found)
    sources = {one.info.run_id: one for one in (_source(tracking, part) for part in parts or [found])}
    records = [
        read(one, artifact(tracking, one.info.run_id, "settings.toml").decode()) for one in sources.values()
    ]
    results = rebuilt(records, "verify run", slots=slots, threads=threads)
    if not parts:
        return results[0]
    name = f"run {run_id[:8]} ({found.info.run_name})"
    if moved := [str(one) for one in results if not one.reproduced]:
        return Verified(name, False, "; ".join(moved))
    if wrong := _not_means(found, parts):
        return Verified(name, False, f"recorded score: not the mean of its members: {', '.join(wrong)}")
    return Verified(name, True, f"its {len(parts)} trainings were reproduced bit for bit, and their means")


def _members(tracking: Tracking, run: Run) -> list[Run]:
    """The finished trainings of a trial that several judge; none where it is a training itself."""
    experiment = tracking.client.get_experiment(run.info.experiment_id).name
    filters = f"tags.kind = 'member' and tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    return [one for one in tracking.runs(experiment, filters) if runs.outcome(one) in runs.SCORED]


def _source(tracking: Tracking, run: Run) -> Run:
    """The training that a run has its scores from: another of the same key, where it was answered from it."""
    if runs.outcome(run) != "answered":
        return run
    experiment = tracking.client.get_experiment(run.info.experiment_id).name
    filters = f"tags.fingerprint = '{run.data.tags.get('fingerprint')}'"
    same = [one for one in tracking.runs(experiment, filters) if runs.outcome(one) == "complete"]
    return same[-1] if same else run


def _not_means(run: Run, members: Sequence[Run]) -> list[str]:
    """Scores of a judged trial that are not the means of its members'."""
    found = []
    for name, value in sorted(run.data.metrics.items()):
        own = [one.data.metrics[name] for one in members if name in one.data.metrics]
        if name.startswith(SIDES) and len(own) == len(members) and abs(fmean(own) - value) > 1e-9:
            found.append(name)
    return found


def find(tracking: Tracking, run_id: str) -> Run | None:
    """The run with this id."""
    every = [one.experiment_id for one in tracking.client.search_experiments()]
    return next(iter(tracking.client.search_runs(every, f"attributes.run_id = '{run_id}'")), None)


def artifact(tracking: Tracking, run_id: str, name: str) -> bytes:
    """The bytes of a file of a run.

    Raises
    ------
    UserError : it has no such file.
    """
    if name not in {one.path for one in tracking.client.list_artifacts(run_id)}:
        raise UserError(f"run {run_id}: has no file {name}: it cannot be rebuilt")
    with tempfile.TemporaryDirectory() as folder:
        return Path(tracking.client.download_artifacts(run_id, name, folder)).read_bytes()
