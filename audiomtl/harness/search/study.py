"""Studies: Optuna proposes, children train, MLflow records; a study can be stopped at any moment and goes on
where it was.

Every trial is a function of (study, number, finished trials before it): the sampler is seeded anew for each
number. A trial that is RUNNING when a study starts has lost its worker; it is taken up again under its own
number, from its checkpoint, in its own MLflow run.

Beside it: `space` (settings and Optuna's parameters), `pruning`, `pareto`
(several objectives), `records` (the study in MLflow), `storage`. Contents: `run_study`, `best_trial`,
`front`.
"""

import contextlib
import math
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import (
    Tracking,
    checkpoint_folder,
    locked,
    server_log,
    staging,
)
from audiomtl.harness.search import pareto, pruning, records, space
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.child import Job
from audiomtl.harness.train.progress import Progress
from audiomtl.harness.train.workers import Outcome, deferred_signals, device, start_forkserver, train_all
from audiomtl.settings.toml import as_toml

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", message=".*is already reported")  # epochs that are told again after a crash

STARTUP_TRIALS = 10  # at random, before the sampler models anything
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def run_study(file: StudyFile, *, slots: int, threads: int, storage: str = "") -> None:
    """Run a study until it has its number of trials, over all sittings.

    Raises
    ------
    UserError : another process runs this study.
    KeyboardInterrupt : stopped by hand; everything finished is kept, and the next call goes on.
    """
    with locked(f"study-{file.identity}", wait=False) as mine:
        if not mine:
            raise UserError(
                f"{file.path}: another process is already running this study; wait for it to finish or"
                " stop it"
            )
        start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
        _StudyRunner(file, open_storage(storage), slots, threads).run()


