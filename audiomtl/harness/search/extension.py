"""A study whose search space was changed keeps the trials that still lie in it.

A wider range, one more choice, or another path with the experiment's value so far make a new study in Optuna,
whose parameters have fixed ranges. The trials of its earlier forms are put in its queue with their settings,
and get their earlier scores from MLflow (`copies`) in place of a training. Those that lie outside, or were
trained with another fixed setting, stay in their own study.

Contents: `enqueue`.
"""

from collections.abc import Mapping
from typing import Any

import optuna

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.errors import UserError
from audiomtl.harness.record.runs import parsed
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.search import copies, retries, space
from audiomtl.harness.search.watched_data import StudyData
from audiomtl.settings.budget import active

# outcome and status of runs whose scores can be kept; of equal trials the highest
PREFERRED = {
    ("pruned", "KILLED"): 1,
    ("answered", "FINISHED"): 2,
    ("complete", "FINISHED"): 3,
}


def enqueue(tracking: Tracking, study: optuna.Study, file: StudyFile, data: StudyData) -> list[str]:
    """Put trial 0 in the queue of a new study, and the trials of its earlier forms, as far as its number of
    trials reaches. Repeating it changes nothing.

    Returns
    -------
    what was kept, for people
    """
    trials = study.get_trials(deepcopy=False)
    begun = {config.digest(space.params_of(trial)) for trial in trials}
    lying, outside = _earlier(tracking, file, data)
    own = space.encode(file, config.flatten(file.raw))
    if not trials:
        known = lying.get(config.digest(own))
        complete = known is not None and known[1].data.tags["outcome"] != "pruned"
        study.enqueue_trial(
            own, user_attrs={copies.KEPT: known[1].info.run_id} if known and complete else None
        )
        begun.add(config.digest(own))
    left = file.study.trials + retries.count(trials) - max(1, len(trials))
    added = [found for key, found in lying.items() if key not in begun][: max(0, left)]
    for params, run in added:
        study.enqueue_trial(params, user_attrs={copies.KEPT: run.info.run_id})
    if trials or not lying:
        return []
    count = len(added) + (config.digest(own) in lying)
    not_kept = f"; {outside} others lie outside of it" if outside else ""
    return [f"{count} trials from before its search space was changed are kept{not_kept}"]


def _earlier(
    tracking: Tracking, file: StudyFile, data: StudyData
) -> tuple[dict[str, tuple[dict[str, Any], Run]], int]:
    """{key of the parameters: (parameters, run)} of earlier trials that lie in the search space, in their
    order; and how many lie outside. Of equal ones the newest complete one.
    """
    name = file.experiment.name
    studies = tracking.runs(name, f"tags.kind = 'study' and tags.study = '{file.name}'")
    keys = {
        run.data.tags["study_key"]
        for run in studies
        if run.data.tags["study_key"] != file.identity and _judged_alike(file, run)
    }
    runs = tracking.runs(name, f"tags.kind = 'trial' and tags.study = '{file.name}'") if keys else []
    runs = [run for run in runs if run.data.tags["study_key"] in keys]
    runs = [run for run in runs if _rank(run)]  # a pruned copy has nothing that its original has not
    lying: dict[str, tuple[dict[str, Any], Run]] = {}
    outside = set()
    for run in runs:
        if run.data.tags["seed"] != str(file.raw["study_seed"]):
            continue
        earlier = {path: parsed(text) for path, text in run.data.params.items()}
        values = _inside(file, earlier)
        if values is None or not _same_data(file, values, run, data):
            outside.add(config.digest(earlier))
            continue
        params = space.encode(file, {**config.flatten(file.raw), **values})
        key = config.digest(params)
        if key not in lying or _rank(run) >= _rank(lying[key][1]):
            lying[key] = (params, run)
    return lying, len(outside)


def _rank(run: Run) -> int:
    return PREFERRED.get((run.data.tags.get("outcome", ""), run.info.status), 0)


def _judged_alike(file: StudyFile, run: Run) -> bool:
    """Whether a study's run has the same objectives, pruning and seeds as the file."""

    def rest(flat: Mapping[str, Any]) -> dict[str, Any]:
        return {
            path: value
            for path, value in flat.items()
            if path.split(".")[0] not in ("search", *config.NOT_OF_IDENTITY)
        }

    logged = {
        path.removeprefix("study."): parsed(text)
        for path, text in run.data.params.items()
        if path.startswith("study.")
    }
    return config.digest(rest(logged)) == config.digest(rest(config.flatten(file.told())))


def _inside(file: StudyFile, earlier: Mapping[str, Any]) -> dict[str, Any] | None:
    """The swept settings of an earlier trial, or None where it does not lie in the search space."""
    own, values = config.flatten(file.raw), dict[str, Any]()
    for path in config.ordered(file.study.search):
        dimension = file.study.search[path]
        if not active(dimension, own | values):
            continue
        if path not in earlier or not dimension.holds(earlier[path]):
            return None
        values[path] = earlier[path]
    now = config.scored_settings(config.override(file.raw, values))
    known = {path: value for path, value in earlier.items() if path != "seed" and config.is_scored(path)}
    return values if config.digest(now) == config.digest(known) else None


def _same_data(file: StudyFile, values: Mapping[str, Any], run: Run, data: StudyData) -> bool:
    try:
        return data.hash(config.override(file.raw, values), "earlier trial") == run.data.tags["data"]
    except UserError:
        return False
