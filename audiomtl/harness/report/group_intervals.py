"""Confidence interval of a test score over the held-out groups instead of the seeds.

Contents: `accuracy_over_groups`.
"""

import tempfile

import pandas as pd

from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment
from audiomtl.harness.record.runs import BestSet
from audiomtl.harness.record.store import Tracking
from audiomtl.metrics import intervals

TABLE = "predictions_test.parquet"


def accuracy_over_groups(file: ExperimentFile, best: BestSet, tracking: Tracking) -> str:
    """A line on the test accuracy, each clip counted once (its mean over the seeds that tested it), with an
    interval clustered by group.

    The groups are the values of the first of ``data.groups``. "" if clips have no single label or no groups.
    """
    groups = file.raw["data"].get("groups", [])
    if not groups or "accuracy" not in experiment.family_scores(file):
        return ""
    tables = []
    for run in best.runs.values():
        if not any(item.path == TABLE for item in tracking.client.list_artifacts(run.info.run_id)):
            return ""
        with tempfile.TemporaryDirectory() as folder:
            tables.append(pd.read_parquet(tracking.client.download_artifacts(run.info.run_id, TABLE, folder)))
    table = pd.concat(tables)
    if not {groups[0], "truth", "predicted"} <= set(table):
        return ""
    right = (table["truth"] == table["predicted"]).groupby(table["clip_id"]).mean()
    group = table.groupby("clip_id")[groups[0]].first()[right.index]
    head = f"Test accuracy, each of {len(right)} clips counted once: {right.mean():.4f}"
    try:
        _, low, high = intervals.clustered_interval(right.to_numpy(), group.astype(str).to_numpy())
    except ValueError as error:
        return f"{head}; no interval over {groups[0]}: {error}"
    return f"{head}, 95 % interval over {group.nunique()} values of {groups[0]} {low:.4f} to {high:.4f}"
