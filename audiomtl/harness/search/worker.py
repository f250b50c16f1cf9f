"""One worker of a study: what everything that it does needs. Contents: `Worker`, `Trials`."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import optuna
from optuna.storages import RDBStorage

from audiomtl.config import StudyFile
from audiomtl.errors import WorkFailed
from audiomtl.harness.leases import Leases
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.search import records, retries
from audiomtl.harness.search.proposals import create_study, pareto_front
from audiomtl.harness.search.queue import StudyLeases
from audiomtl.harness.search.watched_data import StudyData
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import Outcome


@dataclass
class Worker:
    """The study in Optuna and in MLflow, its leases and its data, as one worker sees them."""

    file: StudyFile
    study: optuna.Study
    own: StudyLeases
    tracking: Tracking
    data: StudyData
    threads: int
    device: str
    progress: Progress = field(init=False)  # from the beginning of the first training
    parent: str = field(init=False)  # id of the study's own run
    waiting_for: list[str] = field(default_factory=list)  # other workers, as people were told

    @classmethod
    def of(cls, file: StudyFile, storage: RDBStorage, threads: int, device: str) -> "Worker":
        """A worker that has not begun."""
        own = StudyLeases(file, storage)
        return cls(
            file,
            create_study(file, storage),
            own,
            Tracking(),
            StudyData(file),
            threads=threads,
            device=device,
        )

    @property
    def leases(self) -> Leases:
        return self.own.leases

    def best_text(self) -> str:
        """The best trial so far, or the Pareto front."""
        return records.best_text(self.file, pareto_front(self.study, self.file))

    def say_waiting(self, workers: list[str]) -> None:
        """Tell people, once, that trials of other workers are waited for."""
        if workers and workers != self.waiting_for:
            self.waiting_for = workers
            self.progress.say(
                f"waiting for trials that other workers train ({', '.join(workers)}); they are taken"
                " over if those workers end"
            )

    def stop_where_all_fail(self) -> None:
        """Stop a study whose first trials all failed alike: the others would too."""
        if reason := retries.early_failures(self.study.get_trials(deepcopy=False), self.file):
            raise WorkFailed(
                f"{self.file.path}: {reason}; fix the cause, then run"
                f" `audiomtl study {self.file.name} --retry-failed`"
            )


class Trials(Protocol):
    """What a worker trains: `single` has trials of one training, `judged` trials of several.

    The events are those of `train.workers.Listener`.
    """

    def next_job(self) -> Job | Literal["wait"] | None:
        """The next training, as `train.workers.train_all` asks for it."""

    def started(self, job: Job) -> None: ...
    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool: ...
    def again(self, job: Job, reason: str) -> None: ...
    def ended(self, job: Job, outcome: Outcome) -> None: ...
    def tick(self) -> None: ...

    def close(self, status: str, reason: str) -> None:
        """Close the runs of what is still being trained here, and give its leases back."""
