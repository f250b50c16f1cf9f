"""Trainings of an experiment and of its ablations on every seed, and the scores of their runs.

Contents: `train_runs`, `train_planned`, `plan`, `Planned`; `on_test`, `main_score`, `family_scores`,
`scores_of`, `scores_beside`, `rates_beside`.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog, text
from audiomtl.harness import replicates
from audiomtl.harness.leases import Lease, LeaseLost, Leases
from audiomtl.harness.record import parts, provenance
from audiomtl.harness.record.store import (
    Run,
    Tracking,
    checkpoint_folder,
    remove_checkpoints,
    server_log,
    staging,
)
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.forkserver import device, start_forkserver
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import WAIT, Outcome, deferred_signals, train_all
from audiomtl.settings.toml import as_toml

TESTED = ("best", "nested", "refit")  # kinds that are scored on test
DECODED = "decoded"  # kind of the run whose outputs a study of decoding reads
KEPT = ("best", "refit", DECODED)  # kinds that keep their models


@dataclass(frozen=True)
class Planned:
    """One training of a best run or an ablation, or one that a study's winner is tried with."""

    arm: str  # "" for the experiment itself
    raw: dict[str, Any]
    seed: int
    training: str  # `provenance.training_key`
    fingerprint: str  # `provenance.scores_key`
    data: str
    other_kind: str = ""  # of the run, where it is neither the experiment's nor an ablation's
    tags: Mapping[str, str] = field(default_factory=dict)  # further ones of the run
    text: str = ""  # describes the run in the place of the experiment or the ablation

    @property
    def name(self) -> str:
        return f"{self.arm or 'best'} seed {self.seed}"

    @property
    def kind(self) -> str:
        """Tag ``kind`` of the run."""
        return self.other_kind or ("ablation" if self.arm else "best")


def plan(file: ExperimentFile, arms: Sequence[str], threads: int, device: str) -> list[Planned]:
    """Every training of some arms on every seed."""
    hashes: dict[str, str] = {}
    clips: dict[str, pd.DataFrame] = {}
    planned = []
    for arm in arms:
        raw = file.arm(arm)
        settings = config.settings_of(raw, str(file.path))
        key = config.digest([raw["data"], raw.get("text")])
        if key not in hashes:
            clips[key] = catalog.clips(settings.data)
            hashes[key] = text.fingerprint(clips[key], raw)
        replicates.check(settings, clips[key], f"{file.path}: ablation.{arm}" if arm else str(file.path))
        for seed in file.settings.seeds:
            training = provenance.training_key(raw, seed, hashes[key], threads, device)
            planned.append(
                Planned(arm, raw, seed, training, provenance.scores_key(training, raw), hashes[key])
            )
    return planned


def train_runs(
    file: ExperimentFile,
    arms: Sequence[str],
    *,
    again: bool,
    slots: int,
    threads: int,
    take_over: bool = False,
) -> dict[tuple[str, int], Run]:
    """Complete MLflow runs of some arms on every seed; finished trainings are not repeated, unless ``again``.

    Returns
    -------
    {(arm, seed): run}; a training that failed is missing.
    """
    start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
    planned = plan(file, arms, threads, device(file.raw["model"], server_log()))
    return train_planned(file, planned, again=again, slots=slots, threads=threads, take_over=take_over)


def train_planned(
    file: ExperimentFile,
    planned: Sequence[Planned],
    *,
    slots: int,
    threads: int,
    again: bool = False,
    take_over: bool = False,
    storage: str = "",
) -> dict[tuple[str, int], Run]:
    """Complete MLflow runs of some trainings of an experiment, as `train_runs`.

    Parameters
    ----------
    storage : database that has the leases; by default the project's.
    """
    start_forkserver(file.raw["model"], server_log())
    on = device(file.raw["model"], server_log())
    leases = Leases(open_storage(storage).engine)
    with leases.renewing():
        return _Runs(file, list(planned), again, slots, threads, on, leases, take_over).run()


