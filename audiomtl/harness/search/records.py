"""A study in MLflow and on the terminal: its run, the runs of its trials, and its Pareto front.

Contents: `open_study`, `close_study`, `open_trial`, `close_answered`, `ending`, `finish`, `finish_run`,
`check_data`, `check_store`, `mark_front`, `say_front`, `start_line`, `in_words`,
`best_text`, `last_line`, `describe`.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.errors import UserError, WorkFailed
from audiomtl.harness.record import evaluation, parts, provenance
from audiomtl.harness.record.store import Run, Tracking, remove_checkpoints
from audiomtl.harness.search import pareto, space
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.child import Result
from audiomtl.harness.train.progress import console
from audiomtl.harness.train.workers import Outcome
from audiomtl.names import csv_text
from audiomtl.redaction import redact
from audiomtl.settings.budget import active
from audiomtl.settings.validation import show

ENDING = "ending"  # user attribute of a finished trial
ENDED = "ended"  # tag of a run: how it ended, in words
LINK = "mlflow"  # user attribute of a trial: address of its run's page
UNUSED = "unused"  # tag of a trial's run: swept settings that it has as parameters and does not use
SOURCE = "answered from"  # user attribute of a trial whose scores were copied
NESTED = "-nested-"  # in the name of a study of one outer fold, before its seed
STORE = "mlflow store"  # user attribute of a study: the store that has its runs


def open_study(tracking: Tracking, file: StudyFile, say: Callable[[str], None]) -> str:
    """Id of the study's own run: a new one, or its earlier one, which other workers may use as well."""
    experiment = file.experiment.name
    found = tracking.runs(experiment, f"tags.kind = 'study' and tags.study_key = '{file.identity}'")
    if found:
        tracking.resume(found[0].info.run_id)
        return found[0].info.run_id
    others = tracking.runs(experiment, f"tags.kind = 'study' and tags.study = '{file.name}'")
    if others:
        say(
            f"{file.path}: the search space or a fixed setting has changed: starting a new study;"
            f" {len(others)} earlier kept in MLflow"
        )
    tags = {
        "kind": "study",
        "study": file.name,
        "study_key": file.identity,
        "lease": f"{file.identity}/worker/",  # of any worker
    }
    trials = (
        "trials.csv has its trials, which read the outputs of one trained model"
        if file.study.decode_only
        else "its trials are the nested runs"
    )
    text = f"{file.study.description}\n\nA study of {experiment}: {trials}."
    run_id = tracking.start(experiment, f"study {file.name}", tags=tags, description=text)
    tracking.log_params(
        run_id,
        {f"study.{path}": value for path, value in config.flatten(file.told("description")).items()},
    )
    return run_id


