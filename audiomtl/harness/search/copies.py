"""Trials whose settings were trained before: their scores are copied. Contents: `Copy`, `find`, `KEPT`; of
one training of several `MemberCopy`, `of_member`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.trial import Trial, TrialState

from audiomtl.config import StudyFile
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.search import pareto, pruning, records
from audiomtl.harness.train.child import Result
from audiomtl.harness.train.workers import Outcome

KEPT = "kept from"  # user attribute of a trial: id of its run in the study before this one was extended


@dataclass(frozen=True)
class Copy:
    """What is known of a trial's settings."""

    line: str  # for people
    tell: Callable[[], None]  # Optuna
    record: Callable[[str], None]  # in the MLflow run with this id


def find(tracking: Tracking, file: StudyFile, study: optuna.Study, trial: Trial, key: str) -> Copy | None:
    """The outcome of settings that this project has trained: from MLflow if complete, from the study if
    pruned.

    Parameters
    ----------
    key : of the scores of the trial's settings.
    """
    kept = tracking.client.get_run(trial.user_attrs[KEPT]) if KEPT in trial.user_attrs else None
    if kept and kept.data.tags["outcome"] == "pruned":
        return _kept_pruned(tracking, file, study, trial, kept)
    known = kept or tracking.finished(file.experiment.name, key, ("trial",))
    if known:
        values = [known.data.metrics.get(f"best/{metric}", math.nan) for metric in file.study.objectives]
        if not any(map(math.isnan, values)):
            return _complete(tracking, file, study, trial, known, values)
    for other in study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)):
        if other.params == trial.params and other.number != trial.number:
            return _pruned(tracking, study, trial, other.number)
    return None


def _complete(
    tracking: Tracking, file: StudyFile, study: optuna.Study, trial: Trial, known: Run, values: list[float]
) -> Copy:
    source = known.info.run_name or known.info.run_id
    curve = _curve(tracking, file, known)

    def tell() -> None:
        for epochs, reached in curve.items():  # later trials are compared with them
            pruning.note(trial, file.study, epochs, reached)
        trial.set_user_attr(records.SOURCE, known.info.run_id)
        study.tell(trial, values)

    def record(run_id: str) -> None:
        tracking.copy_scores(known, run_id)
        records.close_answered(tracking, run_id, "FINISHED", source)

    return Copy(f"{pareto.numbers(values)}, copied from {source} with the same settings", tell, record)


def _curve(tracking: Tracking, file: StudyFile, known: Run) -> dict[int, dict[str, float]]:
    """What pruning has to know of a run: its scores by the number of epochs."""
    curves = {
        score: dict(tracking.history(known.info.run_id, score)) for score in pruning.watched(file.study)
    }
    reached = sorted(set.intersection(*map(set, curves.values())))
    return {epochs: {score: curve[epochs] for score, curve in curves.items()} for epochs in reached}


def _kept_pruned(tracking: Tracking, file: StudyFile, study: optuna.Study, trial: Trial, known: Run) -> Copy:
    source, curve = known.info.run_name or known.info.run_id, _curve(tracking, file, known)

    def tell() -> None:
        for epochs, reached in curve.items():
            pruning.note(trial, file.study, epochs, reached)
        trial.set_user_attr(records.SOURCE, known.info.run_id)
        study.tell(trial, state=TrialState.PRUNED)

    def record(run_id: str) -> None:
        records.close_answered(tracking, run_id, "KILLED", source)

    return Copy(f"pruned like {source} before the study was extended", tell, record)


def _pruned(tracking: Tracking, study: optuna.Study, trial: Trial, number: int) -> Copy:
    def tell() -> None:
        trial.set_user_attr(records.SOURCE, f"trial {number}")
        study.tell(trial, state=TrialState.PRUNED)

    def record(run_id: str) -> None:
        records.close_answered(tracking, run_id, "KILLED", f"trial {number}")

    return Copy(f"pruned like trial {number} with the same settings", tell, record)


@dataclass(frozen=True)
class MemberCopy:
    """A training that this project has done: of a trial with one, or as one of several."""

    source: str  # id of its run
    source_name: str
    outcome: Outcome  # its scores, and no costs


def of_member(tracking: Tracking, file: StudyFile, key: str) -> MemberCopy | None:
    """The newest complete training with the key ``key`` of its scores."""
    query = f"tags.fingerprint = '{key}' and tags.outcome = 'complete'"
    for run in reversed(tracking.runs(file.experiment.name, query)):
        metrics = run.data.metrics
        scores = {
            name.removeprefix("best/"): value
            for name, value in sorted(metrics.items())
            if name.startswith("best/validation/")
        }
        if run.data.tags.get("kind") not in ("trial", "member") or any(
            math.isnan(scores.get(metric, math.nan)) for metric in file.study.objectives
        ):
            continue
        facts = {
            name.removeprefix("data/"): value
            for name, value in sorted(metrics.items())
            if name.startswith("data/")
        }
        result = Result(
            stopped=False,
            scores=scores,
            best_epoch=int(metrics["best_epoch"]) - 1,
            epochs=int(metrics["epochs"]),
            seconds=0.0,
            cpu_seconds=0.0,
            parameters=int(metrics["parameters"]),
            facts=facts,
        )
        return MemberCopy(run.info.run_id, run.info.run_name or "", Outcome("complete", result=result))
    return None
