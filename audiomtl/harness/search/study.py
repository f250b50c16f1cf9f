"""Studies: Optuna proposes, children train, MLflow records. A study can be stopped at any moment and resumes
where it was, and several workers can run it at once.

Every trial is a function of (study, number, finished trials before it): the sampler is seeded anew for each
number. Whoever holds a trial's lease trains it. A trial that is RUNNING and whose lease has expired has lost
its worker; it is taken up again under its own number, from its checkpoint, in its own MLflow run.

Beside it: `proposals` (Optuna's side), `space` (settings and Optuna's parameters), `pruning`, `pareto`
(several objectives), `records` (the study in MLflow). Contents: `run_study`.
"""

import contextlib
import math
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog
from audiomtl.errors import SurroundingsError, UserError, WorkFailed
from audiomtl.harness.leases import Lease, LeaseLost, Leases
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import (
    Tracking,
    checkpoint_folder,
    remove_checkpoints,
    server_log,
    staging,
)
from audiomtl.harness.search import pareto, pruning, records, retries, space
from audiomtl.harness.search.proposals import create_study, pareto_front, sampler
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import (
    WAIT,
    Outcome,
    deferred_signals,
    device,
    start_forkserver,
    train_all,
)
from audiomtl.settings.toml import as_toml

DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
TURN_SECONDS = 0.05  # between two tries to have the turn to ask


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
        self.file, self.slots, self.threads, self.take_over = file, slots, threads, take_over
        self.tracking = Tracking()
        self.experiment = file.experiment.name
        self.study = create_study(file, storage)
        self.leases = Leases(storage.engine)
        self.leases.fence(storage.scoped_session)
        self.data: dict[str, str] = {}  # key of data settings -> data hash
        self.running: dict[str, _Running] = {}  # job name -> trial
        self.device = device(file.raw["model"], server_log())
        # trials with the settings of one that runs here; answered when it has ended
        self.duplicates: list[tuple[Trial, Lease, str]] = []  # and the key of its scores
        self.waiting_for: list[str] = []  # workers

    def run(self, retry_failed: bool) -> None:
        with self.leases.renewing():
            self.me = self._take(f"worker/{uuid.uuid4().hex[:8]}")
            try:
                self._run(retry_failed)
            finally:
                with deferred_signals():
                    self.leases.release(self.me)

    def _run(self, retry_failed: bool) -> None:
        file, study = self.file, self.study
        self._prepare(retry_failed)
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
            resumes = f"`make study-{file.name}` resumes it"
            reason = f"stopped by the user; {resumes}" if by_hand else f"the study stopped: {error}"
            if by_hand:
                self.progress.say(
                    f"stopped; finished trials are kept, and `make study-{file.name}` resumes the study"
                )
            raise
        finally:
            with deferred_signals():
                for one in self.running.values():
                    self.tracking.close(one.run_id, status, reason)
                    self.leases.release(one.lease)
                for _, lease, _ in self.duplicates:
                    self.leases.release(lease)
                self._leave(status, reason)
        best = pareto_front(study, file)
        if file.study.metrics:
            records.say_front(file, study.get_trials(deepcopy=False), best)
        if not best:
            raise WorkFailed(
                f"{file.path}: no trial of this study is complete: see the tag `reason` of its runs in"
                f" MLflow, fix the cause, then run `audiomtl study {file.name} --retry-failed`"
            )
        if file.experiment.path.parent.name == "experiments":
            promote = (
                f"audiomtl promote {file.name} --trial N"
                if file.study.metrics
                else f"make promote-{file.name}"
            )
            self.progress.say(f"next: {promote}, then make best-{self.experiment}")

    def _leave(self, status: str, reason: str) -> None:
        """The last worker closes the study's own run."""
        with self._turn():
            if not self._others("worker/"):
                frame = self.study.trials_dataframe(
                    attrs=("number", "value", "state", "params", "user_attrs")
                )
                records.close_study(self.tracking, self.parent, self.file, frame, status, reason)
            self.leases.release(self.me)

    # ------------------------------------------------------------ leases

    def _name(self, what: str) -> str:
        return f"{self.file.identity}/{what}"

    def _take(self, what: str) -> Lease:
        """A lease that nobody else can want for long."""
        while not (lease := self.leases.take(self._name(what))):
            time.sleep(TURN_SECONDS)
        return lease

    def _others(self, what: str) -> list[str]:
        """Owners of the live leases of other workers whose names begin with ``what``."""
        return [row.owner for row in self.leases.live(self._name(what))]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Of all workers one alone is in such a block.

        What it writes to Optuna is written only if that holds.
        """
        lease = self._take("turn")
        try:
            with self.leases.guard(lease):
                yield
        finally:
            self.leases.release(lease)

    # ------------------------------------------------------------ before the first training

    def _prepare(self, retry_failed: bool) -> None:
        study, file = self.study, self.file
        with self._turn(), deferred_signals():
            records.check_store(self.tracking, file, study)
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial(space.encode(file, config.flatten(file.raw)))
            live = {row.name for row in self.leases.live()}
            self.tracking.reap(self.experiment, live)
            runs = self.tracking.runs(
                self.experiment, f"tags.study_key = '{file.identity}' and tags.kind = 'trial'"
            )
            if runs and not any(path.startswith("data.") for path in file.study.search):
                records.check_data(file, runs, self._data_hash(file.raw, "trial 0"))
            for run in runs:
                # killed after the trial's end was written, before its checkpoint was removed
                if "outcome" in run.data.tags:
                    remove_checkpoints(run.info.run_id)
            for trial in study.get_trials(deepcopy=False, states=DONE):
                # killed after Optuna was told, before MLflow was
                if self._name(f"trial/{trial.number}") not in live:
                    records.finish(self.tracking, runs, trial)
            self._say_start()
            for line in retries.enqueue(study, file, every=retry_failed):
                self.progress.say(line)
            self.parent = records.open_study(self.tracking, file, self.progress.say)

    def _say_start(self) -> None:
        file, trials = self.file, self.study.get_trials(deepcopy=False)
        done = sum(trial.state in DONE for trial in trials)
        interrupted = sum(trial.state == TrialState.RUNNING for trial in trials)
        self.progress = Progress(f"study {file.name}", file.study.trials, done)
        resumes = f" resumes: {done} trials done, {interrupted} interrupted" if done or interrupted else ""
        if others := self._others("worker/"):
            resumes = f" joins {len(others)} other worker{'s' * (len(others) > 1)}: {done} trials done"
        judged = [f"{way} {metric}" for metric, way in file.study.objectives.items()]
        what = ", ".join([f"{file.study.trials} trials", *judged])
        self.progress.say(f"study {file.name} ({file.identity}): {what}{resumes}")

    # ------------------------------------------------------------ what to train

    def next_job(self) -> Job | Literal["wait"] | None:
        """The next training; trials whose settings were trained before are answered on the way."""
        while True:
            with contextlib.suppress(LeaseLost):  # this worker was held up, and another one was faster
                taken = self._interrupted() or self._asked()
                if taken is None:
                    return self._left()
                if job := self._job(*taken):
                    return job

    def _interrupted(self) -> tuple[Trial, Lease, bool] | None:
        """A trial that lost its worker, or waited here for one with the same settings."""
        keys = {one.key for one in self.running.values()}
        for place, (duplicate, held, key) in enumerate(self.duplicates):
            if key not in keys:
                del self.duplicates[place]
                return duplicate, held, True
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        mine = {one.trial.number for one in self.running.values()} | {
            trial.number for trial, _, _ in self.duplicates
        }
        left = [trial for trial in trials if trial.number not in mine]
        if not left:
            return None
        live = set() if self.take_over else {row.name for row in self.leases.live(self._name("trial/"))}
        for trial in left:
            name = self._name(f"trial/{trial.number}")
            lease = None if name in live else self.leases.take(name, at_once=self.take_over)
            if lease and self._is_running(trial):
                self.study.sampler = sampler(self.file, trial.number)
                return Trial(self.study, trial._trial_id), lease, True
            if lease:  # it has ended meanwhile
                self.leases.release(lease)
        return None

    def _is_running(self, trial: FrozenTrial) -> bool:
        return self.study._storage.get_trial(trial._trial_id).state == TrialState.RUNNING

    def _asked(self) -> tuple[Trial, Lease, bool] | None:
        """A new trial, as long as the study has fewer than it should have."""
        if self._wanted() <= 0:
            return None
        with self._turn(), deferred_signals():
            if self._wanted() <= 0:  # another worker was faster
                return None
            self.study.sampler = sampler(self.file, len(self._begun()))
            trial = self.study.ask()
            lease = self.leases.take(self._name(f"trial/{trial.number}"))
        return (trial, lease, False) if lease else None

    def _begun(self) -> list[FrozenTrial]:
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if trial.state != TrialState.WAITING]

    def _wanted(self) -> int:
        """How many trials the study still has to begin."""
        trials = self.study.get_trials(deepcopy=False)
        return self.file.study.trials + retries.count(trials) - len(self._begun())

    def _left(self) -> Literal["wait"] | None:
        """Whether other workers have trials that may become free."""
        states = (TrialState.RUNNING, TrialState.WAITING)
        mine = {one.trial.number for one in self.running.values()}
        left = [one.number for one in self.study.get_trials(deepcopy=False, states=states)]
        if not set(left) - mine:
            return None
        owners = sorted({owner.split(":")[0] for owner in self._others("trial/")})
        if owners and owners != self.waiting_for and not self.running:
            self.waiting_for = owners
            self.progress.say(
                f"waiting for trials that other workers train ({', '.join(owners)}); they are taken over if"
                " those workers end"
            )
        return WAIT

    def _job(self, trial: Trial, lease: Lease, resumed: bool) -> Job | None:
        """The training of a trial, its MLflow run open; None when the trial needs none."""
        with self.leases.guard(lease):
            values = space.suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, seed, refused, data = f"trial {trial.number}", raw["study_seed"], "", "none"
        try:
            data = self._data_hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        training = provenance.training_key(raw, seed, data, self.threads, self.device)
        key = provenance.scores_key(training, raw)
        if any(key == one.key for one in self.running.values()):
            self.duplicates.append((trial, lease, key))
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
        return Job(name, raw, seed, folder, checkpoint_folder(run_id, lease.token))

    def _answered(self, one: _Running, name: str) -> bool:
        """Tell the outcome of settings that this project has trained already: from MLflow when complete, from
        the study when pruned.
        """
        study, trial = self.file.study, one.trial
        known = self.tracking.finished(self.experiment, one.key, ("trial",))
        values = (
            [known.data.metrics.get(f"best/{metric}", math.nan) for metric in study.objectives]
            if known
            else [math.nan]
        )
        if known and not any(map(math.isnan, values)):
            source = known.info.run_name or known.info.run_id
            curves = {
                score: dict(self.tracking.history(known.info.run_id, score))
                for score in pruning.watched(study)
            }
            line = f"{name}: {pareto.numbers(values)}, copied from {source} with the same settings"
            with self._told(one, name, line):
                # later trials are compared with them
                for epoch in sorted(set.intersection(*map(set, curves.values()))):
                    reached = {score: curve[epoch] for score, curve in curves.items()}
                    pruning.note(trial, study, epoch, reached)
                trial.set_user_attr("answered from", known.info.run_id)
                self.study.tell(trial, values)
            self.tracking.copy_scores(known, one.run_id)
            records.close_answered(self.tracking, one.run_id, "FINISHED", source)
            return True
        for other in self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
            if other.params == trial.params and other.number != trial.number:
                line = f"{name}: pruned like trial {other.number} with the same settings"
                with self._told(one, name, line):
                    trial.set_user_attr("answered from", f"trial {other.number}")
                    self.study.tell(trial, state=TrialState.PRUNED)
                records.close_answered(self.tracking, one.run_id, "KILLED", f"trial {other.number}")
                return True
        return False

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

    def _data_hash(self, raw: Mapping[str, Any], name: str) -> str:
        settings = config.settings_of(raw, f"{self.file.path}: {name}")
        key = config.digest(raw["data"])
        if key not in self.data:
            self.data[key] = catalog.fingerprint(catalog.clips(settings.data))
        return self.data[key]

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
        line = f"{job.name}: failed: {outcome.reason}"
        if outcome.status == "complete" and outcome.result:
            text = ", ".join(f"{metric} {outcome.result.scores[metric]:.4f}" for metric in objectives)
            text += f" at epoch {outcome.result.best_epoch + 1} of {outcome.result.epochs}"
            line = f"{job.name}: {text}, {outcome.wall_seconds:.0f} s"
        elif outcome.status == "stopped":
            epochs = outcome.result.epochs if outcome.result else 0
            line = f"{job.name}: pruned after {epochs} epochs, {outcome.wall_seconds:.0f} s"
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
        best = pareto_front(self.study, self.file)
        if self.file.study.metrics:
            return f"trials {' and '.join(map(str, best))}" if best else ""
        return "".join(f"{pareto.numbers(trial.values)} (trial {number})" for number, trial in best.items())
