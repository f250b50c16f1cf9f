"""Test scores over all clips of all folds, with intervals for new groups: new speakers, songs or sources.

Contents: `predictions`, `headline`, `Headline`.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audiomtl.config import ExperimentFile
from audiomtl.harness import clip_counts, experiment
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.metrics import clusters, intervals

TABLE = "predictions_test.parquet"


def predictions(tracking: Tracking, runs: Sequence[Run]) -> list[pd.DataFrame]:
    """Predictions of each run on its test clips; [] where a run has none."""
    found = []
    for run in runs:
        if not any(item.path == TABLE for item in tracking.client.list_artifacts(run.info.run_id)):
            return []
        with tempfile.TemporaryDirectory() as folder:
            found.append(pd.read_parquet(tracking.client.download_artifacts(run.info.run_id, TABLE, folder)))
    return found


@dataclass(frozen=True)
class Headline:
    """Test scores for new groups."""

    scores: Mapping[str, clusters.Pooled]  # by name, without the side
    groups: tuple[str, ...]  # columns
    seeds: int  # of each fold

    @property
    def text(self) -> str:
        """What the intervals are over, or why there are none: a sentence for people."""
        first = next(iter(self.scores.values()))
        if first.reason:
            return f"No interval for new {' and '.join(self.groups) or 'groups'}: {first.reason}."
        sizes = " and ".join(f"{count} values of {name}" for name, count in first.groups.items())
        how = ", clustered by each" if len(self.groups) > 1 else ""
        training = (
            "the spread over the seeds of a fold is included"
            if self.seeds > 1
            else "they are about the models that were trained: with one seed per fold, the spread of the"
            " training is not known"
        )
        return f"95 % intervals for new groups, from {first.clips} test clips of {sizes}{how}; {training}."


def headline(
    file: ExperimentFile, tables: Sequence[pd.DataFrame], folds: Sequence[int] = ()
) -> Headline | None:
    """The test scores that follow from predictions clip by clip, each clip counted once.

    Parameters
    ----------
    tables : of the best runs, `predictions`. folds : test fold of each; () counts each as one of its own.

    Returns
    -------
    None where no score follows from them.
    """
    if not tables:
        return None
    per_clip = clip_counts.ratios_of(file.raw["model"])
    columns = tuple(file.raw["data"].get("groups", ()))
    folds = folds or range(len(tables))
    every = pd.concat(tables, ignore_index=True).drop_duplicates("clip_id").set_index("clip_id")
    known = [name for name in columns if name in every]
    found = {}
    for name in experiment.family_scores(file):
        whole = clip_counts.of_score(name, tables, per_clip)
        parts = [clip_counts.of_score(name, [table], per_clip) for table in tables]
        if whole is None or not all(parts):
            continue
        of_each = [part.value for part in parts if part is not None]
        rows = every.loc[whole.counts.index]
        found[name] = clusters.pooled(
            whole.score,
            whole.counts.to_numpy(np.float64),
            {column: rows[column].to_numpy() for column in known},
            scale=intervals.scale_of(name),
            right_or_wrong=whole.right_or_wrong,
            training=intervals.training_variance(of_each, folds),
        )
    return Headline(found, tuple(known), len(tables) // len(set(folds))) if found else None