class _Runs:
    """The trainings of one command."""

    def __init__(
        self,
        file: ExperimentFile,
        planned: list[Planned],
        repeat: bool,
        slots: int,
        threads: int,
        device: str,
        leases: Leases,
        take_over: bool,
    ) -> None:
        self.file, self.slots, self.threads, self.device = file, slots, threads, device
        self.leases, self.planned = leases, planned
        # leases that are taken over although they have not expired: not those that are taken from now on
        self.given_up = {row.name for row in leases.live()} if take_over else set[str]()
        self.tracking = Tracking()
        self.tracking.reap(file.name, {row.name for row in leases.live()})
        self.found: dict[tuple[str, int], Run] = {}
        self.left: list[Planned] = []
        for one in planned:
            run = None if repeat else self._finished(one)
            if run:
                self.found[one.arm, one.seed] = run
            else:
                self.left.append(one)
        self.todo = list(self.left)
        self.running: dict[str, tuple[Planned, str, Lease]] = {}  # and its run and its lease
        self.repeat = repeat
        self.waiting = False

    def run(self) -> dict[tuple[str, int], Run]:
        total = len(self.left)
        self.progress = Progress(f"{self.file.name}", total)
        if self.found:
            repeats = "" if any(one.other_kind for one in self.planned) else "; --again repeats them"
            self.progress.say(f"{self.file.name}: {len(self.found)} trainings are already finished{repeats}")
        if not total:
            return self.found
        try:
            with self.progress:
                train_all(
                    self.next_job,
                    self,
                    model=self.file.raw["model"],
                    slots=self.slots,
                    threads=self.threads,
                    log=server_log(),
                )
        except BaseException as error:
            by_hand = isinstance(error, KeyboardInterrupt)
            with deferred_signals():
                for _, run_id, lease in self.running.values():
                    reason = (
                        "stopped by the user; the same command resumes it"
                        if by_hand
                        else f"the command failed: {error}"
                    )
                    self.tracking.close(run_id, "KILLED", reason)
                    self.leases.release(lease)
            if by_hand:
                self.progress.say(
                    "stopped; finished trainings are kept, and the same command resumes the others"
                )
            raise
        return self.found

    def next_job(self) -> Job | Literal["wait"] | None:
        """The next training that no other worker has; what others have finished meanwhile is not repeated."""
        for one in list(self.todo):
            name = f"{one.kind}/{one.fingerprint}"
            lease = self.leases.take(name, at_once=name in self.given_up)
            self.given_up.discard(name)
            if lease is None:
                continue
            self.todo.remove(one)
            if not self.repeat and (run := self._finished(one)):
                self.found[one.arm, one.seed] = run
                self.leases.release(lease)
                self.progress.end(one.name, f"{one.name}: trained by another worker")
                continue
            return self._job(one, lease)
        if self.todo and not self.waiting and not self.running:
            self.waiting = True
            self.progress.say(f"waiting for {len(self.todo)} trainings that other workers have begun")
        return WAIT if self.todo else None

    def _finished(self, one: Planned) -> Run | None:
        kinds = ("best", "ablation") if one.kind == "ablation" else (one.kind,)
        run = self.tracking.finished(self.file.name, one.fingerprint, kinds)
        if run and one.kind == "ablation" and on_test(self.file.settings):
            return run if f"test/{main_score(self.file)}" in run.data.metrics else None
        return run

    def _job(self, one: Planned, lease: Lease) -> Job:
        tags = {
            **one.tags,
            "kind": one.kind,
            "seed": str(one.seed),
            "ablation": "" if one.other_kind else one.arm,
            "data": one.data,
            "fingerprint": one.fingerprint,
            "lease": lease.name,
        }
        tags |= {
            "code": provenance.code_version(one.raw),
            "threads": str(self.threads),
            "device": self.device,
            **parts.tags(one.raw, one.data),
        }
        with deferred_signals():
            run_id = self._interrupted(one)
            if run_id:
                self.tracking.resume(run_id)
            else:
                run_id = self.tracking.start(
                    self.file.name, one.name, tags=tags, description=self._describe(one)
                )
            self.running[one.name] = (one, run_id, lease)
            self.tracking.log_settings(run_id, one.raw, one.seed, one.data)
        folder = staging(run_id, lease.token)
        (folder / "settings.toml").write_text(as_toml(one.raw, one.seed), encoding="utf-8")
        kept = one.kind in KEPT
        on_folds = one.kind == "ablation" and on_test(self.file.settings)
        return Job(
            one.name,
            one.raw,
            one.seed,
            folder,
            checkpoint_folder(run_id, lease.token),
            test=one.kind in TESTED or on_folds,
            keep_model=kept,
        )

    def _interrupted(self, one: Planned) -> str:
        """The run of this training that was cut off, if there is one: whoever has the lease may resume it."""
        filters = f"tags.fingerprint = '{one.fingerprint}' and tags.kind = '{one.kind}'"
        runs = [run for run in self.tracking.runs(self.file.name, filters) if "outcome" not in run.data.tags]
        return runs[-1].info.run_id if runs else ""

    def _describe(self, one: Planned) -> str:
        if one.text:
            return one.text
        if not one.arm:
            return (
                f"{self.file.settings.description}\n\nBest run of {self.file.name} with seed {one.seed},"
                " scored on the test split."
            )
        changes = "\n".join(
            f"- {path} = {value}" for path, value in sorted(self.file.ablations[one.arm].items())
        )
        return (
            f"Ablation {one.arm} of {self.file.name} with seed {one.seed}, scored on the"
            f" {'test' if on_test(self.file.settings) else 'validation'} split."
            f" Changed settings:\n\n{changes}"
        )

    def started(self, job: Job) -> None:
        self.progress.begin(job.name, config.epochs(job.settings))

    def again(self, job: Job, reason: str) -> None:
        self.progress.say(f"{job.name}: {reason}; it starts again from its last checkpoint")

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        self.tracking.epoch(self.running[job.name][1], epoch, scores)
        monitor = config.monitor(job.settings)
        self.progress.epoch(job.name, epoch + 1, f"{monitor} {scores.get(monitor, math.nan):.4f}")
        return True

    def ended(self, job: Job, outcome: Outcome) -> None:
        one, run_id, lease = self.running.pop(job.name)
        try:
            self.leases.check(lease)
        except LeaseLost:
            shutil.rmtree(job.folder, ignore_errors=True)
            self.todo.append(one)  # its new owner's run is waited for
            self.progress.end(job.name, f"{job.name}: another worker has taken this training over")
            return
        tags = {}
        if job.test and outcome.status == "complete":
            tags["test_looks"] = str(self.tracking.count_test_look(self.file.name))
        if outcome.status == "complete" and outcome.result:
            main = main_score(self.file)
            key = f"{'test' if job.test else 'validation'}/{main}"
            value = outcome.result.scores.get(key)
            text = f"trained on every split for {outcome.result.epochs} epochs"
            if value is not None:
                best = f"best epoch {outcome.result.best_epoch + 1} of {outcome.result.epochs}"
                text = f"{key} {value:.4f} ({best})"
            tags["ended"] = text
            self.tracking.end(
                run_id, job.folder, outcome, tags=tags, description=f"{self._describe(one)}\n\n{text}."
            )
            self.found[one.arm, one.seed] = self.tracking.client.get_run(run_id)
        else:
            text = f"failed: {outcome.reason}"
            self.tracking.end(run_id, job.folder, outcome, tags={"ended": text})
        self.progress.end(job.name, f"{job.name}: {text}, {outcome.wall_seconds:.0f} s")
        # last: until here a kill costs no more than this bookkeeping
        remove_checkpoints(run_id)
        self.leases.release(lease)

    def tick(self) -> None:
        self.progress.refresh()


