"""Studies: Optuna proposes, children train, MLflow records; a study can be stopped at any moment and goes on where it was.

Every trial is a function of (study, number, finished trials before it): the sampler is seeded anew for each number. A trial that is
RUNNING when a study starts has lost its worker; it is taken up again under its own number, from its checkpoint, in its own MLflow run.

Contents: `run_study`, `best_trial`, `importances`, `open_storage`.
"""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.harness import provenance
from audiomtl.harness.progress import Progress
from audiomtl.harness.tracking import Run, Tracking, checkpoint_folder, locked, runs_folder, server_log, staging
from audiomtl.harness.training import Job
from audiomtl.harness.worker import Outcome, start_forkserver, train_all, undivided
from audiomtl.settings.study import Dimension
from audiomtl.settings.toml import as_toml

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", message=".*is already reported")  # epochs that are told again after a crash

STARTUP_TRIALS = 10  # at random, before the sampler models anything
REDUCTION_FACTOR = 3  # successive halving keeps the best third at each rung
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_storage(url: str = "") -> optuna.storages.RDBStorage:
    """Optuna's storage: ``url``, or ``AUDIOMTL_STORAGE``, or ``runs/optuna.db`` (SQLite with a write-ahead log)."""
    runs_folder().mkdir(parents=True, exist_ok=True)
    url = url or os.environ.get("AUDIOMTL_STORAGE") or f"sqlite:///{runs_folder() / 'optuna.db'}"
    with locked("optuna"):
        storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {})
        if url.startswith("sqlite"):

            @event.listens_for(storage.engine, "connect")
            def fast(connection: Any, _: Any) -> None:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = normal")

            storage.engine.dispose()  # connections from before the pragmas
    return storage


def run_study(file: StudyFile, *, slots: int, threads: int, storage: str = "") -> None:
    """Run a study until it has its number of trials, over all sittings.

    Raises
    ------
    UserError : another process runs this study.
    KeyboardInterrupt : stopped by hand; everything finished is kept, and the next call goes on.
    """
    with locked(f"study-{file.identity}", wait=False) as mine:
        if not mine:
            raise UserError(f"{file.path}: another process is running this study; wait for it or stop it")
        start_forkserver(file.raw["model"], server_log())  # imports TensorFlow while the rest is made ready
        _Sitting(file, open_storage(storage), slots, threads).run()