class _StudyRunner:
    """One process's work on a study."""

    def __init__(
        self, file: StudyFile, storage: optuna.storages.BaseStorage, slots: int, threads: int
    ) -> None:
        self.file, self.slots, self.threads = file, slots, threads
        self.tracking = Tracking()
        self.experiment = file.experiment.name
        self.study = create_study(file, storage)
        self.data: dict[str, str] = {}  # key of data settings -> data hash
        self.trials: dict[str, Trial] = {}  # job name -> trial, of what runs now; so are the next two
        self.run_ids: dict[str, str] = {}
        self.keys: dict[str, str] = {}  # job name -> key of its scores
        self.device = device(file.raw["model"], server_log())
        self.interrupted = [
            trial.number
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state == TrialState.RUNNING
        ]
        # trials with the settings of one that runs now; answered when it has ended
        self.duplicates: list[int] = []

    def run(self) -> None:
        study, file = self.study, self.file
        earlier = [trial for trial in study.get_trials(deepcopy=False) if trial.state in DONE]
        waiting = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.WAITING]
        if not earlier and not self.interrupted and not waiting:
            study.enqueue_trial(space.encode(file, config.flatten(file.raw)))
        self.tracking.reap(self.experiment)
        runs = self.tracking.runs(
            self.experiment, f"tags.study_key = '{file.identity}' and tags.kind = 'trial'"
        )
        if runs and not any(path.startswith("data.") for path in file.study.search):
            records.check_data(file, runs, self._data_hash(file.raw, "trial 0"))
        for run in runs:
            # killed after the trial's end was written, before its checkpoint was removed
            if "outcome" in run.data.tags:
                shutil.rmtree(checkpoint_folder(run.data.tags["training"], "trial"), ignore_errors=True)
        self.progress = Progress(f"study {file.name}", file.study.trials, len(earlier))
        goes_on = (
            f" resumes: {len(earlier)} trials done, {len(self.interrupted)} interrupted"
            if earlier or self.interrupted
            else ""
        )
        what = ", ".join(
            [
                f"{file.study.trials} trials",
                *(f"{way} {metric}" for metric, way in file.study.objectives.items()),
            ]
        )
        self.progress.say(f"study {file.name} ({file.identity}): {what}{goes_on}")
        with deferred_signals():
            self.parent = records.open_study(self.tracking, file, self.progress.say)
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
                    records.mark_front(self.tracking, file, _front(study, file))
        except BaseException as error:
            by_hand = isinstance(error, KeyboardInterrupt)
            status = "KILLED" if by_hand else "FAILED"
            reason = (
                f"stopped by the user; `make study-{file.name}` resumes it"
                if by_hand
                else f"the study failed: {error}"
            )
            if by_hand:
                self.progress.say(
                    f"stopped; finished trials are kept, and `make study-{file.name}` resumes the study"
                )
            raise
        finally:
            with deferred_signals():
                for run_id in self.run_ids.values():
                    self.tracking.close(run_id, status, reason)
                frame = study.trials_dataframe(attrs=("number", "value", "state", "params", "user_attrs"))
                records.close_study(self.tracking, self.parent, file, frame, status, reason)
        if file.study.metrics:
            records.say_front(file, study.get_trials(deepcopy=False), _front(study, file))
        if file.experiment.path.parent.name == "experiments":
            promote = (
                f"audiomtl promote {file.name} --trial N"
                if file.study.metrics
                else f"make promote-{file.name}"
            )
            self.progress.say(f"next: {promote}, then make best-{self.experiment}")

    # ------------------------------------------------------------ what to train

    def next_job(self) -> Job | None:
        """The next training; trials whose settings were trained before are answered on the way."""
        while True:
            if resumed := bool(self.interrupted):
                number = self.interrupted.pop(0)
                self.study.sampler = sampler(self.file, number)
                trial = Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)
            elif self._asked() < self.file.study.trials:
                self.study.sampler = sampler(self.file, self._asked())
                trial = self.study.ask()
            else:
                return None
            if job := self._job(trial, resumed):
                return job

    def _asked(self) -> int:
        return sum(trial.state != TrialState.WAITING for trial in self.study.get_trials(deepcopy=False))

    def _job(self, trial: Trial, resumed: bool) -> Job | None:
        """The training of a trial, its MLflow run open; None when the trial needs none."""
        values = space.suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, seed, refused, data = f"trial {trial.number}", raw["study_seed"], "", "none"
        try:
            data = self._data_hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        training = provenance.training_key(raw, seed, data, self.threads, self.device)
        key = provenance.scores_key(training, raw)
        if key in self.keys.values():
            self.duplicates.append(trial.number)
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
                    "mlflow.parentRunId": self.parent,
                },
                resumed=resumed,
                description=records.describe(self.file, trial.number, values),
            )
            if refused:
                self._refuse(trial, run_id, refused)
                return None
            if self._answered(trial, key, run_id):
                return None
            self.trials[name], self.run_ids[name], self.keys[name] = trial, run_id, key
        folder = staging(f"{self.file.name}-{trial.number}")
        (folder / "settings.toml").write_text(as_toml(raw, seed), encoding="utf-8")
        return Job(name, raw, seed, folder, checkpoint_folder(training, "trial"))

    def _refuse(self, trial: Trial, run_id: str, reason: str) -> None:
        self.tracking.client.set_tag(run_id, "outcome", "failed")
        self.tracking.close(run_id, "FAILED", reason)
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=TrialState.FAIL)
        self.progress.end(
            f"trial {trial.number}", f"trial {trial.number}: refused: {reason}", self._best_text()
        )

    def _answered(self, trial: Trial, key: str, run_id: str) -> bool:
        """Tell the outcome of settings that this project has trained already: from MLflow when complete, from
        the study when pruned.

        MLflow first: when a kill comes between the two, the trial is answered once more.
        """
        study, name = self.file.study, f"trial {trial.number}"
        known = self.tracking.finished(self.experiment, key, ("trial",))
        values = (
            [known.data.metrics.get(f"best/{metric}", math.nan) for metric in study.objectives]
            if known
            else [math.nan]
        )
        if known and not any(map(math.isnan, values)):
            source = known.info.run_name or known.info.run_id
            self.tracking.copy_scores(known, run_id)
            records.close_answered(self.tracking, run_id, "FINISHED", source)
            curves = {
                score: dict(self.tracking.history(known.info.run_id, score))
                for score in pruning.watched(study)
            }
            # later trials are compared with them
            for epoch in sorted(set.intersection(*map(set, curves.values()))):
                pruning.note(
                    trial, study, epoch + 1, {score: curve[epoch] for score, curve in curves.items()}
                )
            self.study.tell(trial, values)
            self.progress.end(
                name,
                f"{name}: {pareto.numbers(values)}, copied from {source}, which has the same settings",
                self._best_text(),
            )
            return True
        for other in self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
            if other.params == trial.params and other.number != trial.number:
                records.close_answered(self.tracking, run_id, "KILLED", f"trial {other.number}")
                self.study.tell(trial, state=TrialState.PRUNED)
                self.progress.end(
                    name,
                    f"{name}: pruned, as was trial {other.number} with the same settings",
                    self._best_text(),
                )
                return True
        return False

    def _data_hash(self, raw: Mapping[str, Any], name: str) -> str:
        settings = config.settings_of(raw, f"{self.file.path}: {name}")
        key = config.digest(raw["data"])
        if key not in self.data:
            self.data[key] = catalog.fingerprint(catalog.clips(settings.data))
        return self.data[key]

    # ------------------------------------------------------------ what happens to it

    def started(self, job: Job) -> None:
        self.progress.begin(job.name, config.epochs(job.settings))

    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        self.tracking.epoch(self.run_ids[job.name], epoch, scores)
        study, trial = self.file.study, self.trials[job.name]
        missing = [name for name in pruning.watched(study) if name not in scores]
        if missing:
            raise UserError(
                f'{self.file.path}: "{missing[0]}" is not a score of {job.settings["model"]}; available:'
                f" {', '.join(sorted(scores))}"
            )
        self.progress.epoch(
            job.name, epoch + 1, ", ".join(f"{metric} {scores[metric]:.4f}" for metric in study.objectives)
        )
        pruning.note(trial, study, epoch + 1, scores)
        # trial 0 is what the study must beat: it needs a score
        if trial.number == 0 or epoch + 1 >= config.epochs(job.settings):
            return True
        return not pruning.should_prune(
            trial, self.study.get_trials(deepcopy=False), study, epoch + 1, scores
        )

    def ended(self, job: Job, outcome: Outcome) -> None:
        trial, run_id = self.trials.pop(job.name), self.run_ids.pop(job.name)
        del self.keys[job.name]
        line = f"{job.name}: "
        objectives = self.file.study.objectives
        values = (
            [outcome.result.scores[metric] for metric in objectives]
            if outcome.status == "complete" and outcome.result
            else []
        )
        if nothing := [
            metric for metric, value in zip(objectives, values, strict=False) if math.isnan(value)
        ]:
            outcome = replace(outcome, status="failed", reason=f"{nothing[0]} is nan at the best epoch")
        if outcome.status == "complete" and outcome.result:
            text = ", ".join(
                f"{metric} {value:.4f}" for metric, value in zip(objectives, values, strict=True)
            )
            text += f" at epoch {outcome.result.best_epoch + 1} of {outcome.result.epochs}"
            line += f"{text}, {outcome.wall_seconds:.0f} s"
            description = records.describe(self.file, trial.number, trial.params)
            self.tracking.end(run_id, job, outcome, description=f"{description}\n\n{text}.")
            self.study.tell(trial, values)
        elif outcome.status == "stopped":
            line += (
                f"pruned after {outcome.result.epochs if outcome.result else 0} epochs,"
                f" {outcome.wall_seconds:.0f} s"
            )
            self.tracking.end(run_id, job, outcome)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            line += f"failed: {outcome.reason}"
            self.tracking.end(run_id, job, outcome)
            trial.set_user_attr("reason", outcome.reason)
            self.study.tell(trial, state=TrialState.FAIL)
        if outcome.status == "complete":
            ends = pareto.ends(
                [trial.values for trial in _front(self.study, self.file).values()], list(objectives.values())
            )
            for metric, value in zip(objectives, ends, strict=True):
                self.tracking.client.log_metric(self.parent, f"best/{metric}", value, step=trial.number)
        self.interrupted += self.duplicates
        self.duplicates = []
        self.progress.end(job.name, line, self._best_text())
        # last: until here a kill costs no more than this bookkeeping
        shutil.rmtree(job.checkpoint, ignore_errors=True)

    def tick(self) -> None:
        self.progress.refresh()

    def _best_text(self) -> str:
        best = _front(self.study, self.file)
        if self.file.study.metrics:
            return f"trials {' and '.join(map(str, best))}" if best else ""
        return "".join(f"{pareto.numbers(trial.values)} (trial {number})" for number, trial in best.items())


