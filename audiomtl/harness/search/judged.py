"""Trials that several trainings judge, their *members*: which training is next, and what happens to it.

A trial is a run in MLflow, each member a nested run of kind ``member`` with a key, a checkpoint and a lease
of its own (``STUDY/trial/NUMBER/MEMBER``), so that slots and workers share one trial. Whoever ends a member
looks, in the study's turn, at what can be decided of its trial: the running mean is told to Optuna, with the
number of finished members as its step; a poor trial is dropped (`dropping`); a whole one is complete. Every
decision looks at the members in their order and is stored before it is acted on.

Contents: `JudgedTrials`.
"""

import contextlib
import math
import shutil
from dataclasses import dataclass, replace
from typing import Any, Literal

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.leases import Lease, LeaseLost
from audiomtl.harness.record import provenance, views
from audiomtl.harness.record.store import checkpoint_folder, remove_checkpoints, staging
from audiomtl.harness.search import copies, members, records, retries, space
from audiomtl.harness.search.members import Member
from audiomtl.harness.search.proposals import sampler
from audiomtl.harness.search.queue import TrialQueue
from audiomtl.harness.search.verdicts import Verdicts
from audiomtl.harness.search.worker import Worker
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.workers import WAIT, Outcome, deferred_signals
from audiomtl.settings.toml import as_toml


@dataclass(frozen=True)
class _Planned:
    """One member of one trial."""

    trial: int
    trial_id: int
    member: Member
    raw: dict[str, Any]
    data: str
    training: str
    key: str  # of its scores

    @property
    def name(self) -> str:
        return f"trial {self.trial} {self.member.name}"


@dataclass(frozen=True)
class _Running:
    """A member that this worker trains."""

    planned: _Planned
    lease: Lease
    run_id: str


