"""Failed trials that are trained again under new numbers, and studies that should not continue.

A trial that failed keeps its number for ever, since Optuna never changes a finished one. Its settings may be
put in the queue again: when a limit that ended it was raised, or when the user asks for it.

Contents: `attributes`, `count`, `enqueue`, `early_failures`, `told`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from audiomtl import config
from audiomtl.config import StudyFile

RETRY_OF = "retry of"  # user attribute of a trial: number of the failed one
LIMIT = "limit"  # user attribute of a failed trial: setting path and value of the limit that ended it


def attributes(limit: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a failed trial keeps of the limit (a setting path) that ended it; nothing where none did."""
    return {LIMIT: [limit, config.flatten(settings)[limit]]} if limit else {}


def count(trials: Iterable[FrozenTrial]) -> int:
    """How many trials a study has beyond those that its file asks for."""
    return sum(RETRY_OF in trial.user_attrs for trial in trials)


def enqueue(study: optuna.Study, file: StudyFile, *, every: bool) -> list[str]:
    """Put the settings of failed trials in the queue again.

    Parameters
    ----------
    every : all that were not tried again yet; otherwise those whose limit was raised since.

    Returns
    -------
    what was done, for people
    """
    trials = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    own, lines = config.flatten(file.raw), []
    for trial in trials:
        if trial.state != TrialState.FAIL or trial.number in retried:
            continue
        path, value = trial.user_attrs.get(LIMIT, ("", 0))
        raised = bool(path) and own.get(path, value) > value
        if every or raised:
            study.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})
            why = f"{path} was raised from {value:g} to {own[path]:g}" if raised else "--retry-failed"
            lines.append(f"trial {trial.number} failed and is trained again under a new number ({why})")
    return lines


def early_failures(trials: Sequence[FrozenTrial], file: StudyFile) -> str:
    """Why a study should stop: its first trials have all failed for one reason; "" otherwise."""
    finished = [trial for trial in trials if trial.state.is_finished()]
    if len(finished) < file.study.stop_after_failures:
        return ""
    reasons = [trial.user_attrs.get("reason", "") for trial in finished if trial.state == TrialState.FAIL]
    if len(reasons) < len(finished) or len({re.sub(r"[\d.e+-]+", "#", reason) for reason in reasons}) > 1:
        return ""
    return f"the first {len(reasons)} trials failed alike: {reasons[-1]}"


def told(trials: Sequence[FrozenTrial], file: StudyFile) -> str:
    """A line on trials that failed and were not trained again, and what trains them; "" for none."""
    retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    failed = [one for one in trials if one.state == TrialState.FAIL and one.number not in retried]
    if not failed:
        return ""
    numbers = ", ".join(str(trial.number) for trial in failed)
    path, _ = failed[0].user_attrs.get(LIMIT, ("", 0))
    raised = f"raise {path} in {file.experiment.path}, then run" if path else "fix the cause, then run"
    return (
        f"{len(failed)} of {len(trials)} trials failed ({numbers}): {failed[0].user_attrs.get('reason', '')};"
        f" {raised} `audiomtl study {file.name} --retry-failed`"
    )
