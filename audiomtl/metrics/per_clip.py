"""Scores clip by clip: a score over some clips as a ratio of two sums over them.

Accuracy is right answers over clips, an error rate is edits over reference symbols; so the score of any
clips, such as a bootstrap sample, is found by adding, without the network. Conventions: a table of
predictions has one row per clip, with ``truth`` and ``predicted`` (of a head ``HEAD_truth`` ...); names of
scores have no side. Other scores follow from columns that a family names (`Ratios`).

Contents: `Parts`, `parts`, `Ratios`, `columns_of`.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

SMALLEST = 2.2e-16  # probability: a smaller one counts as that


# score -> the columns whose sums it divides; with "" it is the mean of the first over the clips that have it.
# A ``*`` stands for the same text in score and columns: {"*_onset_f1": ("*_onset_f1", "")}
Ratios = Mapping[str, tuple[str, str]]


class Parts(NamedTuple):
    """A score of each clip: the score over some clips is ``above.sum() / below.sum()``."""

    above: np.ndarray  # (clips,)
    below: np.ndarray  # (clips,)

    @property
    def score(self) -> float:
        """The score over all clips."""
        return float(self.above.sum() / self.below.sum())


def parts(table: pd.DataFrame, score: str, ratios: Ratios | None = None) -> Parts | None:
    """Numerators and denominators of a score, a pair for each row of a table of predictions.

    Known are accuracy, error_rate, balanced_accuracy, loss (mean cross-entropy of one class per clip) and
    phone_error_rate, and these with a head's name before them where the table has its columns; and those of
    ``ratios``. A row without a truth counts 0 in both.

    Returns
    -------
    None for another score, such as one over events or tags, and for a table without the columns.
    """
    for kind in KINDS:
        if score == kind or score.endswith(f"_{kind}"):
            head = score.removesuffix(kind)
            if (found := KINDS[kind](table, head)) is not None:
                return found
    if columns := columns_of(score, ratios or {}, table.columns):
        return _ratio(table, *columns)
    return None


def columns_of(score: str, ratios: Ratios, known: Collection[str]) -> tuple[str, str] | None:
    """The columns that a score divides, where they are among the ``known`` ones."""
    for pattern, (part, whole) in ratios.items():
        before, star, after = pattern.partition("*")
        if not (score.startswith(before) and score.endswith(after)) or (not star and score != pattern):
            continue
        own = score[len(before) : len(score) - len(after)] if star else ""
        found = part.replace("*", own), whole.replace("*", own)
        if {found[0], found[1] or found[0]} <= set(known):
            return found
    return None


def _ratio(table: pd.DataFrame, part: str, whole: str) -> Parts:
    above = table[part].astype(float)
    below = table[whole].astype(float) if whole else pd.Series(1.0, table.index)
    known = (above.notna() & below.notna()).to_numpy()
    return Parts(np.where(known, above, 0.0), np.where(known, below, 0.0))


def _answers(table: pd.DataFrame, head: str) -> tuple[pd.Series, pd.Series] | None:
    names = [f"{head}truth", f"{head}predicted"]
    if not set(names) <= set(table.columns) or table.empty:
        return None
    truth, predicted = table[names[0]], table[names[1]]
    if isinstance(truth.iloc[0], list | tuple | np.ndarray):  # of tags, or phones
        return None
    return truth, predicted


def _right(table: pd.DataFrame, head: str) -> Parts | None:
    if (answers := _answers(table, head)) is None:
        return None
    known = answers[0].notna().to_numpy()
    right = (answers[0] == answers[1]).to_numpy() & known
    return Parts(right.astype(float), known.astype(float))


def _wrong(table: pd.DataFrame, head: str) -> Parts | None:
    if (right := _right(table, head)) is None:
        return None
    return Parts(right.below - right.above, right.below)


def _balanced(table: pd.DataFrame, head: str) -> Parts | None:
    """Every class weighs the same: each clip one over the number of clips of its class."""
    if (right := _right(table, head)) is None:
        return None
    truth = table[f"{head}truth"]
    weight = (1 / truth.map(truth.value_counts())).fillna(0.0).to_numpy(float)
    return Parts(right.above * weight, right.below * weight)


def _loss(table: pd.DataFrame, head: str) -> Parts | None:
    if (answers := _answers(table, head)) is None:
        return None
    columns = [f"{head}probability_{label}" for label in answers[0]]
    if not set(columns) <= set(table.columns):
        return None
    chosen = np.array([table[column].iloc[row] for row, column in enumerate(columns)], float)
    return Parts(-np.log(np.maximum(chosen, SMALLEST)), np.ones(len(table)))


def _edits(table: pd.DataFrame, head: str) -> Parts | None:
    if head or not {"edits", "phones"} <= set(table.columns):
        return None
    return Parts(table["edits"].to_numpy(float), table["phones"].to_numpy(float))


KINDS = {
    "balanced_accuracy": _balanced,
    "accuracy": _right,
    "phone_error_rate": _edits,
    "error_rate": _wrong,
    "loss": _loss,
}
