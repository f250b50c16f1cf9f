"""Trainings that are repeated for a comparison: in a temporary folder, without a run in MLflow.

Contents: `train_again`, `fingerprints`, `fingerprint`, `with_rounding`.
"""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.harness.record.store import server_log
from audiomtl.harness.train.child import Job, Result
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import Outcome, train_all
from audiomtl.harness.verify.steps import ROUNDED, FirstSteps, losses_of, rounding


class _Listener:
    """Collects results; a training that fails is printed with its reason."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self.todo, self.progress = list(jobs), progress
        self.results: dict[str, Result] = {}

    def next_job(self) -> Job | None:
        return self.todo.pop(0) if self.todo else None

    def started(self, job: Job) -> None:
        self.progress.begin(job.name, config.epochs(job.settings))

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        monitor = config.monitor(job.settings)
        self.progress.epoch(job.name, epoch + 1, f"{monitor} {scores.get(monitor, math.nan):.4f}")
        return True

    def again(self, job: Job, reason: str) -> None:
        self.progress.say(f"{job.name}: {reason}; it starts again")

    def ended(self, job: Job, outcome: Outcome) -> None:
        if outcome.result is not None:
            self.results[job.name] = outcome.result
        text = f"trained, {outcome.wall_seconds:.0f} s" if outcome.result else f"failed: {outcome.reason}"
        self.progress.end(job.name, f"{job.name}: {text}")

    def tick(self) -> None:
        self.progress.refresh()


def train_again(jobs: Sequence[Job], title: str, *, slots: int, threads: int) -> dict[str, Result]:
    """Train and return the results by name; one that failed is missing, and its reason is printed.

    Parameters
    ----------
    jobs : their folders and checkpoints, which are relative, are put below a temporary folder.
    """
    if not jobs:
        return {}
    with tempfile.TemporaryDirectory(prefix="audiomtl-verify-") as place:
        placed = [
            replace(job, folder=Path(place) / job.folder, checkpoint=Path(place) / job.checkpoint)
            for job in jobs
        ]
        progress = Progress(title, len(jobs))
        listener = _Listener(placed, progress)
        with progress:
            train_all(
                listener.next_job,
                listener,
                model=jobs[0].settings["model"],
                slots=slots,
                threads=threads,
                log=server_log(),
            )
    return listener.results


Wanted = Sequence[tuple[str, dict[str, Any], int]]  # name, raw settings and seed of each training


def fingerprints(wanted: Wanted, *, slots: int, threads: int) -> dict[str, list[float]]:
    """Losses of the first steps of several trainings by name; one that failed is missing."""
    found = _first_steps(wanted, [0], slots=slots, threads=threads)
    return {name: losses for (name, _), losses in found.items()}


def fingerprint(name: str, raw: dict[str, Any], seed: int, *, threads: int) -> list[float]:
    """Losses of the first steps of one training; empty where it failed."""
    return fingerprints([(name, raw, seed)], slots=1, threads=threads).get(name, [])


def with_rounding(wanted: Wanted, *, slots: int, threads: int) -> dict[str, tuple[list[float], list[float]]]:
    """Losses of the first steps of several trainings by name, and what rounding does to each loss; one that
    failed is missing.
    """
    found = _first_steps(wanted, range(ROUNDED + 1), slots=slots, threads=threads)
    complete = [name for name, _, _ in wanted if all((name, one) in found for one in range(ROUNDED + 1))]
    return {
        name: (found[name, 0], rounding(found[name, 0], [found[name, 1 + one] for one in range(ROUNDED)]))
        for name in complete
    }


def _first_steps(
    wanted: Wanted, rounded: Sequence[int], *, slots: int, threads: int
) -> dict[tuple[str, int], list[float]]:
    """Losses by name and `FirstSteps.rounded`."""
    jobs = {
        (name, number): FirstSteps(
            f"{name} first steps{f', rounded {number}' if number else ''}",
            *(raw, seed, Path(f"{place}-{number}"), Path(f"{place}-{number}/checkpoint")),
            rounded=number,
        )
        for place, (name, raw, seed) in enumerate(wanted)
        for number in rounded
    }
    results = train_again(list(jobs.values()), "first steps", slots=slots, threads=threads)
    return {key: losses_of(results[job.name]) for key, job in jobs.items() if job.name in results}
