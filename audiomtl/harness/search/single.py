"""Trials of one training each: what a worker trains next, and what happens to it.

A trial that is stopped early is stopped after an epoch (`pruning`). Contents: `SingleTrials`.
"""

import contextlib
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.trial import Trial, TrialState

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.leases import Lease, LeaseLost
from audiomtl.harness.record import provenance, views
from audiomtl.harness.record.store import checkpoint_folder, remove_checkpoints, staging
from audiomtl.harness.search import copies, pareto, pruning, records, retries, space
from audiomtl.harness.search.proposals import pareto_front
from audiomtl.harness.search.queue import Taken, TrialQueue
from audiomtl.harness.search.worker import Worker
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.workers import WAIT, Outcome, deferred_signals
from audiomtl.settings.toml import as_toml


@dataclass
class Running:
    """A trial that this worker trains."""

    trial: Trial
    lease: Lease
    run_id: str
    key: str  # of its scores


class SingleTrials:
    """The trials of a study in which each is one training."""

    def __init__(self, worker: Worker, *, take_over: bool) -> None:
        self.worker, self.file, self.study = worker, worker.file, worker.study
        self.tracking, self.leases = worker.tracking, worker.leases
        self.queue = TrialQueue(worker.file, worker.study, worker.own, take_over)
        self.running: dict[str, Running] = {}  # job name -> trial

    def close(self, status: str, reason: str) -> None:
        for one in self.running.values():
            self.tracking.close(one.run_id, status, reason)
            self.leases.release(one.lease)
        for taken, _ in self.queue.aside:
            self.leases.release(taken.lease)

    # ------------------------------------------------------------ what to train

    def next_job(self) -> Job | Literal["wait"] | None:
        """The next training; trials whose settings were trained before get the earlier scores."""
        while True:
            mine = {one.trial.number for one in self.running.values()}
            keys = {one.key for one in self.running.values()}
            with contextlib.suppress(LeaseLost):  # this worker was held up, and another one was faster
                if taken := self.queue.next(mine, keys):
                    if job := self._job(taken):
                        return job
                    continue
                workers = self.queue.left(mine)
                if workers and not self.running:
                    self.worker.say_waiting(workers)
                return None if workers is None else WAIT

    def _job(self, taken: Taken) -> Job | None:
        """The training of a trial, its MLflow run open; None when the trial needs none."""
        trial, lease, resumed = taken.trial, taken.lease, taken.resumed
        self.worker.data.check()
        with self.leases.guard(lease):
            values = space.suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, seed, refused, data = f"trial {trial.number}", raw["study_seed"], "", "none"
        try:
            data = self.worker.data.hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        training = provenance.training_key(raw, seed, data, self.worker.threads, self.worker.device)
        key = provenance.scores_key(training, raw)
        if any(key == one.key for one in self.running.values()):
            self.queue.aside.append((taken, key))
            return None
        with deferred_signals():
            run_id = records.open_trial(
                self.tracking,
                self.file,
                raw,
                {
                    "trial": str(trial.number),
                    "data": data,
                    "fingerprint": key,
                    "training": training,
                    "threads": str(self.worker.threads),
                    "device": self.worker.device,
                    "lease": lease.name,
                    "mlflow.parentRunId": self.worker.parent,
                },
                resumed=resumed,
                description=records.describe(self.file, trial.number, values),
            )
            with self.leases.guard(lease):
                link = views.of_run(self.tracking, self.file.experiment.name, run_id)
                self.study._storage.set_trial_user_attr(trial._trial_id, records.LINK, link)
            one = Running(trial, lease, run_id, key)
            if refused:
                line = f"{name}: rejected: {refused}"
                self._end(one, name, Outcome("failed", refused), line, retries.attributes("", raw))
                return None
            if self._answered(one, name):
                return None
            self.running[name] = one
        folder = staging(run_id, lease.token)
        (folder / "settings.toml").write_text(as_toml(raw, seed), encoding="utf-8")
        asks = pruning.rungs(self.file.study, config.epochs(raw)) if trial.number else frozenset[int]()
        return Job(name, raw, seed, folder, checkpoint_folder(run_id, lease.token), asks=asks)

    def _answered(self, one: Running, name: str) -> bool:
        """Tell the outcome of settings that this project has trained already."""
        copy = copies.find(self.tracking, self.file, self.study, one.trial, one.key)
        if copy is None:
            return False
        with self._told(one, name, f"{name}: {copy.line}"):
            copy.tell()
        copy.record(one.run_id)
        self.leases.release(one.lease)
        return True

    @contextlib.contextmanager
    def _told(self, one: Running, name: str, line: str) -> Iterator[None]:
        """Tell Optuna how a trial ended, if it is still this worker's; then people."""
        try:
            with self.leases.guard(one.lease):
                yield
        except LeaseLost:
            line = f"{name}: another worker has taken this trial over"
            raise
        finally:
            self.worker.progress.end(name, line, self.worker.best_text())

    # ------------------------------------------------------------ what happens to it

    def started(self, job: Job) -> None:
        self.worker.progress.begin(job.name, config.epochs(job.settings))

    def again(self, job: Job, reason: str) -> None:
        self.worker.progress.say(f"{job.name}: {reason}; it starts again from its last checkpoint")

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        one, study = self.running[job.name], self.file.study
        self.tracking.epoch(one.run_id, epoch, scores)
        missing = [name for name in pruning.watched(study) if name not in scores]
        if missing:
            raise UserError(
                f'{self.file.path}: "{missing[0]}" is not a score of {job.settings["model"]}; available:'
                f" {', '.join(sorted(scores))}"
            )
        self.worker.progress.epoch(
            job.name, epoch + 1, ", ".join(f"{metric} {scores[metric]:.4f}" for metric in study.objectives)
        )
        try:
            with self.leases.guard(one.lease):
                pruning.note(one.trial, study, epoch + 1, scores)
                # trial 0 is what the study must beat: it needs a score
                if one.trial.number == 0 or epoch + 1 >= config.epochs(job.settings):
                    return True
                return not pruning.should_prune(
                    one.trial, self.study.get_trials(deepcopy=False), study, epoch + 1, scores
                )
        except LeaseLost:
            return False  # the training stops; `ended` sees why

    def ended(self, job: Job, outcome: Outcome) -> None:
        one = self.running.pop(job.name)
        objectives = self.file.study.objectives
        if outcome.status == "complete" and outcome.result:
            for metric in objectives:
                if math.isnan(outcome.result.scores[metric]):
                    outcome = replace(outcome, status="failed", reason=f"{metric} is nan at the best epoch")
        line = f"{job.name}: {records.in_words(outcome, objectives)}"
        self._end(one, job.name, outcome, line, retries.attributes(outcome.limit, job.settings), job)
        self.worker.stop_where_all_fail()

    def _end(
        self,
        one: Running,
        name: str,
        outcome: Outcome,
        line: str,
        attributes: Mapping[str, Any],
        job: Job | None = None,
    ) -> None:
        """Optuna first, with all that MLflow has to know; then MLflow, by whoever Optuna believed."""
        trial = one.trial
        words = line.partition(": ")[2]
        text = words.rpartition(",")[0]
        description = records.describe(self.file, trial.number, trial.params)
        ending = records.ending(
            outcome,
            job.folder if job else None,
            f"{description}\n\n{text}." if outcome.result else "",
            text if outcome.result else words,
        )
        try:
            with self._told(one, name, line):
                trial.set_user_attr(records.ENDING, ending)
                if outcome.status == "complete" and outcome.result:
                    scores = outcome.result.scores
                    self.study.tell(trial, [scores[metric] for metric in self.file.study.objectives])
                elif outcome.status == "stopped":
                    self.study.tell(trial, state=TrialState.PRUNED)
                else:
                    for key, value in {"reason": outcome.reason, **attributes}.items():
                        trial.set_user_attr(key, value)
                    self.study.tell(trial, state=TrialState.FAIL)
        except LeaseLost:
            if job:
                shutil.rmtree(job.folder, ignore_errors=True)
            return
        records.finish_run(self.tracking, one.run_id, ending)
        if outcome.status == "complete":
            front = pareto_front(self.study, self.file).values()
            ends = pareto.ends([best.values for best in front], list(self.file.study.objectives.values()))
            for metric, value in zip(self.file.study.objectives, ends, strict=True):
                self.tracking.client.log_metric(
                    self.worker.parent, f"best/{metric}", value, step=trial.number
                )
        # last: until here a kill costs no more than this bookkeeping
        remove_checkpoints(one.run_id)
        self.leases.release(one.lease)

    def tick(self) -> None:
        self.worker.progress.refresh()
