"""Studies: Optuna proposes, children train, MLflow records. A study can be stopped at any moment and resumes
where it was, and several workers can run it at once.

Every trial is a function of (study, number, finished trials before it): the sampler is seeded anew for each
number. Whoever holds a trial's lease trains it. A trial that is RUNNING and whose lease has expired has lost
its worker; it is taken up again under its own number, from its checkpoint, in its own MLflow run.

Beside it: `queue` (which trial is next), `proposals` (Optuna's side), `space` (settings and Optuna's
parameters), `pruning`, `pareto` (several objectives), `records` (the study in MLflow). Contents: `run_study`.
"""

import contextlib
import math
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.storages import RDBStorage
from optuna.trial import Trial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.errors import SurroundingsError, UserError, WorkFailed
from audiomtl.harness.leases import Lease, LeaseLost
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import (
    Run,
    Tracking,
    checkpoint_folder,
    remove_checkpoints,
    server_log,
    staging,
)
from audiomtl.harness.search import copies, pareto, pruning, records, retries, selection, space
from audiomtl.harness.search.proposals import create_study, enqueue_grid, pareto_front
from audiomtl.harness.search.queue import StudyLeases, Taken, TrialQueue
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.search.watched_data import StudyData
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.forkserver import device, start_forkserver
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import WAIT, Outcome, deferred_signals, train_all
from audiomtl.settings.toml import as_toml

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def run_study(
    file: StudyFile,
    *,
    slots: int,
    threads: int,
    storage: str = "",
    retry_failed: bool = False,
    take_over: bool = False,
) -> None:
    """Run a study until it has its number of trials, over all workers and restarts.

    Parameters
    ----------
    retry_failed : train the settings of failed trials again, under new numbers.
    take_over : do not wait until the leases of other workers expire.

    Raises
    ------
    UserError : the study cannot continue: its data or its MLflow store are not those of its trials.
    WorkFailed : its first trials failed for one reason, or none is complete.
    SurroundingsError : the machine ended a training again and again; no trial is used up.
    KeyboardInterrupt : stopped by hand; everything finished is kept, and the next call continues.
    """
    start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
    _StudyRunner(file, open_storage(storage), slots, threads, take_over).run(retry_failed)
    selection.conclude(file, slots=slots, threads=threads, storage=storage)


@dataclass
class _Running:
    """A trial that this worker trains."""

    trial: Trial
    lease: Lease
    run_id: str
    key: str  # of its scores


