"""Best runs on every seed, checked against what was recorded; and ablations, paired with them by seed.

Contents: `best`, `ablations`, `train_runs`, `compare`, `record`, `differences`.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median, stdev
from typing import Any

from rich.table import Table

from audiomtl import config, surroundings
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.harness import provenance
from audiomtl.harness.progress import Progress, console
from audiomtl.harness.tracking import Run, Tracking, checkpoint_folder, locked, server_log, staging
from audiomtl.harness.training import Job
from audiomtl.harness.worker import Outcome, device, start_forkserver, train_all, undivided
from audiomtl.metrics import intervals
from audiomtl.settings.toml import as_toml, write

LEAST_TOLERANCE = 0.02  # for another machine


@dataclass(frozen=True)
class Planned:
    """One training of a best run or an ablation."""

    arm: str  # "" for the experiment itself
    raw: dict[str, Any]
    seed: int
    training: str  # `provenance.training_key`
    fingerprint: str  # `provenance.scores_key`
    data: str

    @property
    def name(self) -> str:
        return f"{self.arm or 'best'} seed {self.seed}"


def plan(file: ExperimentFile, arms: Sequence[str], threads: int, device: str) -> list[Planned]:
    """Every training of some arms on every seed."""
    hashes: dict[str, str] = {}
    planned = []
    for arm in arms:
        raw = file.arm(arm)
        settings = config.settings_of(raw, str(file.path))
        key = config.digest(raw["data"])
        if key not in hashes:
            hashes[key] = catalog.fingerprint(catalog.clips(settings.data))
        for seed in file.settings.seeds:
            training = provenance.training_key(raw, seed, hashes[key], threads, device)
            planned.append(Planned(arm, raw, seed, training, provenance.scores_key(training, raw), hashes[key]))
    return planned


def train_runs(file: ExperimentFile, arms: Sequence[str], *, again: bool, slots: int, threads: int) -> dict[tuple[str, int], Run]:
    """Complete MLflow runs of some arms on every seed; what is finished already is not trained again, unless ``again``.

    Returns
    -------
    {(arm, seed): run}; a training that failed is missing.
    """
    start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
    on = device(file.raw["model"], server_log())
    planned = plan(file, arms, threads, on)
    with locked(f"experiment-{file.name}", wait=False) as mine:
        if not mine:
            raise UserError(f"{file.path}: another process is training best runs or ablations of {file.name}; wait for it or stop it")
        return _Runs(file, planned, again, slots, threads, on).run()


class _Runs:
    """One sitting of best runs or ablations."""

    def __init__(self, file: ExperimentFile, planned: list[Planned], again: bool, slots: int, threads: int, device: str) -> None:
        self.file, self.slots, self.threads, self.device = file, slots, threads, device
        self.tracking = Tracking()
        self.tracking.reap(file.name)
        self.found: dict[tuple[str, int], Run] = {}
        self.left: list[Planned] = []
        for one in planned:
            run = None if again else self.tracking.finished(file.name, one.fingerprint, ("best", "ablation") if one.arm else ("best",))
            if run:
                self.found[one.arm, one.seed] = run
            else:
                self.left.append(one)
        self.todo = list(self.left)
        self.running: dict[str, tuple[Planned, str]] = {}
        self.again = again

    def run(self) -> dict[tuple[str, int], Run]:
        total = len(self.left)
        self.progress = Progress(f"{self.file.name}", total)
        if self.found:
            self.progress.say(f"{self.file.name}: {len(self.found)} trainings were finished before and are not run again (--again does)")
        if not total:
            return self.found
        try:
            with self.progress:
                train_all(self.next_job, self, model=self.file.raw["model"], slots=self.slots, threads=self.threads, log=server_log())
        except BaseException as error:
            by_hand = isinstance(error, KeyboardInterrupt)
            with undivided():
                for _, run_id in self.running.values():
                    reason = "stopped by hand; the same command goes on" if by_hand else f"the command ended: {error}"
                    self.tracking.close(run_id, "KILLED", reason)
            if by_hand:
                self.progress.say("stopped: what is finished is kept; the same command goes on")
            raise
        return self.found

    def next_job(self) -> Job | None:
        if not self.todo:
            return None
        one = self.todo.pop(0)
        kind = "ablation" if one.arm else "best"
        tags = {"kind": kind, "seed": str(one.seed), "ablation": one.arm, "data": one.data, "fingerprint": one.fingerprint}
        tags |= {"code": provenance.code_version(one.raw), "threads": str(self.threads), "device": self.device}
        with undivided():
            run_id = self._interrupted(one, kind)
            if run_id:
                self.tracking.resume(run_id)
            else:
                shutil.rmtree(checkpoint_folder(one.training, kind), ignore_errors=True)
                run_id = self.tracking.start(self.file.name, one.name, tags=tags, description=self._describe(one))
            self.running[one.name] = (one, run_id)
            self.tracking.log_settings(run_id, one.raw, one.seed, one.data)
        folder = staging(f"{self.file.name}-{one.arm or 'best'}-{one.seed}")
        (folder / "settings.toml").write_text(as_toml(one.raw, one.seed), encoding="utf-8")
        best = not one.arm
        return Job(one.name, one.raw, one.seed, folder, checkpoint_folder(one.training, kind), test=best, keep_model=best)

    def _interrupted(self, one: Planned, kind: str) -> str:
        """The run of this training that was cut off, if there is one."""
        filters = f"tags.fingerprint = '{one.fingerprint}' and tags.kind = '{kind}' and attributes.status = 'KILLED'"
        runs = [run for run in self.tracking.runs(self.file.name, filters) if "outcome" not in run.data.tags]
        return runs[-1].info.run_id if runs else ""

    def _describe(self, one: Planned) -> str:
        if not one.arm:
            return f"{self.file.settings.description}\n\nBest run of {self.file.name} on seed {one.seed}, scored on test."
        changes = "\n".join(f"- {path} = {value}" for path, value in sorted(self.file.ablations[one.arm].items()))
        return f"Ablation {one.arm} of {self.file.name} on seed {one.seed}, scored on validation:\n\n{changes}"

    def started(self, job: Job) -> None:
        self.progress.begin(job.name, config.epochs(job.settings))

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        self.tracking.epoch(self.running[job.name][1], epoch, scores)
        monitor = config.monitor(job.settings)
        self.progress.epoch(job.name, epoch + 1, f"{monitor} {scores.get(monitor, math.nan):.4f}")
        return True

    def ended(self, job: Job, outcome: Outcome) -> None:
        one, run_id = self.running.pop(job.name)
        tags = {}
        if job.test and outcome.status == "complete":
            tags["test_looks"] = str(self.tracking.count_test_look(self.file.name))
        if outcome.status == "complete" and outcome.result:
            main = main_score(self.file)
            side = "test" if job.test else "validation"
            text = f"{side}/{main} {outcome.result.scores[f'{side}/{main}']:.4f} at epoch {outcome.result.best_epoch + 1}"
            self.tracking.end(run_id, job, outcome, tags=tags, description=f"{self._describe(one)}\n\n{text}.")
            self.found[one.arm, one.seed] = self.tracking.client.get_run(run_id)
        else:
            text = f"failed: {outcome.reason}"
            self.tracking.end(run_id, job, outcome)
        self.progress.end(job.name, f"{job.name}: {text}, {outcome.wall_seconds:.0f} s")
        shutil.rmtree(job.checkpoint, ignore_errors=True)  # last: until here a kill costs no more than this bookkeeping

    def tick(self) -> None:
        self.progress.refresh()


# ---------------------------------------------------------------- best runs


def best(file: ExperimentFile, *, record_it: bool, again: bool, exact: bool, slots: int, threads: int) -> bool:
    """Train the experiment on all its seeds and record its scores, or check them against what is recorded.

    Parameters
    ----------
    exact : every score of every seed must be equal to the bit, whatever machine recorded it.

    Returns
    -------
    Whether every training ended well and every recorded score came back.
    """
    runs = train_runs(file, [""], again=again, slots=slots, threads=threads)
    missing = [seed for seed in file.settings.seeds if ("", seed) not in runs]
    if missing:
        console().print(f"{file.name}: no score for seeds {missing}: their trainings failed; the reasons stand in MLflow")
        return False
    trained = [runs["", seed] for seed in file.settings.seeds]
    got, beside = scores_of(file, trained), rates_beside(trained)
    if record_it:
        seconds = median(run.data.metrics["cost/cpu_seconds"] for run in runs.values())
        record(file, got, seconds, threads, runs["", file.settings.seeds[0]].data.tags.get("device", "CPU"))
        console().print(f"{file.path}: [expected] recorded over seeds {list(file.settings.seeds)}")
        _print_scores(file, {**got, **beside})
        return True
    _print_scores(file, {**got, **beside})
    if not file.expected:
        console().print(f"{file.path}: nothing recorded to check against: `audiomtl best {file.name} --record` writes [expected]")
        return not exact
    if list(file.expected["recorded"]["seeds"]) != list(file.settings.seeds):
        console().print(f"{file.path}: [expected] was recorded for other seeds: `audiomtl best {file.name} --record` records them anew")
        return False
    rows = compare(file.expected, got, threads, exact=exact)
    moved = [row for row in rows if not row[-1]]
    if unrecorded := sorted(got.keys() - file.expected.keys()):
        console().print(f"{file.path}: [expected] has no {', '.join(unrecorded)}: not checked", highlight=False)
    table = Table("score", "seed", "recorded", "now", "moved by", "allowed")
    for name, seed, was, now, allowed, _ in moved:
        table.add_row(name, seed, f"{was:.6f}", f"{now:.6f}", f"{now - was:+.6f}", f"{allowed:g}")
    if moved:
        console().print(table)
        console().print(f"{file.name}: {len(moved)} of {len(rows)} scores did not come back")
        return False
    console().print(f"{file.name}: {came_back(rows, file.expected['recorded'], threads)}", highlight=False)
    return not (exact and unrecorded)


def came_back(rows: Sequence[tuple[str, str, float, float, float, bool]], origin: Mapping[str, Any], threads: int) -> str:
    """What was seen, where every score came back: how many are equal to the bit, and what differs from where they were recorded."""
    equal = sum(was == now for _, _, was, now, _, _ in rows)
    differs = []
    if origin["machine"] != provenance.machine():
        differs.append(f"on another processor ({origin['machine']})")
    if origin.get("threads", 1) != threads:
        differs.append(f"with {origin.get('threads', 1)} TensorFlow threads instead of {threads}")
    where = f", recorded {' and '.join(differs)}" if differs else ""
    if equal == len(rows):
        return f"all {equal} recorded scores came back to the bit{where}"
    return f"all {len(rows)} recorded scores came back within their tolerances, {equal} of them to the bit{where}"


def main_score(file: ExperimentFile) -> str:
    """The family's deciding score."""
    return next(iter(family_scores(file)))


