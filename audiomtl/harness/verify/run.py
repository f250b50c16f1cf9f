"""Runs of MLflow rebuilt: best runs, ablations, trials and others, trained again from their records.

On the processor that recorded a run, with as many threads, its scores and weights must be equal to the bit.
On another its reported scores must be equal, or those of all trainings of its group together equivalent, as
for an experiment: paired by training, with a margin of a quarter of the distance to the floor. With one
training of a group there is nothing to test. Nothing is written into a run.

Contents: `verify_runs`, `rebuilt`, `artifact`, `find`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance, runs
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.verify import checkout, compare
from audiomtl.harness.verify.again import train_again
from audiomtl.harness.verify.origin import CODE
from audiomtl.harness.verify.record import SIDES, Record, changes_of, group_of, name_of, read, refuse
from audiomtl.harness.verify.result import Verified

Floors = Mapping[str, float]  # {"test/...": floor}


def rebuilt(
    records: Sequence[Record],
    title: str,
    *,
    slots: int,
    threads: int,
    floors: Floors | None = None,
    there: bool = False,
) -> list[Verified]:
    """Compare each record with what is here, train those that nothing has changed for, and compare scores.

    Parameters
    ----------
    floors : of the scores, as recorded; others are computed where they are needed. there : where only the
        code has changed, train with that of the commit.
    """
    results: dict[str, Verified] = {}
    jobs: dict[str, Job] = {}
    for number, record in enumerate(records):
        if changed := changes_of(record):
            if there and all(one.what in CODE for one in changed):
                results[record.name] = checkout.verify_record_there(record, threads=threads)
                continue
            text = "; ".join(map(str, changed))
            if all(one.what in CODE for one in changed):
                text += f"; recorded by commit {record.tags.get('commit', 'unknown')[:12]}"
            results[record.name] = Verified(record.name, False, text)
            continue
        test = any(name.startswith("test/") for name in record.scores)
        place = Path(str(number))
        jobs[record.name] = Job(record.name, record.raw, record.seed, place, place / "checkpoint", test=test)
    trained = train_again(list(jobs.values()), title, slots=slots, threads=threads)
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.name in jobs and not compare.same_bits(record.computed, threads):
            groups.setdefault(group_of(record), []).append(record)
    for group, of_group in groups.items():
        results |= _elsewhere(group, of_group, trained, threads, floors or {})
    for record in records:
        if record.name not in results:
            results[record.name] = _here(record, trained.get(record.name))
    return [results[record.name] for record in records]


def _now(result: Result) -> dict[str, float]:
    """Scores under the names that they have in a run."""
    return {
        name if name.startswith("test/") else f"best/{name}": value for name, value in result.scores.items()
    }


def _here(record: Record, result: Result | None) -> Verified:
    """Scores and weights of a training on the processor that recorded it."""
    if result is None:
        return Verified(record.name, False, "the training failed")
    if text := _moved(record, result):
        return Verified(record.name, False, text)
    weights = record.tags.get("weights", "")
    if weights and weights != result.weights:
        return Verified(record.name, False, f"weights: recorded {weights[:12]}, now {result.weights[:12]}")
    return Verified(record.name, True, _equal(record, bool(weights)))


def _moved(record: Record, result: Result) -> str:
    """How many scores differ, and the first of them; "" where all are equal to the bit."""
    now = _now(result)
    moved = [name for name, value in record.scores.items() if now.get(name) != value]
    if not moved:
        return ""
    first = moved[0]
    return (
        f"recorded score: {len(moved)} of {len(record.scores)} scores differ: {first} recorded"
        f" {record.scores[first]:.6f}, now {now.get(first, float('nan')):.6f}"
    )


def _equal(record: Record, weights: bool) -> str:
    if not record.scores:
        return "the weights were reproduced bit for bit; trained on every clip, it has no scores"
    also = " and the weights" if weights else ""
    return f"all {len(record.scores)} scores{also} were reproduced bit for bit"


def _elsewhere(
    group: str, records: Sequence[Record], trained: Mapping[str, Result], threads: int, floors: Floors
) -> dict[str, Verified]:
    """Trainings of one group that another processor, or another number of threads, recorded."""
    found: dict[str, Verified] = {}
    whole = [record for record in records if record.name in trained]
    verdicts = list[compare.Verdict]()
    if len(whole) > 1 and any(_moved(record, trained[record.name]) for record in whole):
        verdicts = _verdicts(whole, trained, threads, floors)
    failed = [one.score for one in verdicts if not one.reproduced]
    for record in records:
        result, where = trained.get(record.name), _where(record, threads)
        if result is None:
            found[record.name] = Verified(record.name, False, "the training failed")
            continue
        text = _moved(record, result)
        equal = bool(record.scores) or record.tags.get("weights") == result.weights
        if not text and equal:
            same = bool(record.tags.get("weights")) and record.tags["weights"] == result.weights
            found[record.name] = Verified(record.name, True, f"{_equal(record, same)}{where}")
        elif not text:
            text = "weights differ, and trained on every clip, it has no scores that could be equivalent"
            found[record.name] = Verified(record.name, False, f"{text}{where}")
        elif len(whole) < 2:
            why = f"one of the {group} alone cannot be tested for equivalence"
            found[record.name] = Verified(record.name, False, f"{text}{where}; {why}")
        elif failed or not verdicts:
            why = (
                f"over {len(whole)} {group} not equivalent: {', '.join(failed) or 'it has no reported score'}"
            )
            found[record.name] = Verified(record.name, False, f"{text}{where}; {why}")
        else:
            told = f"{len(verdicts)} reported scores are equivalent over {len(whole)} {group}{where}"
            found[record.name] = Verified(record.name, True, told)
    return found


def _where(record: Record, threads: int) -> str:
    told = []
    if record.computed["machine"] != provenance.machine():
        told.append(f"on a different processor ({record.computed['machine']})")
    if record.threads != threads:
        told.append(f"with {record.threads} TensorFlow threads instead of {threads}")
    return f", recorded {' and '.join(told)}"


def _verdicts(
    records: Sequence[Record], trained: Mapping[str, Result], threads: int, floors: Floors
) -> list[compare.Verdict]:
    """The reported scores that all of a group have, compared as those of an experiment."""
    directions = config.scores(records[0].raw)
    names = [
        f"{side}/{score}"
        for side in ("test", "validation")
        for score in directions
        if all(_key(f"{side}/{score}") in record.scores for record in records)
    ]
    was = {name: [record.scores[_key(name)] for record in records] for name in names}
    expected: dict[str, Any] = {
        name: {"mean": fmean(values), "per_seed": values} for name, values in was.items()
    }
    expected["recorded"] = {**records[0].computed, "seeds": [record.seed for record in records]}
    now = [_now(trained[record.name]) for record in records]
    got = {name: [one[_key(name)] for one in now if _key(name) in one] for name in names}
    known = dict(floors)
    if any(name not in known for name in names):
        known = _floors(records[0]) | known
    return compare.compare(expected, got, threads, directions, floors=known)


def _key(name: str) -> str:
    """Name of a score in a run."""
    return name if name.startswith("test/") else f"best/{name}"


def _floors(record: Record) -> dict[str, float]:
    """Floors of a training's scores, computed from its data; none where they cannot be."""
    settings = config.settings_of(record.raw, record.name)
    try:
        return compare.floors_here(ExperimentFile(record.name, Path(), record.raw, settings, {}))
    except UserError:
        return {}