# ---------------------------------------------------------------- Optuna's side


def study_name(file: StudyFile) -> str:
    """Optuna's name of a study: the file's, and its identity."""
    return f"{file.name}-{file.identity}"


def create_study(file: StudyFile, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """The Optuna study of a study file: its name carries its identity."""
    return optuna.create_study(
        storage=storage,
        sampler=sampler(file, 0),
        pruner=optuna.pruners.NopPruner(),  # see `pruning`
        study_name=study_name(file),
        directions=list(file.study.objectives.values()),
        load_if_exists=True,
    )


def sampler(file: StudyFile, number: int) -> optuna.samplers.BaseSampler:
    """TPE, seeded for one trial number."""
    seed = int(config.digest([file.study.sampler_seed, number])[:8], 16)
    with warnings.catch_warnings():  # multivariate, group and constant_liar are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS
        )


# ---------------------------------------------------------------- after a study


def _front(study: optuna.Study, file: StudyFile) -> dict[int, FrozenTrial]:
    """The trials that no other one beats, by number: with one metric the best trial alone, of equal ones
    the first.
    """
    complete = {
        trial.number: trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    }
    scores = {number: trial.values for number, trial in complete.items()}
    return {number: complete[number] for number in pareto.front(scores, list(file.study.objectives.values()))}


