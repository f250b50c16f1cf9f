"""A study of decoding: its trials read the outputs of one trained model, on the validation split.

The model is the experiment's, with ``study_seed``: a run of its own, of kind "decoded", which later studies
find again as long as no setting but those of decoding has changed. The trials follow from the study's file
alone and take minutes, so a study that was stopped begins anew; once all are done they are kept in Optuna's
storage, where `promote` finds the best one, and as the table ``trials.csv`` of the study's one run.

Contents: `run`.
"""

import contextlib
import io
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog, text
from audiomtl.errors import UserError, WorkFailed
from audiomtl.harness.experiment import DECODED, Planned, train_planned
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Run, Tracking, server_log
from audiomtl.harness.search import records, space
from audiomtl.harness.search.proposals import (
    create_study,
    enqueue_grid,
    pareto_front,
    sampler,
)
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.forkserver import device, start_forkserver
from audiomtl.harness.train.progress import console

Scores = dict[str, float]


def run(file: StudyFile, *, slots: int, threads: int, storage: str = "") -> None:
    """Train the model, unless it is there, and try every trial on its outputs.

    Raises
    ------
    UserError : a family without a table ``[decoding]``.
    WorkFailed : the training failed; no trial could be scored.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    model = config.family("model", file.raw["model"])
    if not hasattr(model, "with_decoder"):
        raise UserError(
            f'{file.path}: decode_only = true: model = "{file.raw["model"]}" has no table [decoding]'
        )
    tracking, store = Tracking(), open_storage(storage)
    kept = create_study(file, store)
    done = [trial for trial in kept.get_trials(deepcopy=False) if trial.state.is_finished()]
    trained = _trained(file, slots=slots, threads=threads, storage=storage)
    if len(done) < file.study.trials:
        parent = records.open_study(tracking, file, _say)
        _say(records.start_line(file, [], ()))
        began = time.monotonic()
        status, reason = "FAILED", "the study stopped"
        study = _in_memory(file)
        try:
            _try_all(file, study, _scorer(file, trained))
            # of a smaller number of trials: the first ones are the same
            kept.add_trials(study.get_trials(deepcopy=False)[len(done) :])
            _log_best(tracking, file, parent, study)
            status, reason = "FINISHED", ""
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            reason = f"the study stopped: {error}"
            raise
        finally:
            frame = study.trials_dataframe(attrs=("number", "value", "state", "params", "user_attrs"))
            if file.study.metrics:
                frame = study.trials_dataframe(attrs=("number", "values", "state", "params", "user_attrs"))
            records.close_study(tracking, parent, file, frame, status, reason)
        _say(f"study {file.name}: {file.study.trials} trials in {time.monotonic() - began:.0f} s")
    best = pareto_front(kept, file)
    for number, trial in best.items():
        values = ", ".join(f"{path} = {value}" for path, value in space.decode(file, trial.params).items())
        _say(f"trial {number}: {records.pareto.numbers(trial.values)} ({values})")
    _say(records.last_line(file, kept.get_trials(deepcopy=False), best))


def _say(line: str) -> None:
    console().print(line)


def _trained(file: StudyFile, *, slots: int, threads: int, storage: str) -> Run:
    """The run of the one training."""
    start_forkserver(file.raw["model"], server_log())
    raw, seed = file.raw, file.raw["study_seed"]
    settings = config.settings_of(raw, str(file.path))
    data = text.fingerprint(catalog.clips(settings.data), raw)
    on = device(raw["model"], server_log())
    training = provenance.training_key(raw, seed, data, threads, on)
    planned = Planned(
        "",
        raw,
        seed,
        training,
        training,  # however its outputs are read
        data,
        other_kind=DECODED,
        text=f"The training of {file.experiment.name} whose outputs studies of decoding read.",
    )
    runs = train_planned(file.experiment, [planned], slots=slots, threads=threads, storage=storage)
    if ("", seed) not in runs:
        raise WorkFailed(
            f"{file.path}: the training of {file.experiment.name} with seed {seed} failed: see the tag"
            " `reason` of its run in MLflow"
        )
    return runs["", seed]


def _scorer(file: StudyFile, trained: Run) -> Callable[[Mapping[str, Any]], Scores]:
    """What gives the scores of raw settings: the model and its outputs are computed here, once."""
    family = config.family("model", file.raw["model"])
    with tempfile.TemporaryDirectory() as folder:
        place = Tracking().client.download_artifacts(trained.info.run_id, "model", folder)
        fitted = family.load(Path(place))
    prepared = family.prepare(fitted.settings, file.raw["study_seed"])
    found = family.outputs(fitted, prepared.examples["validation"])
    evaluate = getattr(family, "decoded_scores", family.evaluate)

    def score(raw: Mapping[str, Any]) -> Scores:
        settings = config.settings_of(raw, str(file.path))
        with contextlib.redirect_stdout(io.StringIO()):
            read = family.with_decoder(replace(fitted, settings=settings), prepared, found)
        return {f"validation/{name}": value for name, value in evaluate(read, found).items()}

    return score


def _in_memory(file: StudyFile) -> optuna.Study:
    return optuna.create_study(
        sampler=sampler(file, 0),
        pruner=optuna.pruners.NopPruner(),
        directions=list(file.study.objectives.values()),
    )


def _try_all(file: StudyFile, study: optuna.Study, score: Callable[[Mapping[str, Any]], Scores]) -> None:
    """Every trial of a study; trial 0 has the experiment's own settings."""
    study.enqueue_trial(space.encode(file, config.flatten(file.raw)))
    enqueue_grid(study, file)
    for number in range(file.study.trials):
        study.sampler = sampler(file, number)
        trial = study.ask()
        try:
            scores = score(config.override(file.raw, space.suggest(trial, file)))
        except UserError as error:  # swept settings that do not go together
            trial.set_user_attr("reason", str(error))
            study.tell(trial, state=TrialState.FAIL)
            continue
        missing = [metric for metric in file.study.objectives if metric not in scores]
        if missing:
            raise UserError(
                f'{file.path}: "{missing[0]}" is not a score that decoding changes; available:'
                f" {', '.join(sorted(scores))}"
            )
        for name, value in scores.items():
            trial.set_user_attr(name, value)
        values = [scores[metric] for metric in file.study.objectives]
        if any(map(math.isnan, values)):
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, values)


def _log_best(tracking: Tracking, file: StudyFile, parent: str, study: optuna.Study) -> None:
    """The best score on the study's run."""
    for trial in pareto_front(study, file).values():
        for metric, value in zip(file.study.objectives, trial.values, strict=True):
            tracking.client.log_metric(parent, f"best/{metric}", value, step=trial.number)