def close_study(
    tracking: Tracking, run_id: str, file: StudyFile, trials: pd.DataFrame, status: str, reason: str
) -> None:
    """When the last worker leaves: the study's file and a table of its trials beside its run."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if file.path.is_file():
            shutil.copy(file.path, folder / "study.toml")
        kept = tuple(f"user_attrs_{name}" for name in (ENDING, "member "))  # records of their own
        table = trials[[name for name in trials.columns if not name.startswith(kept)]]
        texts = table.select_dtypes("object").map(
            lambda cell: csv_text(cell) if isinstance(cell, str) else cell
        )
        table.assign(**texts).to_csv(folder / "trials.csv", index=False)
        evaluation.write(table, folder / "trials.json")
        tracking.client.log_artifacts(run_id, str(folder))
    tracking.add(run_id, {}, evaluation.tag(["trials.json"]))
    tracking.close(run_id, status, reason)
    if status == "FINISHED" and not file.study.decode_only:  # whose trials have no runs
        _tell_lost(tracking, file, trials)


def _tell_lost(tracking: Tracking, file: StudyFile, trials: pd.DataFrame) -> None:
    """Say which finished trials of Optuna's have no run, as after MLflow's store was lost or replaced."""
    found = tracking.runs(file.experiment.name, f"tags.study_key = '{file.identity}' and tags.kind = 'trial'")
    recorded = {int(run.data.tags["trial"]) for run in found}
    done = trials.loc[trials["state"].isin(("COMPLETE", "PRUNED", "FAIL")), "number"]
    if lost := sorted(set(done) - recorded):
        console().print(
            f"study {file.name}: {len(lost)} of {len(done)} finished trials have no run in MLflow, whose"
            " store was lost or replaced: they count in the study and are in no report; to train them again,"
            " change sampler_seed"
        )


def open_trial(
    tracking: Tracking,
    file: StudyFile,
    raw: Mapping[str, Any],
    tags: Mapping[str, str],
    *,
    resumed: bool,
    description: str,
    member: str = "",
    seed: int | None = None,
) -> str:
    """Id of the run of a trial or of a member of it, with its settings: a new one, or the one from before its
    worker exited.

    Parameters
    ----------
    tags : ``trial`` (number), ``data`` (hash), ``fingerprint``, ``training``, ``threads``, ``device``,
        ``mlflow.parentRunId``.
    member : its name, such as "fold 1"; "" for the trial itself. seed : of the member.
    """
    kind = "member" if member else "trial"
    filters = (
        f"tags.study_key = '{file.identity}' and tags.trial = '{tags['trial']}' and tags.fingerprint ="
        f" '{tags['fingerprint']}' and tags.kind = '{kind}'"
    )
    own_seed = int(raw["study_seed"] if seed is None else seed)
    if resumed and (found := tracking.runs(file.experiment.name, filters)):
        run_id = found[0].info.run_id
        tracking.resume(run_id)
    else:
        every = {
            "kind": kind,
            "study": file.name,
            "study_key": file.identity,
            "seed": str(own_seed),
            "ablation": file.study.ablation,
            **tags,
            **parts.tags(raw, tags["data"]),
        }
        every["code"] = provenance.code_version(raw)
        flat = config.flatten(raw)
        if unused := sorted(path for path, one in file.study.search.items() if not active(one, flat)):
            every[UNUSED] = ", ".join(unused)
        name = f"trial {tags['trial']} {member}".rstrip()
        run_id = tracking.start(file.experiment.name, name, tags=every, description=description)
    tracking.log_settings(run_id, raw, own_seed, tags["data"])
    return run_id


def close_answered(tracking: Tracking, run_id: str, status: str, source: str) -> None:
    """Close the run of a trial whose settings were already trained in the run ``source``."""
    tracking.client.set_tag(run_id, "outcome", "answered")
    tracking.client.set_tag(run_id, "answered_from", source)
    tracking.client.set_tag(run_id, ENDED, f"copied from {source} with the same settings")
    tracking.close(run_id, status)


def ending(outcome: Outcome, folder: Path | None, description: str, words: str) -> dict[str, Any]:
    """All that MLflow has to know of a trial's end, as JSON: Optuna keeps it with the trial, so that a kill
    between the two costs nothing.

    ``words`` : how it ended, for people; the run's tag ``ended``.
    """
    return {
        "outcome": dataclasses.asdict(outcome),
        "folder": str(folder) if folder else "",
        "description": description,
        "words": words,
    }


def finish_run(tracking: Tracking, run_id: str, end: Mapping[str, Any]) -> None:
    """Close a trial's run as its `ending` says."""
    result = end["outcome"]["result"]
    outcome = Outcome(**{**end["outcome"], "result": Result(**result) if result else None})
    folder = Path(end["folder"] or "/nonexistent")
    words = end.get("words")  # none in studies of earlier versions
    tags = {ENDED: words} if words else {}
    tracking.end(run_id, folder, outcome, description=end["description"], tags=tags)


def finish(tracking: Tracking, runs: Sequence[Run], done: Sequence[FrozenTrial]) -> None:
    """Complete what workers that were killed between Optuna and MLflow left of finished trials."""
    by_number = {run.data.tags["trial"]: run for run in runs}  # the newest of each
    for trial in done:
        run = by_number.get(str(trial.number))
        if run is None:
            continue
        if "outcome" not in run.data.tags or run.info.status == "RUNNING":  # its files may be missing
            _finish_one(tracking, run.info.run_id, trial)
        remove_checkpoints(run.info.run_id)


def _finish_one(tracking: Tracking, run_id: str, trial: FrozenTrial) -> None:
    if source := trial.user_attrs.get(SOURCE):
        complete = trial.state == TrialState.COMPLETE
        if complete:
            known = tracking.client.get_run(source)
            tracking.copy_scores(known, run_id)
            source = known.info.run_name or source
        close_answered(tracking, run_id, "FINISHED" if complete else "KILLED", source)
    elif ENDING in trial.user_attrs:
        finish_run(tracking, run_id, trial.user_attrs[ENDING])


def check_store(tracking: Tracking, file: StudyFile, study: optuna.Study, others: Collection[str]) -> None:
    """Raise an error if other workers (``others``) record this study in another MLflow store."""
    mine, known = tracking.store_id(file.experiment.name), study.user_attrs.get(STORE)
    if known not in (None, mine) and others:
        raise UserError(
            f"{file.path}: other workers record this study in another MLflow store than"
            f" {redact(tracking.uri)}: set MLFLOW_TRACKING_URI to the store that they use"
        )
    if known != mine:
        study.set_user_attr(STORE, mine)


def check_data(file: StudyFile, runs: Sequence[Run], now: str) -> None:
    """Raise an error if the data differ from those of the earlier trials, whose scores cannot be compared."""
    if others := sorted({run.data.tags["data"] for run in runs} - {now, "none"}):
        raise UserError(
            f"{file.path}: earlier trials used data {', '.join(others)}, but the data are now {now},"
            " so their scores cannot be compared; change sampler_seed to start a new study"
        )


