"""The page of a study's own run in MLflow: its best trial and its figures. Contents: `put`."""

import tempfile
from pathlib import Path

from audiomtl.config import StudyFile
from audiomtl.harness.record.runs import Swept, studies
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.report import sweeps

NOTE = "mlflow.note.content"


def put(tracking: Tracking, file: StudyFile) -> None:
    """Name the best trial of a study, or its Pareto front, in the description of its run, and put the figures
    of the report among its artifacts; doing it again replaces both.
    """
    runs = tracking.runs(file.experiment.name, f"tags.study_key = '{file.identity}'")
    parents = [run for run in runs if run.data.tags.get("kind") == "study"]
    swept = next((one for one in studies(runs) if one.key == file.identity), None)
    if swept is None or not swept.front:
        return
    parent, best = parents[0], ", ".join(map(str, swept.front))
    text = parent.data.tags.get(NOTE, "").partition("\n\n**")[0]
    told = "\n".join(_told(swept, number) for number in swept.front)
    tracking.add(parent.info.run_id, {}, {"best_trial": best, NOTE: f"{text}\n\n{told}"})
    with tempfile.TemporaryDirectory() as folder:
        sweeps.blocks(swept, Path(folder))
        tracking.client.log_artifacts(parent.info.run_id, folder, "figures")


def _told(swept: Swept, number: int) -> str:
    """A trial with a link to its run, its scores and its swept settings."""
    run = swept.trials[number]
    scores = zip(swept.objectives, swept.scores(number), strict=True)
    reached = ", ".join(f"{metric} {value:.4f}" for metric, value in scores)
    settings = "".join(f"\n- {path} = {swept.value(number, path)}" for path in swept.paths)
    place = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
    return f"**Best: [trial {number}]({place})**, {reached}\n{settings}\n"
