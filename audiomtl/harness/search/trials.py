"""Trials of a study as a table. Contents: `table`."""

from typing import Any

import optuna
import pandas as pd

from audiomtl.config import StudyFile
from audiomtl.errors import UserError
from audiomtl.harness.search.storage import open_storage

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "waiting",
}


def table(file: StudyFile, storage: str = "") -> pd.DataFrame:
    """One row per trial: number, state, a column for each objective, epochs (that were reported; trainings,
    where a trial has several), seconds, and a column for each swept setting.

    Raises
    ------
    UserError : the study has no trials yet.
    """
    found, name = open_storage(storage), f"{file.name}-{file.identity}"
    if name not in optuna.study.get_all_study_names(found):
        raise UserError(f"{file.path}: has no trials yet; run `audiomtl study {file.name}` first")
    objectives, rows = list(file.study.objectives), []
    done = "epochs" if file.judge.over == "one" else "trainings"
    for trial in optuna.load_study(study_name=name, storage=found).trials:
        row: dict[str, Any] = {"number": trial.number, "state": STATES[trial.state.name]}
        # of a pruned trial Optuna has that of its last epoch, or, of earlier versions, another score
        values = trial.values if row["state"] == "complete" else [None] * len(objectives)
        row |= dict(zip(objectives, values, strict=True))
        lasted = trial.duration.total_seconds() if trial.duration else None
        row |= {done: len(trial.intermediate_values), "seconds": lasted}
        rows.append(row | {path: trial.params.get(path) for path in file.study.search})
    return pd.DataFrame(rows)
