"""Counts of each clip that make up a score, from tables of predictions.

A clip that several seeds tested counts once: its counts are averaged over them. Scores of classes come from
the columns ``truth`` and ``predicted`` (of a head ``HEAD_truth`` and ``HEAD_predicted``). Others come from
columns that the family names: its module ``settings`` may have::

    PER_CLIP = {"phone_error_rate": ("edits", "phones"), "*_onset_f1": ("*_onset_f1", "")}

which are the ratios of `metrics.per_clip`.

Contents: `ClipCounts`, `of_score`, `ratios_of`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audiomtl import config
from audiomtl.metrics import clusters
from audiomtl.metrics.per_clip import Ratios, columns_of

OF_CLASSES = ("balanced_accuracy", "macro_f1", "accuracy")  # the longest ending first
DIFFERENCE = "absolute_error"


@dataclass(frozen=True)
class ClipCounts:
    """A score as a function of the sums of counts over clips."""

    score: clusters.Score
    counts: pd.DataFrame  # by clip_id, sorted; a column per count
    right_or_wrong: bool  # each clip is one answer

    @property
    def value(self) -> float:
        """The score over all clips."""
        return float(self.score(self.counts.to_numpy(np.float64).sum(axis=0)))


def ratios_of(model: str) -> Ratios:
    """``PER_CLIP`` of a family; nothing where it has none."""
    found: Ratios = getattr(config.family("settings", model), "PER_CLIP", {})
    return found


def of_score(name: str, tables: Sequence[pd.DataFrame], per_clip: Ratios) -> ClipCounts | None:
    """The counts of a score, or None where the tables do not tell them.

    Parameters
    ----------
    name : without a side, such as ``phone_error_rate``.
    tables : predictions of each run, one row per clip with a column clip_id.
    per_clip : ``PER_CLIP`` of the family.
    """
    table = pd.concat(tables, ignore_index=True)
    for ending in OF_CLASSES:
        if name == ending or name.endswith(f"_{ending}"):
            head = name.removesuffix(ending)
            if counts := _of_classes(ending, table, f"{head}truth", f"{head}predicted"):
                return counts
    if name.endswith(f"_{DIFFERENCE}"):
        head = name.removesuffix(DIFFERENCE)
        truth, said = f"{head}truth", f"{head}predicted"
        if {truth, said} <= set(table):
            error = (pd.to_numeric(table[truth]) - pd.to_numeric(table[said])).abs()
            return _ratio(table["clip_id"], error, None)
    if columns := columns_of(name, per_clip, table.columns):
        part, whole = columns
        return _ratio(table["clip_id"], table[part], table[whole] if whole else None)
    return None


def _ratio(clips: pd.Series, part: pd.Series, whole: pd.Series | None) -> ClipCounts | None:
    found = pd.DataFrame({"clip_id": clips, "part": part.astype(float)})
    found["whole"] = 1.0 if whole is None else whole.astype(float)
    found = found.dropna()
    if found.empty:
        return None
    return ClipCounts(clusters.ratio, found.groupby("clip_id").mean(), False)


def _of_classes(kind: str, table: pd.DataFrame, truth: str, said: str) -> ClipCounts | None:
    if not {truth, said} <= set(table):
        return None
    known = table[table[truth].notna()]
    if known.empty or not isinstance(known[truth].iloc[0], str):  # of several labels: see `tags`
        return None
    right = (known[truth] == known[said]).to_numpy()
    clips = known["clip_id"].to_numpy()
    if kind == "accuracy":
        counts = pd.DataFrame({"right": right.astype(float), "answers": 1.0}, index=clips)
        return ClipCounts(clusters.ratio, counts.groupby(level=0).mean(), True)
    classes = sorted({*known[truth], *known[said]} if kind == "macro_f1" else {*known[truth]})
    true = _one_hot(known[truth], classes)
    other = true + _one_hot(known[said], classes) if kind == "macro_f1" else true
    counts = pd.DataFrame(np.concatenate([true * right[:, None], other], axis=1), index=clips)
    score = clusters.mean_f1 if kind == "macro_f1" else clusters.mean_recall
    return ClipCounts(score, counts.groupby(level=0).mean(), True)


def _one_hot(labels: pd.Series, classes: Sequence[str]) -> np.ndarray:  # (clips, classes)
    return (labels.to_numpy()[:, None] == np.array(classes, object)[None]).astype(float)
