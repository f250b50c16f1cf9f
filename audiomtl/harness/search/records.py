"""What people and MLflow see of a study: its own run above those of its trials, and its Pareto front.

Contents: `open_study`, `close_study`, `open_trial`, `close_answered`, `check_data`, `mark_front`,
`say_front`, `describe`.
"""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from rich.table import Table

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.data.files import csv_text
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance
from audiomtl.harness.record.store import Run, Tracking, staging
from audiomtl.harness.search import pareto, space
from audiomtl.harness.train.progress import console
from audiomtl.settings.validation import show


def open_study(tracking: Tracking, file: StudyFile, say: Callable[[str], None]) -> str:
    """Id of the study's own run: a new one, or its earlier one taken up again.

    Raises
    ------
    UserError : somebody else, perhaps on another machine, runs the study.
    """
    experiment = file.experiment.name
    found = tracking.runs(experiment, f"tags.kind = 'study' and tags.study_key = '{file.identity}'")
    if found and found[0].info.status == "RUNNING":  # not reaped: its owner lives, perhaps on another machine
        raise UserError(
            f"{file.path}: this study is already being run by {found[0].data.tags['owner']} (host:process);"
            " wait or stop it"
        )
    if found:
        tracking.resume(found[0].info.run_id)
        return found[0].info.run_id
    others = tracking.runs(experiment, f"tags.kind = 'study' and tags.study = '{file.name}'")
    if others:
        say(
            f"{file.path}: the search space or a fixed setting has changed: starting a new study;"
            f" {len(others)} earlier kept in MLflow"
        )
    tags = {"kind": "study", "study": file.name, "study_key": file.identity}
    text = f"{file.study.description}\n\nA study of {experiment}: its trials are the nested runs."
    run_id = tracking.start(experiment, f"study {file.name}", tags=tags, description=text)
    tracking.log_params(
        run_id,
        {f"study.{path}": value for path, value in config.flatten(file.study.told("description")).items()},
    )
    return run_id


def close_study(
    tracking: Tracking, run_id: str, file: StudyFile, trials: pd.DataFrame, status: str, reason: str
) -> None:
    """End a sitting: the study's file and a table of its trials beside its run."""
    folder = staging(f"study-{file.name}")
    if file.path.is_file():
        shutil.copy(file.path, folder / "study.toml")
    texts = trials.select_dtypes("object").map(lambda cell: csv_text(cell) if isinstance(cell, str) else cell)
    trials.assign(**texts).to_csv(folder / "trials.csv", index=False)
    tracking.client.log_artifacts(run_id, str(folder))
    shutil.rmtree(folder)
    tracking.close(run_id, status, reason)


def open_trial(
    tracking: Tracking,
    file: StudyFile,
    raw: Mapping[str, Any],
    tags: Mapping[str, str],
    *,
    resumed: bool,
    description: str,
) -> str:
    """Id of a trial's run, with its settings: a new one, or the one that it had before its worker went.

    Parameters
    ----------
    tags : ``trial`` (number), ``data`` (hash), ``fingerprint``, ``training``, ``threads``, ``device``,
        ``mlflow.parentRunId``.
    """
    filters = (
        f"tags.study_key = '{file.identity}' and tags.trial = '{tags['trial']}' and tags.fingerprint ="
        f" '{tags['fingerprint']}'"
    )
    seed = raw["study_seed"]
    if resumed and (found := tracking.runs(file.experiment.name, filters)):
        run_id = found[0].info.run_id
        tracking.resume(run_id)
    else:
        every = {
            "kind": "trial",
            "study": file.name,
            "study_key": file.identity,
            "seed": str(seed),
            "ablation": file.study.ablation,
            **tags,
        }
        every["code"] = provenance.code_version(raw)
        run_id = tracking.start(
            file.experiment.name, f"trial {tags['trial']}", tags=every, description=description
        )
    tracking.log_settings(run_id, raw, seed, tags["data"])
    return run_id


def close_answered(tracking: Tracking, run_id: str, status: str, source: str) -> None:
    """End a trial's run whose settings were trained before, under the name ``source``."""
    tracking.client.set_tag(run_id, "outcome", "answered")
    tracking.client.set_tag(run_id, "answered_from", source)
    tracking.close(run_id, status)


def check_data(file: StudyFile, runs: Sequence[Run], now: str) -> None:
    """Refuse to go on where the data are others than those of the trials that are there: their scores
    cannot be compared.
    """
    if others := sorted({run.data.tags["data"] for run in runs} - {now, "none"}):
        raise UserError(
            f"{file.path}: its trials were trained on data {', '.join(others)}, but the data are now {now}, "
            "so their scores cannot be compared; change sampler_seed to start a new study"
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
    console().print(table)


def describe(file: StudyFile, number: int, values: Mapping[str, Any]) -> str:
    """The text of a trial's run."""
    swept = "\n".join(f"- {path} = {value}" for path, value in sorted(values.items()))
    own = " Its settings are those of the experiment." if number == 0 else ""
    return f"Trial {number} of study {file.name}, seed {file.raw['study_seed']}.{own}\n\n{swept}"