def verify_runs(ids: Sequence[str], *, slots: int, threads: int, there: bool = False) -> list[Verified]:
    """Train runs again and compare their scores and weights; ``there`` as of `rebuilt`.

    Raises
    ------
    UserError : no such run; what `read` refuses.
    """
    tracking = runs.existing()
    records: dict[str, Record] = {}
    parts: dict[str, tuple[Run, list[Run], list[str]]] = {}  # and its members, and the names of its records
    for run_id in ids:
        found = tracking and find(tracking, run_id)
        if not tracking or not found:
            raise UserError(
                f"{run_id}: no such run in the MLflow store; `audiomtl ui` shows the runs and their ids"
            )
        members = _members(tracking, found)
        sources = {one.info.run_id: one for one in (_source(tracking, part) for part in members or [found])}
        own = [recorded(tracking, one) for one in sources.values()]
        records |= {record.name: record for record in own}
        parts[run_id] = (found, members, [record.name for record in own])
    results = rebuilt(list(records.values()), "verify runs", slots=slots, threads=threads, there=there)
    by_name = {record: result for record, result in zip(records, results, strict=True)}
    return [
        _of_run(found, members, [by_name[name] for name in names]) for found, members, names in parts.values()
    ]


def recorded(tracking: Tracking, run: Run) -> Record:
    """The record of a run.

    Raises
    ------
    UserError : what `read` refuses; a run without its settings.
    """
    refuse(run)
    return read(run, artifact(tracking, run.info.run_id, "settings.toml").decode())


def _of_run(run: Run, members: Sequence[Run], results: Sequence[Verified]) -> Verified:
    """The result of a run: of its own training, or of those that judge it."""
    name = name_of(run)
    if not members:
        return replace(results[0], name=name)
    if moved := [str(one) for one in results if not one.reproduced]:
        return Verified(name, False, "; ".join(moved))
    if wrong := _not_means(run, members):
        return Verified(name, False, f"recorded score: not the mean of its members: {', '.join(wrong)}")
    return Verified(name, True, f"its {len(members)} trainings were reproduced, and their means")


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
