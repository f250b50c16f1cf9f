"""What a study has gained by choosing among many trials, said and logged when it ends.

Two estimates: the bias of the selection, from the predictions of all complete trials and without further
trainings (`metrics.selection`), and the optimism of the best trial, from new seeds (`optimism`).

Contents: `conclude`, `corrected`.
"""

import tempfile

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data import catalog
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.search import dropping, members, optimism, records
from audiomtl.harness.search.proposals import study_name
from audiomtl.harness.search.storage import open_storage
from audiomtl.harness.train.progress import console
from audiomtl.metrics import selection as bias

PREDICTIONS = "predictions_validation.parquet"


def conclude(file: StudyFile, *, slots: int, threads: int, storage: str = "") -> None:
    """Estimate the bias of the selection and the optimism of the best trial; print both, and log them on the
    study's run.
    """
    tracking = Tracking()
    query = f"tags.kind = 'study' and tags.study_key = '{file.identity}'"
    parents = tracking.runs(file.experiment.name, query)
    if not parents or not file.study.optimism_seeds:
        return
    parent = parents[0].info.run_id
    study = optuna.load_study(study_name=study_name(file), storage=open_storage(storage))
    several = len(file.study.objectives) > 1
    for metric in file.study.objectives:
        found = corrected(tracking, file, study, metric)
        if isinstance(found, str):
            _say(file, f"bias of the selection: not estimated: {found}")
            break
        gain = optimism.gain(found.apparent, found.corrected, file.study.objectives[metric])
        _say(
            file,
            f"bias of the selection: {metric} {found.apparent:.4f} of the best trial, {found.corrected:.4f}"
            f" without the luck of the choice ({found.low:.4f} to {found.high:.4f}): {gain:+.4f}",
        )
        name = f"optimism/selection{f'/{metric}' if several else ''}"
        tracking.client.log_metric(parent, name, gain)
    again = optimism.measure(file, parent, judged_folds(file), slots=slots, threads=threads, storage=storage)
    for one in again:
        _say(file, one.line)
        if one.again:
            name = f"optimism/seeds{f'/{one.metric}' if several else ''}"
            tracking.client.log_metric(parent, name, one.value)


def _say(file: StudyFile, line: str) -> None:
    console().print(f"study {file.name}: {line}")


def judged_folds(file: StudyFile) -> tuple[int, ...]:
    """Inner folds on which the trials of a study are judged."""
    if file.judge.over != "folds":
        return (0,)
    table = catalog.clips(config.settings_of(file.raw, str(file.path)).data)
    return tuple(member.changes.get("protocol.inner_fold", 0) for member in members.plan(file, table))


# ---------------------------------------------------------------- predictions of all trials


def corrected(tracking: Tracking, file: StudyFile, study: optuna.Study, metric: str) -> bias.Corrected | str:
    """The best complete trial by one score, corrected for having been chosen; or why there is none."""
    groups = file.raw["data"].get("groups", [])
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < 2:
        return "fewer than two trials are complete"
    query = f"tags.study_key = '{file.identity}' and tags.kind = 'trial'"
    runs = {int(run.data.tags["trial"]): run for run in tracking.runs(file.experiment.name, query)}
    found: list[dropping.Answers] = []
    for trial in complete:
        table = _predictions(tracking, trial, runs.get(trial.number))
        if table is None:
            return f"trial {trial.number} has no predictions of clips"
        one = dropping.answers(table, metric.removeprefix("validation/"), groups)
        if one is None:
            return f"{metric} does not follow from predictions clip by clip"
        if found and one.groups != found[0].groups:
            return f"trial {trial.number} has answered other clips"
        found.append(one)
    count, column = len(found[0].groups), groups[0] if groups else "clip"
    if count < bias.FEWEST_GROUPS:
        return f"{count} values of {column} validate, at least {bias.FEWEST_GROUPS} are needed"
    above, below = (np.stack([getattr(one, part) for one in found]) for part in ("above", "below"))
    return bias.corrected(above, below, file.study.objectives[metric])


def _predictions(tracking: Tracking, trial: FrozenTrial, run: Run | None) -> pd.DataFrame | None:
    """Predictions of a trial on all clips that judge it; those of its source where it was copied."""
    kept = [value for name, value in sorted(trial.user_attrs.items()) if name.startswith("member ")]
    places = [one[members.SOURCE] or one[members.RUN] for one in kept]
    if not kept and (source := trial.user_attrs.get(records.SOURCE, run.info.run_id if run else "")):
        places = [_origin(tracking, source)]
    tables = []
    for place in places:
        if PREDICTIONS not in {item.path for item in tracking.client.list_artifacts(place)}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            tables.append(pd.read_parquet(tracking.client.download_artifacts(place, PREDICTIONS, folder)))
    return pd.concat(tables, ignore_index=True) if tables else None


def _origin(tracking: Tracking, run_id: str) -> str:
    """The run from whose training a run's scores were copied, over several copies; itself if it has one."""
    run = tracking.client.get_run(run_id)
    key = run.data.tags.get("fingerprint", "")
    if run.data.tags.get("outcome") != "answered":
        return run_id
    name = tracking.client.get_experiment(run.info.experiment_id).name
    same = tracking.runs(name, f"tags.fingerprint = '{key}' and tags.outcome = 'complete'")
    return same[-1].info.run_id if same else run_id
