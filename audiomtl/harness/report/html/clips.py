"""Which test clips a listening page has: the best, the worst, those with the most frequent confusions and
those that the network is least sure of.

Contents: `Chosen`, `chosen`, `head_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.config import ExperimentFile
from audiomtl.harness import clip_counts, experiment
from audiomtl.harness.report.html import confusion

EACH = 2  # clips of each kind
PROBABILITY = "probability of the true class"


@dataclass(frozen=True)
class Chosen:
    """One clip as one best run predicted it."""

    clip_id: str
    why: str  # "best", "worst", "most confused", "least certain"
    seed: int
    row: Mapping[str, Any]  # of its table of predictions
    value: str  # by what it was chosen, for people


def chosen(file: ExperimentFile, predictions: Mapping[int, pd.DataFrame]) -> list[Chosen]:
    """`EACH` clips of each kind, each clip once; of equal ones the first by clip_id and seed.

    Classes are judged by the probability of the true class, other answers by the experiment's main score.
    Without either, the first clips are taken.

    Parameters
    ----------
    predictions : on test, by seed.
    """
    table = pd.concat(
        [one.assign(_seed=seed) for seed, one in predictions.items()], ignore_index=True
    ).sort_values(["clip_id", "_seed"], ignore_index=True, kind="stable")
    quality, name = _quality(file, table)
    if quality is None:
        return [_clip(row, "not ranked", "") for row in _first(table, np.arange(len(table)), EACH, set())]
    known = np.flatnonzero(np.isfinite(quality))
    taken: set[str] = set()
    found = []
    orders = {"best": known[np.argsort(-quality[known], kind="stable")]}
    orders["worst"] = known[np.argsort(quality[known], kind="stable")]
    commonest = _commonest(table, head_of(file, table))
    if commonest:
        ranks = [(-count, value) for (count, _), value in zip(commonest, quality, strict=True)]
        confused = sorted((row for row, rank in enumerate(ranks) if rank[0]), key=lambda row: ranks[row])
        orders["most confused"] = np.array(confused, int)
    certain, what = _certainty(table, head_of(file, table), name)
    if certain is not None:
        orders["least certain"] = np.argsort(certain, kind="stable")
    for why, order in orders.items():
        for number in _first_places(table, order, EACH, taken):
            told = f"{name} {abs(quality[number]):.3f}"
            if why == "most confused":
                told = f"{commonest[number][1]}, {told}"
            if why == "least certain" and certain is not None:
                told = f"{what} {certain[number]:.3f}, {told}"
            found.append(_clip(table.iloc[number], why, told))
    return found


def head_of(file: ExperimentFile, table: pd.DataFrame) -> str:
    """What stands before ``truth`` and ``predicted`` in the columns of the head whose answers are shown: of
    the main score's head, or the first one.
    """
    heads = [str(name).removesuffix("truth") for name in table if str(name).endswith("truth")]
    heads = [head for head in heads if f"{head}predicted" in table]
    main = experiment.main_score(file)
    return next((head for head in heads if main.startswith(head)), heads[0] if heads else "")


def _quality(file: ExperimentFile, table: pd.DataFrame) -> tuple[np.ndarray | None, str]:
    """Larger is better, (rows,); and what it is. Its absolute value is shown."""
    head, main = head_of(file, table), experiment.main_score(file)
    probabilities = _of_truth(table, head)
    if probabilities is not None and main.startswith(head):
        return probabilities, PROBABILITY
    per_clip = clip_counts.ratios_of(file.raw["model"])
    counts = clip_counts.of_score(main, [table.assign(clip_id=range(len(table)))], per_clip)
    if counts is None or counts.right_or_wrong:
        return probabilities, PROBABILITY
    ratio = counts.counts["part"] / counts.counts["whole"].replace(0, np.nan)
    values = ratio.reindex(range(len(table))).to_numpy(float)
    maximized = experiment.family_scores(file)[main] == "maximize"
    return (values if maximized else -values), main.replace("_", " ")


def _of_truth(table: pd.DataFrame, head: str) -> np.ndarray | None:
    """Probability of the true class, (rows,)."""
    if f"{head}truth" not in table or not all(isinstance(label, str) for label in table[f"{head}truth"]):
        return None
    columns = [f"{head}probability_{label}" for label in table[f"{head}truth"]]
    if not set(columns) <= {*table}:
        return None
    return np.array([table[column].iloc[row] for row, column in enumerate(columns)], float)


def _commonest(table: pd.DataFrame, head: str) -> list[tuple[int, str]]:
    """Of each row's confusions the one that occurs most often in all rows: how often, and its words; 0 for a
    row without one. [] where nothing can be confused.
    """
    columns = (f"{head}truth", f"{head}predicted")
    if not set(columns) <= {*table} or any(table[column].isna().any() for column in columns):
        return []
    truth, predicted = table[columns[0]], table[columns[1]]
    every = confusion.counts(truth, predicted)
    found = []
    for row in range(len(table) if every else 0):
        own = confusion.counts(truth[row : row + 1], predicted[row : row + 1])
        wrong = [one for one in own if one[0] != one[1] and confusion.NOTHING not in one]
        count, true, guess = max(((every[one], *one) for one in wrong), default=(0, "", ""))
        found.append((count, f"{true} as {guess} {count} times in all"))
    return found


def _certainty(table: pd.DataFrame, head: str, judged: str) -> tuple[np.ndarray | None, str]:
    """Smaller is less certain, (rows,); None where the table does not tell of what it was judged by."""
    if f"{head}margin" in table and judged == PROBABILITY:
        return table[f"{head}margin"].to_numpy(float), "best less second-best probability"
    if "predicted_scores" in table:
        means = [float(np.mean(values)) if len(values) else 1.0 for values in table["predicted_scores"]]
        return np.array(means), "mean confidence of the phones"
    return None, ""


def _first_places(table: pd.DataFrame, order: np.ndarray, count: int, taken: set[str]) -> list[int]:
    """The first rows in an order whose clips are not taken; they are then."""
    found = list[int]()
    for number in order:
        clip = str(table["clip_id"].iloc[number])
        if clip not in taken and len(found) < count:
            taken.add(clip)
            found.append(int(number))
    return found


def _first(table: pd.DataFrame, order: np.ndarray, count: int, taken: set[str]) -> list[pd.Series]:
    return [table.iloc[number] for number in _first_places(table, order, count, taken)]


def _clip(row: pd.Series, why: str, value: str) -> Chosen:
    return Chosen(
        str(row["clip_id"]),
        why,
        int(row["_seed"]),
        {str(name): value for name, value in row.drop("_seed").items()},
        value,
    )