def family_scores(file: ExperimentFile) -> dict[str, str]:
    """{score: direction} that the experiment reports."""
    return config.scores(file.raw)


def scores_of(file: ExperimentFile, runs: Sequence[Run]) -> dict[str, list[float]]:
    """``{"test/phone_error_rate": [one per run], ...}`` for the family's scores that all runs have."""
    found = {}
    for side in ("test", "validation"):
        for name in family_scores(file):
            key = f"{side}/{name}"
            values = [run.data.metrics.get(key if side == "test" else f"best/{key}") for run in runs]
            if all(value is not None for value in values):
                found[key] = [float(value) for value in values if value is not None]
    return found


def rates_beside(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Error rates that the data alone gives, one per run, such as ``test/copied_transcript_error_rate``: printed beside the scores."""
    keys = sorted({key for run in runs for key in run.data.metrics if key.startswith("data/test/") and key.endswith("_error_rate")})
    every = [key for key in keys if all(key in run.data.metrics for run in runs)]
    return {key.removeprefix("data/"): [run.data.metrics[key] for run in runs] for key in every}


def record(file: ExperimentFile, got: Mapping[str, Sequence[float]], cpu_seconds_per_training: float, threads: int, device: str) -> None:
    """Write ``[expected]`` at the end of the experiment file; everything else in it stays as it is.

    The tolerance for other machines is three standard deviations over the seeds, at least 0.02.
    """
    import tomlkit

    document = tomlkit.parse(file.path.read_text(encoding="utf-8"))
    if "expected" in document:
        document.remove("expected")
    expected = tomlkit.table(is_super_table=True)
    origin = tomlkit.table()
    origin.add("machine", provenance.machine())
    origin.add("device", device)
    origin.add("keras", surroundings.keras_text())
    origin.add("code", provenance.code_version(file.raw))
    origin.add("lock", provenance.lock_hash())
    origin.add("threads", threads)
    origin.add("seeds", list(file.settings.seeds))
    origin.add("cpu_seconds_per_training", round(cpu_seconds_per_training, 1))
    expected.add("recorded", origin)
    for name, values in sorted(got.items()):
        table = tomlkit.table()
        table.add("mean", mean(values))
        table.add("per_seed", list(values))
        spread = 3 * stdev(values) if len(values) > 1 else 0.0
        table.add("tolerance", round(max(LEAST_TOLERANCE, spread), 4))
        expected.add(tomlkit.key(name), table)
    text = tomlkit.dumps(document).rstrip("\n") + "\n\n"
    addition = tomlkit.document()
    addition.add("expected", expected)
    write(file.path, text + tomlkit.dumps(addition))


def _same_bits(origin: Mapping[str, Any], threads: int) -> bool:
    return bool(origin["machine"] == provenance.machine() and origin.get("threads", 1) == threads)


def compare(
    expected: Mapping[str, Any], got: Mapping[str, Sequence[float]], threads: int, *, exact: bool = False
) -> list[tuple[str, str, float, float, float, bool]]:
    """Rows (score, seed, recorded, now, allowed difference, came back?).

    On the machine that recorded them, with as many TensorFlow threads, every seed's score must be equal, and with ``exact`` on any; else
    within the tolerance, seed by seed.
    """
    origin = expected["recorded"]
    same = exact or _same_bits(origin, threads)
    rows = []
    for name, entry in sorted(expected.items()):
        if name == "recorded":
            continue
        allowed = 0.0 if same else float(entry["tolerance"])
        now = list(got.get(name, [math.nan] * len(entry["per_seed"])))
        for seed, was, value in zip(origin["seeds"], entry["per_seed"], now, strict=False):
            rows.append((name, str(seed), float(was), value, allowed, abs(value - was) <= allowed))
        if len(now) != len(entry["per_seed"]):
            rows.append((name, "number of seeds", float(len(entry["per_seed"])), float(len(now)), 0.0, False))
    return rows


def _print_scores(file: ExperimentFile, got: Mapping[str, Sequence[float]]) -> None:
    table = Table("score", "mean", "95 % interval over seeds", *[f"seed {seed}" for seed in file.settings.seeds])
    for name, values in sorted(got.items()):
        middle, low, high = intervals.t_interval(values)
        table.add_row(
            name, f"{middle:.4f}", f"{low:.4f} to {high:.4f}" if low == low else "one seed", *[f"{value:.4f}" for value in values]
        )
    console().print(table)


# ---------------------------------------------------------------- ablations


def ablations(file: ExperimentFile, *, again: bool, slots: int, threads: int) -> bool:
    """Train every ablation on every seed and print its difference to the best runs, paired by seed, on validation.

    Returns
    -------
    Whether every training ended well.
    """
    if not file.ablations:
        console().print(f"{file.path}: no [ablation.*] table, nothing to do")
        return True
    arms = [arm for arm in file.ablations if not is_best(file, arm)]
    runs = train_runs(file, ["", *arms], again=again, slots=slots, threads=threads)
    main = f"validation/{main_score(file)}"
    table = Table("ablation", main, "difference to best", "95 % interval (t, paired by seed)", "changes")
    complete = True
    for arm in ["", *sorted(file.ablations)]:
        changes = ", ".join(f"{path} = {value}" for path, value in sorted(file.ablations.get(arm, {}).items()))
        if arm and is_best(file, arm):
            table.add_row(arm, "", "", "the best run itself has these settings", changes)
            continue
        found = differences(file, runs, arm)
        complete &= found is not None
        if found is None:
            table.add_row(arm or "best", "failed", "", "", changes)
            continue
        value, difference, low, high = found
        interval = f"{low:+.4f} to {high:+.4f}" if arm and low == low else ""
        table.add_row(arm or "best", f"{value:.4f}", f"{difference:+.4f}" if arm else "", interval, changes)
    console().print(table)
    return complete


def core(file: ExperimentFile) -> ExperimentFile:
    """The file with its core ablations only: those that train one task alone (``..._alone``) or change how inputs are joined."""
    kept = {
        arm: changes for arm, changes in file.ablations.items() if arm.endswith("_alone") or any(one.startswith("join.") for one in changes)
    }
    return replace(file, ablations=kept)


def is_best(file: ExperimentFile, arm: str) -> bool:
    """Whether an ablation changes nothing, because the best run has its settings."""
    return config.scored_settings(file.arm(arm)) == config.scored_settings(file.raw)


def differences(file: ExperimentFile, runs: Mapping[tuple[str, int], Run], arm: str) -> tuple[float, float, float, float] | None:
    """(mean score, mean difference to best, low, high) on validation; None when a training is missing."""
    key = f"best/validation/{main_score(file)}"
    pairs = [(runs.get((arm, seed)), runs.get(("", seed))) for seed in file.settings.seeds]
    if any(run is None or base is None for run, base in pairs):
        return None
    values = [run.data.metrics[key] for run, _ in pairs if run]
    base = [run.data.metrics[key] for _, run in pairs if run]
    difference, low, high = intervals.paired_difference(values, base)
    return mean(values), difference, low, high
