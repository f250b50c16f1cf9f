"""Cells of the committed tables, from ``[expected]`` of an experiment file: first the score for new groups,
then the one over folds or seeds.

Contents: `for_new_groups`, `groups`, `over_replicates`, `unseen`.
"""

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from audiomtl.config import ExperimentFile
from audiomtl.harness import replicates
from audiomtl.harness.report import tables

NOT_RECORDED = "not recorded"


def _of(file: ExperimentFile, name: str) -> Mapping[str, Any] | None:
    """``new_groups`` of a recorded score."""
    found: Mapping[str, Any] | None = file.expected.get(name, {}).get("new_groups")
    return found


def for_new_groups(file: ExperimentFile, name: str) -> str:
    """Score over all test clips and its interval for new groups, such as ``0.8792 [0.8093, 0.9314]``."""
    if name not in file.expected:
        return ""
    if (found := _of(file, name)) is None:
        return NOT_RECORDED
    if "score" not in found:
        return "no interval"
    limits = tables.interval(found["low"], found["high"]) if "low" in found else "no interval"
    return f"{tables.number(found['score'])} {limits}"


def groups(file: ExperimentFile, name: str) -> str:
    """The groups of such an interval, or why there is none."""
    found = _of(file, name) or {}
    return found.get("reason") or tables.joined(
        f"{column}: {count}" for column, count in found.get("groups", {}).items()
    )


def over_replicates(file: ExperimentFile, name: str) -> str:
    """Mean of a score and its interval over folds or seeds, such as ``0.8793 [0.7490, 0.9567] over 5 seeds``;
    "" where it is not recorded.
    """
    if name not in file.expected:
        return ""
    recorded = file.expected["recorded"]
    values = dict(zip(recorded["seeds"], map(float, file.expected[name]["per_seed"]), strict=True))
    folds = replicates.of_expected(file.settings, recorded)
    text, count = tables.spread(name, values, folds), len(set(folds.values())) if folds else 0
    seeds = f"{len(values)} seed{'s' * (len(values) > 1)}"
    if count < 2:
        return f"{text} over {seeds}"
    each = len(values) // count
    return f"{text} over {count} folds" + (f" of {each} seeds" if each > 1 else "")


def unseen(file: ExperimentFile, name: str) -> str:
    """Mean of a score over the seeds whose test clips no study has seen; "all" or "none" where it is the
    whole or there are none, "" where there is no study, or where it is not known.
    """
    recorded = file.expected["recorded"]
    seeds, known = list(recorded["seeds"]), recorded.get("unseen_seeds")
    if known is None or name not in file.expected:
        return ""
    if not known or set(known) >= set(seeds):
        return "all" if known else "none"
    values = dict(zip(seeds, map(float, file.expected[name]["per_seed"]), strict=True))
    own = [seed for seed in seeds if seed in known]
    which = f"seed{'s' * (len(own) > 1)} {tables.joined(own)}"
    return f"{tables.number(fmean(values[seed] for seed in own))} ({which})"
