"""Test folds of an experiment's seeds, from its settings, its clips or its runs; scores over folds as text.

Contents: `check`, `of_clips`, `of_predictions`, `of_expected`; `replicated`,
`told`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from audiomtl.errors import UserError
from audiomtl.metrics import intervals
from audiomtl.metrics.intervals import Replicated
from audiomtl.settings.replicates import check_balanced, folds_of_seeds

SAME_CLIPS = (
    "Every seed tests the same clips: intervals over seeds show the spread of the training and say nothing"
    " about new recordings."
)


def _count(settings: Any, table: pd.DataFrame) -> int:
    """Number of folds that only the clips tell; 0 where the settings do."""
    protocol = settings.protocol
    if protocol.kind == "leave_one_out" and settings.data.groups:
        return int(table[settings.data.groups[0]].nunique())
    by_column = protocol.kind == "folds" and protocol.column in table
    return int(table[protocol.column].nunique()) if by_column else 0


def check(settings: Any, table: pd.DataFrame, place: str) -> None:
    """Refuse seeds that test some folds more often than others, and blocks that share test groups.

    Parameters
    ----------
    table : the clips of the experiment. place : begins the message.

    Raises
    ------
    UserError
    """
    protocol = getattr(settings, "protocol", None)
    if protocol is None:
        return
    check_balanced(settings, place, _count(settings, table))
    if protocol.kind != "blocks" or protocol.leaky:
        return
    for group, held in zip(settings.data.groups, protocol.test_values, strict=False):
        values = int(table[group].nunique()) if group in table else 0
        if protocol.rotations > 1 and values and protocol.rotations * held > values:
            raise UserError(
                f"{place}: protocol.rotations = {protocol.rotations}: test blocks of {held} values of {group}"
                f" overlap, because there are only {values} values; use at most {values // held}"
            )


def of_clips(settings: Any, seeds: Sequence[int], table: pd.DataFrame) -> dict[int, int]:
    """Test fold of each seed, given the clips of the experiment."""
    found = folds_of_seeds(settings.protocol, seeds, _count(settings, table))
    return found or dict.fromkeys(seeds, 0)


def of_predictions(
    settings: Any, seeds: Sequence[int], tables: Sequence[pd.DataFrame]
) -> dict[int, int] | None:
    """Test fold of each seed, given its predictions: seeds that test the same clips have one fold. None
    without predictions, where the settings do not tell either.

    Parameters
    ----------
    tables : predictions of each seed; [] where there are none.
    """
    protocol = getattr(settings, "protocol", None)
    found = folds_of_seeds(protocol, seeds) if protocol is not None else None
    if found or not tables:
        return found
    clips = {seed: frozenset(table["clip_id"]) for seed, table in zip(seeds, tables, strict=True)}
    numbers: dict[frozenset[str], int] = {}
    return {seed: numbers.setdefault(own, len(numbers)) for seed, own in clips.items()}


def of_expected(settings: Any, recorded: Mapping[str, Any]) -> dict[int, int] | None:
    """Test fold of each seed of ``[expected.recorded]``: from its ``folds``, or the settings."""
    seeds = list(recorded["seeds"])
    if "folds" in recorded:
        return dict(zip(seeds, recorded["folds"], strict=True))
    protocol = getattr(settings, "protocol", None)
    return folds_of_seeds(protocol, seeds) if protocol is not None else None


# ---------------------------------------------------------------- as text


def replicated(name: str, values: Mapping[int, float], folds: Mapping[int, int] | None) -> Replicated | None:
    """A score over its folds; None where a value is not finite, or the folds are not known."""
    if not values or folds is None or not all(map(math.isfinite, values.values())):
        return None
    return intervals.over_folds(
        list(values.values()), [folds[seed] for seed in values], scale=intervals.scale_of(name)
    )


def told(folds: Mapping[int, int] | None) -> str:
    """What an interval over these folds is, for people."""
    if folds is None:
        return "The test folds of the seeds are not recorded: no intervals."
    count = len(set(folds.values()))
    if count == 1:
        return SAME_CLIPS
    each = len(folds) // count
    seeds = f"the {each} seeds of a fold averaged first" if each > 1 else "one seed per fold"
    return f"Intervals over {count} test folds are 95 % intervals; {seeds}."