class _Sitting:
    """One process's work on a study."""

    def __init__(self, file: StudyFile, storage: optuna.storages.BaseStorage, slots: int, threads: int) -> None:
        self.file, self.slots, self.threads = file, slots, threads
        self.tracking = Tracking()
        self.experiment = file.experiment.name
        self.study = create_study(file, storage)
        self.data: dict[str, str] = {}  # key of data settings -> data hash
        self.trials: dict[str, Trial] = {}  # job name -> trial, of what runs now; so are the next two
        self.run_ids: dict[str, str] = {}
        self.keys: dict[str, str] = {}  # job name -> fingerprint
        self.orphans = [trial.number for trial in self.study.get_trials(deepcopy=False) if trial.state == TrialState.RUNNING]
        self.twins: list[int] = []  # trials with the settings of one that runs now; answered when it has ended

    def run(self) -> None:
        study, file = self.study, self.file
        earlier = [trial for trial in study.get_trials(deepcopy=False) if trial.state in DONE]
        waiting = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.WAITING]
        if not earlier and not self.orphans and not waiting:
            study.enqueue_trial(encode(file, config.flatten(file.raw)))
        self.tracking.reap(self.experiment)
        runs = self.tracking.runs(self.experiment, f"tags.study_key = '{file.identity}' and tags.kind = 'trial'")
        self._same_data(runs)
        for run in runs:
            if "outcome" in run.data.tags:  # killed after the trial's end was written, before its checkpoint was removed
                shutil.rmtree(checkpoint_folder(run.data.tags["fingerprint"], "trial"), ignore_errors=True)
        self.progress = Progress(f"study {file.name}", file.study.trials, len(earlier))
        goes_on = f" goes on: {len(earlier)} trials done, {len(self.orphans)} taken up again" if earlier or self.orphans else ""
        what = f"{file.study.trials} trials, {file.study.direction} {file.study.metric}"
        self.progress.say(f"study {file.name} ({file.identity}): {what}{goes_on}")
        with undivided():
            self.parent = self._parent_run()
        status, reason = "FINISHED", ""
        try:
            with self.progress:
                train_all(self.next_job, self, model=file.raw["model"], slots=self.slots, threads=self.threads, log=server_log())
        except BaseException as error:
            by_hand = isinstance(error, KeyboardInterrupt)
            status = "KILLED" if by_hand else "FAILED"
            reason = f"stopped by hand; make study-{file.name} goes on" if by_hand else f"the study ended: {error}"
            if by_hand:
                self.progress.say(f"stopped: what is finished is kept; `make study-{file.name}` goes on")
            raise
        finally:
            with undivided():
                for run_id in self.run_ids.values():
                    self.tracking.close(run_id, status, reason)
                self._finish_parent(status, reason)
        if file.experiment.path.parent.name == "experiments":
            self.progress.say(f"next: make promote-{file.name}, then make best-{self.experiment}")

    def _same_data(self, runs: Sequence[Run]) -> None:
        """Refuse to go on where the data are others than those of the trials that are there: their scores cannot be compared."""
        if not runs or any(path.startswith("data.") for path in self.file.study.search):
            return
        now = self._data_hash(self.file.raw, "trial 0")
        if others := sorted({run.data.tags["data"] for run in runs} - {now, "none"}):
            raise UserError(
                f"{self.file.path}: its trials were trained on other data ({', '.join(others)}) than there are now ({now}), "
                "so their scores cannot be compared; another sampler_seed begins the study anew"
            )

    # ------------------------------------------------------------ what to train

    def next_job(self) -> Job | None:
        """The next training; trials whose settings were trained before are answered on the way."""
        while True:
            if resumed := bool(self.orphans):
                number = self.orphans.pop(0)
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
        values = suggest(trial, self.file)
        raw = config.override(self.file.raw, values)
        name, seed, refused, data = f"trial {trial.number}", raw["study_seed"], "", "none"
        try:
            data = self._data_hash(raw, name)
        except UserError as error:  # swept settings that do not go together, or not with the data
            refused = str(error)
        key = provenance.fingerprint(raw, seed, data, self.threads)
        if key in self.keys.values():
            self.twins.append(trial.number)
            return None
        tags = {"kind": "trial", "study": self.file.name, "study_key": self.file.identity, "trial": str(trial.number), "seed": str(seed)}
        tags |= {"data": data, "code": provenance.code_version(raw["model"]), "fingerprint": key, "ablation": self.file.study.ablation}
        tags |= {"threads": str(self.threads), "mlflow.parentRunId": self.parent}
        with undivided():
            run_id = self._old_run(trial, key) if resumed else ""
            run_id = run_id or self.tracking.start(self.experiment, name, tags=tags, description=self._describe(trial.number, values))
            self.tracking.log_settings(run_id, raw, seed, data)
            if refused:
                self._refuse(trial, run_id, refused)
                return None
            if self._answered(trial, key, run_id):
                return None
            self.trials[name], self.run_ids[name], self.keys[name] = trial, run_id, key
        folder = staging(f"{self.file.name}-{trial.number}")
        (folder / "settings.toml").write_text(as_toml(raw, seed), encoding="utf-8")
        return Job(name, raw, seed, folder, checkpoint_folder(key, "trial"))

    def _old_run(self, trial: Trial, key: str) -> str:
        """The MLflow run that this trial had before its worker went, taken up again."""
        filters = f"tags.study_key = '{self.file.identity}' and tags.trial = '{trial.number}' and tags.fingerprint = '{key}'"
        runs = self.tracking.runs(self.experiment, filters)
        if not runs:
            return ""
        self.tracking.resume(runs[0].info.run_id)
        return runs[0].info.run_id

    def _refuse(self, trial: Trial, run_id: str, reason: str) -> None:
        self.tracking.client.set_tag(run_id, "outcome", "failed")
        self.tracking.close(run_id, "FAILED", reason)
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, state=TrialState.FAIL)
        self.progress.end(f"trial {trial.number}", f"trial {trial.number}: refused: {reason}", self._best_text())

    def _answered(self, trial: Trial, key: str, run_id: str) -> bool:
        """Tell the outcome of settings that this project has trained already: from MLflow when complete, from the study when pruned.

        MLflow first: when a kill comes between the two, the trial is answered once more.
        """
        study, name = self.file.study, f"trial {trial.number}"
        known = self.tracking.finished(self.experiment, key, ("trial",))
        if known and f"best/{study.metric}" in known.data.metrics:
            value = known.data.metrics[f"best/{study.metric}"]
            source = known.info.run_name or known.info.run_id
            self.tracking.copy_scores(known, run_id)
            self._close_answered(run_id, "FINISHED", source)
            for epoch, score in self.tracking.history(known.info.run_id, study.prune_on):  # later trials are compared with them
                trial.report(self._signed(score), epoch + 1)
            self.study.tell(trial, value)
            self.progress.end(name, f"{name}: {value:.4f}, answered from {source}: trained before", self._best_text())
            return True
        for other in self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
            if other.params == trial.params and other.number != trial.number:
                self._close_answered(run_id, "KILLED", f"trial {other.number}")
                self.study.tell(trial, state=TrialState.PRUNED)
                self.progress.end(name, f"{name}: pruned like trial {other.number}, which has the same settings", self._best_text())
                return True
        return False

    def _close_answered(self, run_id: str, status: str, source: str) -> None:
        self.tracking.client.set_tag(run_id, "outcome", "answered")
        self.tracking.client.set_tag(run_id, "answered_from", source)
        self.tracking.close(run_id, status)

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
        missing = [name for name in (study.metric, study.prune_on) if name not in scores]
        if missing:
            raise UserError(f'{self.file.path}: "{missing[0]}" is no score of {job.settings["model"]}; it has {", ".join(sorted(scores))}')
        self.progress.epoch(job.name, epoch + 1, f"{study.metric} {scores[study.metric]:.4f}")
        value = self._signed(scores[study.prune_on])
        trial.report(value, epoch + 1)
        # trial 0 is what the study must beat: it needs a score
        return trial.number == 0 or epoch + 1 >= config.epochs(job.settings) or not self._hopeless(trial, epoch + 1, value)

    def _signed(self, score: float) -> float:
        """A pruning score in the direction of the study, as Optuna wants it."""
        return score if self.file.study.prune_direction == self.file.study.direction else -score

    def _hopeless(self, trial: Trial, epochs: int, value: float) -> bool:
        """Asynchronous successive halving (Li et al., 2020): at each rung go on with the best third of those that came so far.

        The verdict is stored before it is acted on, so that a trial killed in between is judged alike when it is replayed. Optuna's
        pruner counts a rung as passed as soon as it has been asked.
        """
        rung = self.file.study.prune_after_epochs
        while rung < epochs:
            rung *= REDUCTION_FACTOR
        if rung != epochs:
            return False
        verdict = trial.user_attrs.get(f"rung {rung}")
        if verdict is None:
            others = [
                other.intermediate_values[rung]
                for other in self.study.get_trials(deepcopy=False)
                if other.number != trial.number and rung in other.intermediate_values
            ]
            reached = sorted([*others, value], reverse=self.file.study.direction == "maximize")
            last = reached[max(0, len(reached) // REDUCTION_FACTOR - 1)]
            good = value <= last if self.file.study.direction == "minimize" else value >= last
            verdict = "go on" if good else "stop"
            trial.set_user_attr(f"rung {rung}", verdict)
        return verdict == "stop"

    def ended(self, job: Job, outcome: Outcome) -> None:
        trial, run_id = self.trials.pop(job.name), self.run_ids.pop(job.name)
        del self.keys[job.name]
        line = f"{job.name}: "
        if outcome.status == "complete" and outcome.result:
            value = outcome.result.scores[self.file.study.metric]
            text = f"{self.file.study.metric} {value:.4f} at epoch {outcome.result.best_epoch + 1} of {outcome.result.epochs}"
            line += f"{text}, {outcome.wall_seconds:.0f} s"
            self.tracking.end(run_id, job, outcome, description=self._describe(trial.number, trial.params) + f"\n\n{text}.")
            self.study.tell(trial, value)
        elif outcome.status == "stopped":
            line += f"pruned after {outcome.result.epochs if outcome.result else 0} epochs, {outcome.wall_seconds:.0f} s"
            self.tracking.end(run_id, job, outcome)
            self.study.tell(trial, state=TrialState.PRUNED)
        else:
            line += f"failed: {outcome.reason}"
            self.tracking.end(run_id, job, outcome)
            trial.set_user_attr("reason", outcome.reason)
            self.study.tell(trial, state=TrialState.FAIL)
        if outcome.status == "complete":
            best = _best(self.study)
            assert best is not None and best.value is not None
            self.tracking.client.log_metric(self.parent, f"best/{self.file.study.metric}", best.value, step=trial.number)
        self.orphans += self.twins
        self.twins = []
        self.progress.end(job.name, line, self._best_text())
        shutil.rmtree(job.checkpoint, ignore_errors=True)  # last: until here a kill costs no more than this bookkeeping

    def tick(self) -> None:
        self.progress.refresh()

    def _best_text(self) -> str:
        best = _best(self.study)
        return f"{best.value:.4f} (trial {best.number})" if best else ""

    def _describe(self, number: int, values: Mapping[str, Any]) -> str:
        swept = "\n".join(f"- {path} = {value}" for path, value in sorted(values.items()))
        own = " These are the experiment's own settings." if number == 0 else ""
        return f"Trial {number} of study {self.file.name}, seed {self.file.raw['study_seed']}.{own}\n\n{swept}"

    # ------------------------------------------------------------ the parent run

    def _parent_run(self) -> str:
        file = self.file
        found = self.tracking.runs(self.experiment, f"tags.kind = 'study' and tags.study_key = '{file.identity}'")
        if found and found[0].info.status == "RUNNING":  # not reaped: its owner lives, perhaps on another machine
            raise UserError(f"{file.path}: this study is being run by {found[0].data.tags['owner']} (host:process); wait for it or stop it")
        if found:
            self.tracking.resume(found[0].info.run_id)
            return found[0].info.run_id
        others = self.tracking.runs(self.experiment, f"tags.kind = 'study' and tags.study = '{file.name}'")
        if others:
            self.progress.say(
                f"{file.path}: its search, or a setting outside it, changed: this is a new study, {len(others)} older kept in MLflow"
            )
        tags = {"kind": "study", "study": file.name, "study_key": file.identity}
        text = f"{file.study.description}\n\nA study of {self.experiment}: its trials are the runs nested below."
        run_id = self.tracking.start(self.experiment, f"study {file.name}", tags=tags, description=text)
        swept = config.flatten(file.study.model_dump(exclude={"description"}))
        self.tracking.log_params(run_id, {f"study.{path}": value for path, value in swept.items()})
        return run_id

    def _finish_parent(self, status: str, reason: str) -> None:
        folder = staging(f"study-{self.file.name}")
        if self.file.path.is_file():
            shutil.copy(self.file.path, folder / "study.toml")
        frame = self.study.trials_dataframe(attrs=("number", "value", "state", "params", "user_attrs"))
        frame.to_csv(folder / "trials.csv", index=False)
        self.tracking.client.log_artifacts(self.parent, str(folder))
        shutil.rmtree(folder)
        self.tracking.close(self.parent, status, reason)


# ---------------------------------------------------------------- between settings and Optuna


def study_name(file: StudyFile) -> str:
    """Optuna's name of a study: the file's, and its identity."""
    return f"{file.name}-{file.identity}"


def create_study(file: StudyFile, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """The Optuna study of a study file: its name carries its identity."""
    return optuna.create_study(
        storage=storage,
        sampler=sampler(file, 0),
        pruner=optuna.pruners.NopPruner(),  # see `_Sitting._hopeless`
        study_name=study_name(file),
        direction=file.study.direction,
        load_if_exists=True,
    )


def sampler(file: StudyFile, number: int) -> optuna.samplers.BaseSampler:
    """TPE, seeded for one trial number."""
    seed = int(config.digest([file.study.sampler_seed, number])[:8], 16)
    with warnings.catch_warnings():  # multivariate, group and constant_liar are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS)


def suggest(trial: Trial, file: StudyFile) -> dict[str, Any]:
    """Values of the swept settings; a conditional one that is off keeps the experiment's own value and is left out."""
    values: dict[str, Any] = {}
    own = config.flatten(file.raw)
    for path in config.ordered(file.study.search):
        dimension = file.study.search[path]
        if not _active(dimension, own | values):
            continue
        if dimension.choices is not None:
            values[path] = _decode(dimension, trial.suggest_categorical(path, _options(dimension)))
        elif dimension.whole:
            values[path] = trial.suggest_int(path, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log)  # type: ignore[arg-type]
        else:
            values[path] = trial.suggest_float(path, dimension.low, dimension.high, step=dimension.step, log=dimension.log)  # type: ignore[arg-type]
    return values


def encode(file: StudyFile, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's parameters of some settings."""
    found = {}
    for path, dimension in file.study.search.items():
        if _active(dimension, flat):
            found[path] = json.dumps(flat[path]) if _lists(dimension) else flat[path]
    return found


def _active(dimension: Dimension, flat: Mapping[str, Any]) -> bool:
    return all(flat[other] in wanted for other, wanted in dimension.when.items())


def _lists(dimension: Dimension) -> bool:
    return any(isinstance(choice, list | dict) for choice in dimension.choices or [])


def _options(dimension: Dimension) -> list[Any]:
    """Optuna stores scalars only: lists travel as JSON."""
    choices = dimension.choices or []
    return [json.dumps(choice) for choice in choices] if _lists(dimension) else choices


def _decode(dimension: Dimension, value: Any) -> Any:
    return json.loads(value) if _lists(dimension) else value


# ---------------------------------------------------------------- after a study


def _best(study: optuna.Study) -> FrozenTrial | None:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    return min(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def best_trial(file: StudyFile, storage: str = "") -> tuple[int, float, dict[str, Any]]:
    """Number, score and swept settings of a study's best trial; of equal ones the first.

    Raises
    ------
    UserError : the study has no complete trial.
    """
    best = None
    with contextlib.suppress(KeyError):  # never run
        best = _best(optuna.load_study(study_name=study_name(file), storage=open_storage(storage)))
    if best is None or best.value is None:
        raise UserError(f"{file.path}: this study ({file.identity}) has no complete trial yet: run make study-{file.name}")
    values = {path: _decode(file.study.search[path], value) for path, value in best.params.items()}
    return best.number, best.value, values


def importances(file: StudyFile, storage: str = "") -> dict[str, float]:
    """How much each swept setting decided whether a trial came among the best quarter, as shares of 1, the largest first.

    PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255; it draws nothing at random) over the complete trials: it also weighs settings that
    only some trials have. Pruned trials have no score and are left out. The best quarter instead of Optuna's best tenth, which would be one
    or two trials of a study of some thirty.

    Returns
    -------
    {setting path: share, rounded to 3 digits}; empty for a study that is not in the storage, or has fewer than 4 complete trials or no
    two different scores.
    """
    try:
        study = optuna.load_study(study_name=f"{file.name}-{file.identity}", storage=open_storage(storage))
    except KeyError:
        return {}
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < 4 or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a setting that one or two trials have: its share is inaccurate
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {path: round(share, 3) for path, share in sorted(found.items(), key=lambda item: (-round(item[1], 3), item[0]))}