def front(file: StudyFile, storage: str = "") -> list[int]:
    """Numbers of the trials on a study's Pareto front; with one metric that of its best trial.

    Raises
    ------
    UserError : the study has no complete trial.
    """
    return list(_loaded_front(file, storage))


def _loaded_front(file: StudyFile, storage: str) -> dict[int, FrozenTrial]:
    best: dict[int, FrozenTrial] = {}
    with contextlib.suppress(KeyError):  # never run
        best = _front(optuna.load_study(study_name=study_name(file), storage=open_storage(storage)), file)
    if not best:
        raise UserError(
            f"{file.path}: this study ({file.identity}) has no complete trial yet; run `make"
            f" study-{file.name}`"
        )
    return best


def best_trial(
    file: StudyFile, storage: str = "", number: int | None = None
) -> tuple[int, dict[str, float], dict[str, Any]]:
    """Number, scores and swept settings of a study's best trial; of equal ones the first.

    Parameters
    ----------
    number : which one of the Pareto front, where several metrics judge.

    Raises
    ------
    UserError : the study has no complete trial; several metrics and no ``number``, or one that is not on the
        front; one metric and a ``number``.
    """
    best = _loaded_front(file, storage)
    if file.study.metrics is None:
        if number is not None:
            raise UserError(
                f"{file.path}: --trial {number}: {file.study.metric} is the only metric and trial"
                f" {next(iter(best))} is best: omit --trial"
            )
        number = next(iter(best))
    if number not in best:
        raise UserError(
            f"{file.path}: trial {number} is not on the Pareto front; choose one of"
            f" {', '.join(map(str, best))}"
        )
    return (
        number,
        dict(zip(file.study.objectives, best[number].values, strict=True)),
        space.decode(file, best[number].params),
    )