class _StudyRunner:
    """One worker of a study."""

    def __init__(
        self, file: StudyFile, storage: RDBStorage, slots: int, threads: int, take_over: bool
    ) -> None:
        self.file, self.slots, self.threads = file, slots, threads
        self.tracking = Tracking()
        self.experiment = file.experiment.name
        self.study = create_study(file, storage)
        self.own = StudyLeases(file, storage)
        self.leases = self.own.leases
        self.queue = TrialQueue(file, self.study, self.own, take_over)
        self.data = StudyData(file)
        self.running: dict[str, _Running] = {}  # job name -> trial
        self.device = device(file.raw["model"], server_log())
        self.waiting_for: list[str] = []  # workers

    def run(self, retry_failed: bool) -> None:
        with self.leases.renewing():
            self.me = self.own.take(f"worker/{uuid.uuid4().hex[:8]}")
            try:
                self._run(retry_failed)
            finally:
                with deferred_signals():
                    self.leases.release(self.me)

    def _run(self, retry_failed: bool) -> None:
        file, study = self.file, self.study
        while not self._prepare(retry_failed):
            pass
        status, reason = "FINISHED", ""
        try:
            with self.progress:
                train_all(
                    self.next_job,
                    self,
                    model=file.raw["model"],
                    slots=self.slots,
                    threads=self.threads,
                    log=server_log(),
                )
            if file.study.metrics:
                with deferred_signals():
                    records.mark_front(self.tracking, file, pareto_front(study, file))
        except BaseException as error:
            by_hand = isinstance(error, KeyboardInterrupt)
            paused = by_hand or isinstance(error, SurroundingsError)
            status = "KILLED" if paused else "FAILED"
            reason = f"the study stopped: {error}"
            if by_hand:
                reason = f"stopped by the user; `make study-{file.name}` resumes it"
                self.progress.say(
                    f"stopped; finished trials are kept, and `make study-{file.name}` resumes it"
                )
            raise
        finally:
            with deferred_signals():
                for one in self.running.values():
                    self.tracking.close(one.run_id, status, reason)
                    self.leases.release(one.lease)
                for taken, _ in self.queue.aside:
                    self.leases.release(taken.lease)
                self._leave(status, reason)
        if line := records.last_line(file, study.get_trials(deepcopy=False), pareto_front(study, file)):
            self.progress.say(line)

    def _leave(self, status: str, reason: str) -> None:
        """Close the study's own run: the last worker, and each that finds all trials done, since another one
        whose lease has not run out may be dead.
        """
        with contextlib.suppress(LeaseLost), self.own.turn():
            if status == "FINISHED":
                self._finish_runs()
            if status == "FINISHED" or not self.own.others("worker/"):
                frame = self.study.trials_dataframe(
                    attrs=("number", "value", "state", "params", "user_attrs")
                )
                records.close_study(self.tracking, self.parent, self.file, frame, status, reason)
            self.leases.release(self.me)

    # ------------------------------------------------------------ before the first training

    def _prepare(self, retry_failed: bool) -> bool:
        """Bring the records up to date; False if this worker was held up so long that it lost its turn."""
        study, file = self.study, self.file
        with contextlib.suppress(LeaseLost), self.own.turn(), deferred_signals():
            records.check_store(self.tracking, file, study, self.own.others("worker/"))
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial(space.encode(file, config.flatten(file.raw)))
            runs, done = self._finish_runs()
            self.tracking.reap(self.experiment, {row.name for row in self.leases.live()})
            if runs and not any(path.startswith("data.") for path in file.study.search):
                records.check_data(file, runs, self.data.hash(file.raw, "trial 0"))
            trials = study.get_trials(deepcopy=False)
            self.progress = Progress(f"study {file.name}", file.study.trials, done)
            self.progress.say(records.start_line(file, trials, self.own.others("worker/")))
            for line in retries.enqueue(study, file, every=retry_failed):
                self.progress.say(line)
            enqueue_grid(study, file)
            self.parent = records.open_study(self.tracking, file, self.progress.say)
            return True
        return False

    def _finish_runs(self) -> tuple[list[Run], int]:
        """Complete the runs of trials whose worker died after it told Optuna; runs of this study's trials,
        and how many trials are done.
        """
        live = {row.name for row in self.leases.live()}
        query = f"tags.study_key = '{self.file.identity}' and tags.kind = 'trial'"
        runs = self.tracking.runs(self.experiment, query)
        done = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=DONE)
            if self.own.name(f"trial/{trial.number}") not in live
        ]
        records.finish(self.tracking, runs, done)
        return runs, len(done)

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
                if workers and workers != self.waiting_for and not self.running:
                    self.waiting_for = workers
                    self.progress.say(
                        f"waiting for trials that other workers train ({', '.join(workers)}); they are taken"
                        " over if those workers end"
                    )
                return None if workers is None else WAIT

    def _job(self, taken: Taken) -> Job | None:
        """The training of a trial, its MLflow run open; None when the trial needs none."""
        trial, lease, resumed = taken.trial, taken.lease, taken.resumed
        self.data.check()
        with self.leases.guard(lease):
            values = space.suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, seed, refused, data = f"trial {trial.number}", raw["study_seed"], "", "none"
        try:
            data = self.data.hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        training = provenance.training_key(raw, seed, data, self.threads, self.device)
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
                    "threads": str(self.threads),
                    "device": self.device,
                    "lease": lease.name,
                    "mlflow.parentRunId": self.parent,
                },
                resumed=resumed,
                description=records.describe(self.file, trial.number, values),
            )
            one = _Running(trial, lease, run_id, key)
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

    def _answered(self, one: _Running, name: str) -> bool:
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
    def _told(self, one: _Running, name: str, line: str) -> Iterator[None]:
        """Tell Optuna how a trial ended, if it is still this worker's; then people."""
        try:
            with self.leases.guard(one.lease):
                yield
        except LeaseLost:
            line = f"{name}: another worker has taken this trial over"
            raise
        finally:
            self.progress.end(name, line, self._best_text())

    # ------------------------------------------------------------ what happens to it

    def started(self, job: Job) -> None:
        self.progress.begin(job.name, config.epochs(job.settings))

    def again(self, job: Job, reason: str) -> None:
        self.progress.say(f"{job.name}: {reason}; it starts again from its last checkpoint")

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        one, study = self.running[job.name], self.file.study
        self.tracking.epoch(one.run_id, epoch, scores)
        missing = [name for name in pruning.watched(study) if name not in scores]
        if missing:
            raise UserError(
                f'{self.file.path}: "{missing[0]}" is not a score of {job.settings["model"]}; available:'
                f" {', '.join(sorted(scores))}"
            )
        self.progress.epoch(
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
        self._stop_where_all_fail()

    def _end(
        self,
        one: _Running,
        name: str,
        outcome: Outcome,
        line: str,
        attributes: Mapping[str, Any],
        job: Job | None = None,
    ) -> None:
        """Optuna first, with all that MLflow has to know; then MLflow, by whoever Optuna believed."""
        trial = one.trial
        text = line.partition(": ")[2].rpartition(",")[0]
        description = records.describe(self.file, trial.number, trial.params)
        ending = records.ending(
            outcome, job.folder if job else None, f"{description}\n\n{text}." if outcome.result else ""
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
                self.tracking.client.log_metric(self.parent, f"best/{metric}", value, step=trial.number)
        # last: until here a kill costs no more than this bookkeeping
        remove_checkpoints(one.run_id)
        self.leases.release(one.lease)

    def _stop_where_all_fail(self) -> None:
        """Stop a study whose first trials all failed alike: the others would too."""
        if reason := retries.early_failures(self.study.get_trials(deepcopy=False), self.file):
            raise WorkFailed(
                f"{self.file.path}: {reason}; fix the cause, then run"
                f" `audiomtl study {self.file.name} --retry-failed`"
            )

    def tick(self) -> None:
        self.progress.refresh()

    def _best_text(self) -> str:
        return records.best_text(self.file, pareto_front(self.study, self.file))