def mark_front(tracking: Tracking, file: StudyFile, numbers: Collection[int]) -> None:
    """Tag every trial's run: ``pareto`` is "yes" for those on the front, else "no"."""
    for run in tracking.runs(
        file.experiment.name, f"tags.study_key = '{file.identity}' and tags.kind = 'trial'"
    ):
        scored = run.data.tags.get("outcome") in ("complete", "answered")
        tracking.client.set_tag(
            run.info.run_id, "pareto", "yes" if scored and int(run.data.tags["trial"]) in numbers else "no"
        )


def say_front(file: StudyFile, trials: Sequence[Any], best: Mapping[int, Any]) -> None:
    """Print the Pareto front as a table.

    ``trials``: Optuna's, of which ``best`` has those on the front by number.
    """
    params = {trial.number: trial.params for trial in trials}
    settings = {
        number: {path: show(value) for path, value in space.decode(file, params[number]).items()}
        for number in {0, *best}
    }
    table = Table("trial", *file.study.objectives, "changed settings")
    for row in pareto.rows(list(best), {number: trial.values for number, trial in best.items()}, settings):
        table.add_row(*row)
    console().print(f"Pareto front of study {file.name}: {len(best)} of {len(trials)} trials")
    show_table(table)


def start_line(file: StudyFile, trials: Sequence[FrozenTrial], others: Collection[str]) -> str:
    """What a worker says first; ``others`` are the other workers of the study."""
    done = sum(trial.state.is_finished() for trial in trials)
    interrupted = sum(trial.state == TrialState.RUNNING for trial in trials)
    ended = f"{done} trial{'' if done == 1 else 's'} done"
    resumes = f"; resumes: {ended}, {interrupted} interrupted" if done or interrupted else ""
    if others:
        resumes = f"; joins {len(others)} other worker{'s' * (len(others) > 1)}: {ended}"
    judged = [f"{way} {metric}" for metric, way in file.study.objectives.items()]
    what = ", ".join([f"{file.study.trials} trials", *judged])
    return f"study {file.name} ({file.identity}): {what}{_judged_by(file)}{resumes}"


def _judged_by(file: StudyFile) -> str:
    """What judges a trial, where it is more than one training."""
    judge = file.judge
    if judge.over == "one":
        return ""
    what = "inner folds (validation splits without the test clips)" if judge.over == "folds" else "seeds"
    mean = f", each the mean of trainings on {judge.n or 'all'} {what}"
    ignored = " (prune_on is not used)" if file.study.prune_on else ""
    if judge.drop:
        return f"{mean}; a trial that falls behind the best is dropped before its last training{ignored}"
    return f"{mean}; every trial gets all its trainings{ignored}"


def in_words(outcome: Outcome, objectives: Mapping[str, str], *, member: bool = False) -> str:
    """How a training ended, in a few words; a ``member`` is one of several of a trial."""
    if outcome.status == "complete" and outcome.result:
        result = outcome.result
        scores = ", ".join(f"{metric} {result.scores[metric]:.4f}" for metric in objectives)
        best = f"best epoch {result.best_epoch + 1} of {result.epochs}"
        return f"{scores} ({best}), {outcome.wall_seconds:.0f} s"
    if outcome.status == "stopped":
        epochs = outcome.result.epochs if outcome.result else 0
        known = outcome.result.scores if outcome.result else {}
        scores = ", ".join(f"{metric} {known[metric]:.4f}" for metric in objectives if metric in known)
        after = f"{'stopped' if member else 'pruned'} after {epochs} epoch{'' if epochs == 1 else 's'}"
        why = ": its trial has ended" if member else ""
        return f"{after}{f' at {scores}' if scores else ''}{why}, {outcome.wall_seconds:.0f} s"
    return f"failed: {outcome.reason}"


def best_text(file: StudyFile, best: Mapping[int, FrozenTrial]) -> str:
    """The best trial so far, or the Pareto front."""
    if file.study.metrics:
        return f"trials {' and '.join(map(str, best))}" if best else ""
    return "".join(f"{pareto.numbers(trial.values)} (trial {number})" for number, trial in best.items())


def last_line(file: StudyFile, trials: Sequence[FrozenTrial], best: Mapping[int, FrozenTrial]) -> str:
    """What to do next.

    Raises
    ------
    WorkFailed : no trial is complete.
    """
    if file.study.metrics:
        say_front(file, trials, best)
    if not best:
        raise WorkFailed(
            f"{file.path}: no trial of this study is complete: see the tag `reason` of its runs in MLflow,"
            f" fix the cause, then run `audiomtl study {file.name} --retry-failed`"
        )
    if file.experiment.path.parent.name != "experiments" or NESTED in file.name:
        return ""
    promote = f"audiomtl promote {file.name} --trial N" if file.study.metrics else f"make promote-{file.name}"
    return f"next: {promote}, then make best-{file.experiment.name}"


def describe(file: StudyFile, number: int, values: Mapping[str, Any]) -> str:
    """Description of a trial's run."""
    swept = "\n".join(f"- {path} = {value}" for path, value in sorted(values.items()))
    own = " Its settings are those of the experiment." if number == 0 else ""
    return f"Trial {number} of study {file.name}, seed {file.raw['study_seed']}.{own}\n\n{swept}"
