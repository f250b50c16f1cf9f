"""Studies: Optuna proposes, children train, MLflow records. A study can be stopped at any moment and resumes
where it was, and several workers can run it at once.

Every trial is a function of (study, number, finished trials before it): the sampler is seeded anew for each
number. Whoever holds a trial's lease trains it. A trial that is RUNNING and whose lease has expired has lost
its worker; it is taken up again under its own number, from its checkpoint, in its own MLflow run.

Beside it: `single` and `judged` (trials of one training, and of several), `queue` (which trial is next),
`proposals` (Optuna's side), `space` (settings and Optuna's parameters), `pruning` and `dropping`, `pareto`
(several objectives), `records` (the study in MLflow). Contents: `run_study`.
"""

import contextlib
import os
import uuid

from optuna.storages import RDBStorage
from optuna.trial import TrialState

from audiomtl.config import StudyFile
from audiomtl.errors import SurroundingsError, UserError
from audiomtl.harness.leases import LeaseLost
from audiomtl.harness.record import views
from audiomtl.harness.record.store import Run, Tracking, server_log
from audiomtl.harness.report import study_page
from audiomtl.harness.search import decode_only, extension, records, retries, selection
from audiomtl.harness.search.importances import importances
from audiomtl.harness.search.judged import JudgedTrials
from audiomtl.harness.search.proposals import enqueue_grid, name_metrics, pareto_front
from audiomtl.harness.search.single import SingleTrials
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.search.worker import Trials, Worker
from audiomtl.harness.train.forkserver import device, start_forkserver
from audiomtl.harness.train.progress import Progress, console
from audiomtl.harness.train.workers import deferred_signals, train_all

HINTS = "AUDIOMTL_HINTS"  # environment variable: "off" where a script takes the next steps itself
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
    UserError : the study cannot continue: its data or its MLflow store are not those of its trials; failed
        trials of a study of decoding are to be tried again.
    WorkFailed : its first trials failed for one reason, or none is complete.
    SurroundingsError : the machine ended a training again and again; no trial is used up.
    KeyboardInterrupt : stopped by hand; everything finished is kept, and the next call continues.
    """
    if file.study.decode_only:
        if retry_failed:
            raise UserError(
                f"{file.path}: decode_only = true: a failed trial would read the same outputs and fail again;"
                " leave out --retry-failed"
            )
        decode_only.run(file, slots=slots, threads=threads, storage=storage)
        return
    start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
    following = _StudyRunner(file, open_storage(storage), slots, threads, take_over).run(retry_failed)
    selection.conclude(file, slots=slots, threads=threads, storage=storage)
    if following:
        console().print(following)
    if records.NESTED not in file.name:
        tracking = Tracking()
        study_page.put(tracking, file)
        views.save_study(tracking, file, importances(file, storage))


class _StudyRunner:
    """One worker of a study, from its first look at the study until it leaves."""

    def __init__(
        self, file: StudyFile, storage: RDBStorage, slots: int, threads: int, take_over: bool
    ) -> None:
        self.file, self.slots, self.view = file, slots, ""
        self.worker = Worker.of(file, storage, threads, device(file.raw["model"], server_log()))
        self.study, self.tracking, self.own = self.worker.study, self.worker.tracking, self.worker.own
        kind = SingleTrials if file.judge.over == "one" else JudgedTrials
        self.trials: Trials = kind(self.worker, take_over=take_over)

    def run(self, retry_failed: bool) -> str:
        """Returns what to do after the study, for people."""
        with self.own.leases.renewing():
            self.me = self.own.take(f"worker/{uuid.uuid4().hex[:8]}")
            try:
                return self._run(retry_failed)
            finally:
                with deferred_signals():
                    self.own.leases.release(self.me)

    def _run(self, retry_failed: bool) -> str:
        file, study, worker = self.file, self.study, self.worker
        while not self._prepare(retry_failed):
            pass
        status, reason = "FINISHED", ""
        try:
            with worker.progress:
                train_all(
                    self.trials.next_job,
                    self.trials,
                    model=file.raw["model"],
                    slots=self.slots,
                    threads=worker.threads,
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
                worker.progress.say(
                    f"stopped; finished trials are kept, and `make study-{file.name}` resumes it"
                )
            raise
        finally:
            with deferred_signals():
                self.trials.close(status, reason)
                self._leave(status, reason)
        hints = os.environ.get(HINTS) != "off"
        if self.view and hints:
            worker.progress.say(f"its trials: {views.place(self.tracking, file.experiment.name, self.view)}")
        trials = study.get_trials(deepcopy=False)
        line = records.last_line(file, trials, pareto_front(study, file))
        if failed := retries.told(trials, file):
            worker.progress.say(failed)
        return line if hints else ""

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
                records.close_study(self.tracking, self.worker.parent, self.file, frame, status, reason)
            self.own.leases.release(self.me)

    # ------------------------------------------------------------ before the first training

    def _prepare(self, retry_failed: bool) -> bool:
        """Bring the records up to date; False if this worker was held up so long that it lost its turn."""
        study, file = self.study, self.file
        with contextlib.suppress(LeaseLost), self.own.turn(), deferred_signals():
            records.check_store(self.tracking, file, study, self.own.others("worker/"))
            kept = extension.enqueue(self.tracking, study, file, self.worker.data)
            runs, done = self._finish_runs()
            self.tracking.reap(self.file.experiment.name, {row.name for row in self.own.leases.live()})
            if runs and not any(path.startswith("data.") for path in file.study.search):
                records.check_data(file, runs, self.worker.data.hash(file.raw, "trial 0"))
            trials = study.get_trials(deepcopy=False)
            self.worker.progress = Progress(f"study {file.name}", file.study.trials, done)
            self.worker.progress.say(records.start_line(file, trials, self.own.others("worker/")))
            for line in [*kept, *retries.enqueue(study, file, every=retry_failed)]:
                self.worker.progress.say(line)
            enqueue_grid(study, file)
            name_metrics(study, file)
            self.worker.parent = records.open_study(self.tracking, file, self.worker.progress.say)
            if records.NESTED not in file.name:
                self.view = views.save_study(self.tracking, file)
            return True
        return False

    def _finish_runs(self) -> tuple[list[Run], int]:
        """Complete the runs of trials whose worker died after it told Optuna; runs of this study's trials,
        and how many trials are done.
        """
        live = {row.name for row in self.own.leases.live()}
        query = f"tags.study_key = '{self.file.identity}' and tags.kind = 'trial'"
        runs = self.tracking.runs(self.file.experiment.name, query)
        done = [
            trial
            for trial in self.study.get_trials(deepcopy=False, states=DONE)
            if self.own.name(f"trial/{trial.number}") not in live
        ]
        records.finish(self.tracking, runs, done)
        return runs, len(done)