class JudgedTrials:
    """The trials of a study in which each has several trainings."""

    def __init__(self, worker: Worker, *, take_over: bool) -> None:
        self.worker, self.file, self.study, self.own = worker, worker.file, worker.study, worker.own
        self.tracking, self.leases = worker.tracking, worker.leases
        self.storage = worker.study._storage
        self.queue = TrialQueue(worker.file, worker.study, worker.own, take_over)
        self.members = members.plan(worker.file, worker.data.table(worker.file.raw, "trial 0"))
        self.verdicts = Verdicts(worker, self.members)
        self.running: dict[str, _Running] = {}  # job name -> member
        self.open: set[int] = set()  # trials whose runs this worker has seen open

    def close(self, status: str, reason: str) -> None:
        for one in self.running.values():
            self.tracking.close(one.run_id, status, reason)
            self.leases.release(one.lease)
        for number in sorted(self.open):
            trial = self._trial(number)
            if trial.state == TrialState.RUNNING and not self.own.others(f"trial/{number}/"):
                self.tracking.close(trial.user_attrs[members.RUN], status, reason)

    # ------------------------------------------------------------ what to train

    def next_job(self) -> Job | Literal["wait"] | None:
        """The next training: of the trial that began first, or of a new one."""
        while True:
            with contextlib.suppress(LeaseLost):  # this worker was held up, and another one was faster
                if taken := self._take():
                    if job := self._job(*taken):
                        return job
                    continue
                if self._begin():
                    continue
                mine = {one.planned.trial for one in self.running.values()}
                workers = self.queue.left(mine)
                if workers and not self.running:
                    self.worker.say_waiting(workers)
                return None if workers is None else WAIT

    def _take(self) -> tuple[_Planned, Lease] | None:
        """A member that nobody trains, of the trials that have begun, and the lease of this worker on it."""
        here = {(one.planned.trial, one.planned.member.number) for one in self.running.values()}
        keys = {one.planned.key for one in self.running.values()}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if members.RUN not in trial.user_attrs:  # its worker was killed before it had settings
                self._settle(trial._trial_id)
                trial = self._trial(trial.number)
            if self.verdicts.due(trial):
                self._advance(trial.number)
            trial = self._trial(trial.number)
            if trial.state != TrialState.RUNNING:
                continue
            rows = {row.name: row for row in self.leases.rows(self.own.name(f"trial/{trial.number}/"))}
            for member in self.members:
                if (trial.number, member.number) in here:
                    continue
                name = self.own.name(f"trial/{trial.number}/{member.number}")
                told, row = members.key(member.number) in trial.user_attrs, rows.get(name)
                if told and (row is None or not row.held):
                    continue
                planned = self._planned(trial, member)
                if not told and planned.key in keys:  # it is answered when the same training has ended
                    continue
                given_up = row is not None and (row.name, row.token) in self.queue.given_up
                if lease := self.leases.take(name, at_once=given_up):
                    if self._is_left(trial.number, member):
                        return planned, lease
                    self._finish(trial.number, member)  # its worker was killed after it told Optuna
                    self.leases.release(lease)
                    self._advance(trial.number)
        return None

    def _begin(self) -> bool:
        """Begin a new trial, as long as the study has fewer than it should have."""
        if self.queue.wanted() <= 0:
            return False
        with self.own.turn(), deferred_signals():
            if self.queue.wanted() <= 0:  # another worker was faster
                return True
            self.study.sampler = sampler(self.file, len(self.queue.begun()))
            trial = self.study.ask()
            self._give_settings(trial)
        return True

    def _settle(self, trial_id: int) -> None:
        with self.own.turn(), deferred_signals():
            frozen = self.storage.get_trial(trial_id)
            if frozen.state == TrialState.RUNNING and members.RUN not in frozen.user_attrs:
                self.study.sampler = sampler(self.file, frozen.number)
                self._give_settings(Trial(self.study, trial_id))

    def _give_settings(self, trial: Trial) -> None:
        """Settings and a run for a new trial; in the study's turn."""
        values = space.suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, data, refused = f"trial {trial.number}", "none", ""
        try:
            data = self.worker.data.hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        keys = [self._keys(raw, member, data) for member in self.members]
        tags = {
            "trial": str(trial.number),
            "data": data,
            "fingerprint": config.digest([scores for _, scores in keys]),
            "training": config.digest([training for training, _ in keys]),
            "threads": str(self.worker.threads),
            "device": self.worker.device,
            "lease": self.own.name("worker/"),  # of any worker
            "members": str(len(self.members)),
            "mlflow.parentRunId": self.worker.parent,
        }
        described = records.describe(self.file, trial.number, values)
        run_id = records.open_trial(self.tracking, self.file, raw, tags, resumed=True, description=described)
        if refused:
            self.verdicts.end(trial._trial_id, Outcome("failed", refused), f"rejected: {refused}", {})
        link = views.of_run(self.tracking, self.file.experiment.name, run_id)
        self.storage.set_trial_user_attr(trial._trial_id, records.LINK, link)
        trial.set_user_attr(members.RUN, run_id)  # last: from now on it has all that it needs

    def _keys(self, raw: dict[str, Any], member: Member, data: str) -> tuple[str, str]:
        """Keys of a member's training and of its scores."""
        own = member.settings(raw)
        training = provenance.training_key(own, member.seed, data, self.worker.threads, self.worker.device)
        return training, provenance.scores_key(training, own)

    def _planned(self, trial: FrozenTrial, member: Member) -> _Planned:
        raw = config.override(self.file.raw, space.decode(self.file, trial.params))
        data = self.worker.data.hash(raw, f"trial {trial.number}")
        training, scores = self._keys(raw, member, data)
        return _Planned(trial.number, trial._trial_id, member, member.settings(raw), data, training, scores)

    def _trial(self, number: int) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[number]

    def _is_left(self, number: int, member: Member) -> bool:
        trial = self._trial(number)
        return trial.state == TrialState.RUNNING and members.key(member.number) not in trial.user_attrs

    def _job(self, planned: _Planned, lease: Lease) -> Job | None:
        """The training of a member, its MLflow run open; None when it needs none."""
        self.worker.data.check()
        trial, member = self._trial(planned.trial), planned.member
        parent = trial.user_attrs[members.RUN]
        tags = {
            "trial": str(planned.trial),
            "member": str(member.number),
            "data": planned.data,
            "fingerprint": planned.key,
            "training": planned.training,
            "threads": str(self.worker.threads),
            "device": self.worker.device,
            "lease": lease.name,
            "mlflow.parentRunId": parent,
        }
        described = f"Trial {planned.trial} of study {self.file.name}, {member.name}."
        with deferred_signals():
            if planned.trial not in self.open:
                if self.tracking.client.get_run(parent).info.status != "RUNNING":
                    self.tracking.resume(parent)
                self.open.add(planned.trial)
            run_id = records.open_trial(
                self.tracking,
                self.file,
                planned.raw,
                tags,
                resumed=True,
                description=described,
                member=member.name,
                seed=member.seed,
            )
            one = _Running(planned, lease, run_id)
            if copy := copies.of_member(self.tracking, self.file, planned.key):
                line = f"copied from {copy.source_name} with the same settings"
                self._end(one, copy.outcome, line, source=copy.source)
                return None
            self.running[planned.name] = one
        folder = staging(run_id, lease.token)
        (folder / "settings.toml").write_text(as_toml(planned.raw, member.seed), encoding="utf-8")
        return Job(planned.name, planned.raw, member.seed, folder, checkpoint_folder(run_id, lease.token))

    # ------------------------------------------------------------ what happens to it

    def started(self, job: Job) -> None:
        self.worker.progress.begin(job.name, config.epochs(job.settings))

    def again(self, job: Job, reason: str) -> None:
        self.worker.progress.say(f"{job.name}: {reason}; it starts again from its last checkpoint")

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        one = self.running[job.name]
        self.tracking.epoch(one.run_id, epoch, scores)
        objectives = self.file.study.objectives
        missing = [name for name in objectives if name not in scores]
        if missing:
            raise UserError(
                f'{self.file.path}: "{missing[0]}" is not a score of {job.settings["model"]}; available:'
                f" {', '.join(sorted(scores))}"
            )
        said = ", ".join(f"{metric} {scores[metric]:.4f}" for metric in objectives)
        self.worker.progress.epoch(job.name, epoch + 1, said)
        # not dropped, nor failed
        return bool(self.storage.get_trial(one.planned.trial_id).state == TrialState.RUNNING)

    def ended(self, job: Job, outcome: Outcome) -> None:
        one = self.running.pop(job.name)
        if outcome.status == "complete" and outcome.result:
            for metric in self.file.study.objectives:
                if math.isnan(outcome.result.scores[metric]):
                    outcome = replace(outcome, status="failed", reason=f"{metric} is nan at the best epoch")
        words = records.in_words(outcome, self.file.study.objectives, member=True)
        self._end(one, outcome, words, job=job)
        self.worker.stop_where_all_fail()

    def _end(
        self, one: _Running, outcome: Outcome, words: str, *, job: Job | None = None, source: str = ""
    ) -> None:
        """Optuna first, with all that MLflow has to know; then MLflow; then what follows for the trial."""
        planned, member = one.planned, one.planned.member
        described = f"Trial {planned.trial} of study {self.file.name}, {member.name}: {words}."
        kept = {members.RUN: one.run_id, members.SOURCE: source}
        kept |= records.ending(outcome, job.folder if job else None, described, words)
        kept |= retries.attributes(outcome.limit, planned.raw)
        try:
            with self.leases.guard(one.lease):
                if outcome.status != "stopped":
                    name = members.key(member.number)
                    self.storage.set_trial_user_attr(planned.trial_id, name, kept)
        except LeaseLost:
            if job:
                shutil.rmtree(job.folder, ignore_errors=True)
            self.worker.progress.leave(
                planned.name, f"{planned.name}: another worker has taken this training over"
            )
            return
        except UpdateFinishedTrialError:  # it was dropped or has failed meanwhile: its run alone is closed
            pass
        self.worker.progress.leave(planned.name, f"  {planned.name}: {words}")
        self.verdicts.finish_member(kept)
        remove_checkpoints(one.run_id)
        self.leases.release(one.lease)
        self._advance(planned.trial)

    def _finish(self, number: int, member: Member) -> None:
        """Close the run of a member whose end Optuna knows already."""
        kept = self._trial(number).user_attrs.get(members.key(member.number))
        if kept is not None:
            self.verdicts.finish_member(kept)
            remove_checkpoints(kept[members.RUN])

    def _advance(self, number: int) -> None:
        with contextlib.suppress(LeaseLost), self.own.turn(), deferred_signals():
            self.verdicts.advance(number)

    def tick(self) -> None:
        self.worker.progress.refresh()