# ---------------------------------------------------------------- scores


def on_test(settings: Any) -> bool:
    """Whether ablations are compared with the best runs on test clips, which no study has chosen on (of one
    split) or not all of them (of several folds). Windows of the same clips (``leaky``) are no such test.
    """
    protocol = getattr(settings, "protocol", None)
    return protocol is not None and not protocol.leaky and "test" in protocol.scored


def main_score(file: ExperimentFile) -> str:
    """The main score: the first of the experiment."""
    return next(iter(family_scores(file)))


def family_scores(file: ExperimentFile) -> dict[str, str]:
    """{score: direction} of the reported scores."""
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


def scores_beside(file: ExperimentFile, runs: Sequence[Run]) -> dict[str, list[float]]:
    """Scores of test that the family names as ``BESIDE`` and all runs have, such as
    ``test/boundary_median_ms``: printed next to the recorded scores, never recorded.
    """
    names = getattr(config.family("settings", file.raw["model"]), "BESIDE", ())
    keys = [f"test/{name}" for name in names if name not in family_scores(file)]
    every = [key for key in keys if all(key in run.data.metrics for run in runs)]
    return {key: [float(run.data.metrics[key]) for run in runs] for key in every}


def rates_beside(runs: Sequence[Run]) -> dict[str, list[float]]:
    """Error rates that depend on the data only, one per run, such as ``test/copied_transcript_error_rate``:
    printed next to the scores.
    """
    keys = sorted(
        {
            key
            for run in runs
            for key in run.data.metrics
            if key.startswith("data/test/") and key.endswith("_error_rate")
        }
    )
    every = [key for key in keys if all(key in run.data.metrics for run in runs)]
    return {key.removeprefix("data/"): [run.data.metrics[key] for run in runs] for key in every}
