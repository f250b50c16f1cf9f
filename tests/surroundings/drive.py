"""A worker of its own for the tests: ``python -m tests.surroundings.drive PLAN.json`` trains what the plan
lists, through `train_all`.

The plan: ``{"log": path, "rounds": [{"slots": n, "jobs": [{"name", "raw", "seed", "folder", "dies"}, ...]},
...]}``, ``dies`` being null or ``[epoch, step]``: at that step of that epoch the child kills itself with
SIGKILL, and its training is started again from its checkpoint. Beside the plan it writes ``PLAN.found.json``:
name -> reasons of failures, epochs as they were told, scores, facts, digest.

Contents: `Dying`, `Recorder`.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiomtl.harness.train.child import Job
from audiomtl.harness.train.workers import Outcome, train_all
from tests.surroundings.families import digest


@dataclass(frozen=True)
class Dying(Job):
    """A job whose child dies in the middle of an epoch."""

    epoch: int = 0
    step: int = 0

    def __setstate__(self, state: dict[str, Any]) -> None:  # in the child, which gets its job as a pickle
        from audiomtl.nn import fit

        self.__dict__.update(state)
        rate, steps = fit.learning_rate, iter(range(10**6))

        def dying(settings: Any, *, epoch: int, **options: Any) -> float:  # asked for before every step
            died = self.folder / "died"
            if epoch == self.epoch and next(steps) == self.step and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return rate(settings, epoch=epoch, **options)

        fit.learning_rate = dying


class Recorder:
    """Hands out jobs, and keeps what is told."""

    def __init__(self, jobs: list[dict[str, Any]]) -> None:
        self.todo = [self.job(**one) for one in jobs]
        self.found: dict[str, dict[str, Any]] = {}

    def job(self, name: str, raw: dict[str, Any], seed: int, folder: str, dies: list[int] | None) -> Job:
        options = {"test": True, "keep_model": True}
        whole = Job(name, raw, seed, Path(folder), Path(folder) / "checkpoint", **options)
        return Dying(**vars(whole), epoch=dies[0], step=dies[1]) if dies else whole

    def next_job(self) -> Job | None:
        return self.todo.pop(0) if self.todo else None

    def started(self, job: Job) -> None:
        self.found.setdefault(job.name, {"reasons": [], "epochs": []})

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        self.found[job.name]["epochs"].append([epoch, scores])
        return True

    def again(self, job: Job, reason: str) -> None:
        self.found[job.name]["reasons"].append(reason)
        self.found[job.name]["checkpoint"] = (job.checkpoint / "epoch.npz").is_file()

    def ended(self, job: Job, outcome: Outcome) -> None:
        mine = self.found[job.name]
        if outcome.result is None:
            mine["reasons"].append(outcome.reason)
            return
        mine |= {
            "cpu_seconds": outcome.result.cpu_seconds,
            "scores": outcome.result.scores,
            "facts": outcome.result.facts,
            "digest": digest(job.folder),
        }

    def tick(self) -> None:
        pass


if __name__ == "__main__":
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for some in plan["rounds"]:
        recorder = Recorder(some["jobs"])
        train_all(
            recorder.next_job,
            recorder,
            model="transfer",
            slots=some["slots"],
            threads=1,
            log=Path(plan["log"]),
        )
        found |= recorder.found
    Path(sys.argv[1]).with_suffix(".found.json").write_text(json.dumps(found), encoding="utf-8")
