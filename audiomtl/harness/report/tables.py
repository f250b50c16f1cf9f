"""Cells and tables of reports: scores with their intervals, rows of ablations.

Scores have 4 decimals. A value that is missing or not finite is written as ``none``; an interval that does
not exist is left out.

Contents: `scores`, `arm_row`, `arms_told`; `over_folds`, `spread`, `for_new_groups`;
`interval`, `number`, `joined`, `commits`.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment, replicates
from audiomtl.harness.effects import Effects
from audiomtl.harness.record.runs import Arm, BestSet, shown
from audiomtl.harness.record.store import Run
from audiomtl.harness.report.blocks import Table
from audiomtl.metrics.clusters import Pooled

EXPLORATORY = "exploratory"


def scores(file: ExperimentFile, best: BestSet) -> dict[str, dict[int, float]]:
    """``{"test/phone_error_rate": {seed: value}}`` of every reported score."""
    prefixes = {
        f"{side}/{name}": "" if side == "test" else "best/"
        for side in ("test", "validation")
        for name in experiment.family_scores(file)
    }
    beside = experiment.rates_beside(list(best.runs.values()))
    reported = {key: values for key, prefix in prefixes.items() if (values := best.values(f"{prefix}{key}"))}
    return reported | {key: dict(zip(best.runs, values, strict=True)) for key, values in beside.items()}


def arm_row(arm: Arm, best: BestSet, found: Effects) -> list[str]:
    """Cells: name, difference to best (``*`` where the simultaneous interval of its question excludes 0),
    interval, mean, seeds, question, changed settings.
    """
    changes = ", ".join(f"{path} = {shown(value)}" for path, value in sorted(arm.changes.items()))
    if arm.same:
        return [arm.name, "same settings as the best run", "", "", "", "", changes]
    lost = f"failed on {arm.failed} of {len(best.runs)}" if arm.failed else ""
    if not arm.pairs:
        why = lost or "not run with the settings and code of the best runs"
        return [arm.name, why, "", "", "0", "", changes]
    whole = len(arm.pairs) == len(best.runs)
    seeds = str(len(arm.pairs)) if whole else f"{len(arm.pairs)} of {len(best.runs)}"
    seeds += f", {lost}" if lost else ""
    if arm.name not in found.of:  # not on all seeds: a difference on validation, without an interval
        difference = sum(one - other for one, other in arm.pairs.values()) / len(arm.pairs)
        return [arm.name, number(difference, "+.4f"), "", number(arm.mean), seeds, EXPLORATORY, changes]
    one = found.of[arm.name]
    return [
        arm.name,
        f"{number(one.value, '+.4f')}{' *' if one.significant else ''}",
        interval(one.low, one.high, "+.4f"),
        number(found.best + one.value),
        seeds,
        one.question or EXPLORATORY,
        changes,
    ]


def arms_told(found: Effects) -> list[str]:
    """What the comparison of ablations is, and how it is biased: lines for people."""
    seeds = joined(found.seeds)
    lines = [f"Compared on the {found.side} clips of the seeds {seeds}, paired, each clip counted once."]
    if found.over:
        lines.append(
            f"Intervals are 95 % over {found.over}; those of one question hold all at once (max-t), and an"
            " asterisk marks one that excludes 0. Exploratory ones answer no question that was asked before."
        )
    if found.bias:
        lines.append(f"Bias: {found.bias}.")
    return lines


def over_folds(name: str, values: Mapping[int, float], folds: Mapping[int, int] | None) -> list[str]:
    """Cells: mean, interval over folds (over seeds where there is one fold), standard deviation between folds
    and between the seeds of a fold.
    """
    found = replicates.replicated(name, values, folds)
    if found is None:
        finite = [value for value in values.values() if math.isfinite(value)]
        mean = sum(finite) / len(finite) if finite and len(finite) == len(values) else math.nan
        return [number(mean), "", "", ""]
    spreads = [number(one) if math.isfinite(one) else "" for one in (found.between_folds, found.within_folds)]
    return [number(found.mean), interval(found.low, found.high), *spreads]


def spread(name: str, values: Mapping[int, float], folds: Mapping[int, int] | None) -> str:
    """Mean and interval over folds, such as ``0.3300 [0.2555, 0.4045]``."""
    mean, limits, *_ = over_folds(name, values, folds)
    return f"{mean} {limits}".strip()


def for_new_groups(scores: Mapping[str, Pooled]) -> Table:
    """A table of test scores over the clips of all folds."""
    rows = [[name, number(one.value), interval(one.low, one.high)] for name, one in scores.items()]
    return Table.filled(["test score", "all folds", "95 % interval for new groups"], rows)


def interval(low: float, high: float, form: str = ".4f") -> str:
    """``[low, high]``, or nothing if there is no interval."""
    return f"[{low:{form}}, {high:{form}}]" if math.isfinite(low) else ""


def number(value: float, form: str = ".4f") -> str:
    """A score, or ``none``."""
    return f"{value:{form}}" if math.isfinite(value) else "none"


def joined(items: Iterable[Any]) -> str:
    """The items, separated by commas."""
    return ", ".join(map(str, items))


def commits(runs: Iterable[Run]) -> str:
    """The commits of some runs, and whether they had uncommitted changes."""
    found: dict[str, None] = {}
    for run in runs:
        name = run.data.tags.get("commit", "none")
        changed = " with uncommitted changes" if run.data.tags.get("dirty") == "true" else ""
        found[f"commit {name[:12]}{changed}" if name != "none" else "no commit"] = None
    return joined(found)
