"""Recorded and new scores compared: equal to the bit, or equivalent.

Conventions: scores are those of ``[expected]``, one per seed, ``test/...`` and ``validation/...``.

Contents: `Verdict`, `compare`, `summary`, `table`; `floors_here`, `floor_of`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from audiomtl.config import ExperimentFile
from audiomtl.harness import floors as harness_floors
from audiomtl.harness.record import provenance
from audiomtl.metrics.equivalence import Equivalence, equivalent, margin_of


@dataclass(frozen=True)
class Verdict:
    """One score on all seeds."""

    score: str
    seeds: tuple[int, ...]
    recorded: tuple[float, ...]
    now: tuple[float, ...]
    exact: bool  # only equal scores count as reproduced
    margin: float = 0.0  # largest mean difference, in the unit of the score
    equivalence: Equivalence | None = None

    @property
    def equal(self) -> int:
        """Seeds whose scores are equal to the bit."""
        return sum(was == now for was, now in zip(self.recorded, self.now, strict=False))

    @property
    def reproduced(self) -> bool:
        if len(self.now) == len(self.recorded) == self.equal:
            return True
        return not self.exact and self.equivalence is not None and self.equivalence.holds


def compare(
    expected: Mapping[str, Any],
    got: Mapping[str, Sequence[float]],
    threads: int,
    directions: Mapping[str, str],
    *,
    floors: Mapping[str, float] | None = None,
    exact: bool = False,
) -> list[Verdict]:
    """A verdict on every score of ``[expected]``.

    On the machine that recorded them, with as many TensorFlow threads, every seed's score must be equal, and
    with ``exact`` on any machine; else equal or equivalent (`equivalence.equivalent`), paired by seed.

    Parameters
    ----------
    directions : {score without its side: "minimize" or "maximize"}. floors : {score: its floor}, for those
        that are not recorded; see `floors_here`.
    """
    origin = expected["recorded"]
    exact = exact or same_bits(origin, threads)
    verdicts = []
    for name, entry in sorted(expected.items()):
        if name == "recorded":
            continue
        was, now = tuple(map(float, entry["per_seed"])), tuple(map(float, got.get(name, ())))
        margin = margin_of(float(entry["mean"]), floor_of(name, entry, directions, floors or {}))
        tested = equivalent(was, now, margin) if len(was) == len(now) else None
        verdicts.append(Verdict(name, tuple(origin["seeds"]), was, now, exact, margin, tested))
    return verdicts


def same_bits(origin: Mapping[str, Any], threads: int) -> bool:
    """Whether trainings here must give the bits of those recorded: same processor, as many threads."""
    return bool(origin["machine"] == provenance.machine() and origin.get("threads", 1) == threads)


def same_steps(origin: Mapping[str, Any], threads: int) -> bool:
    """`same_bits` for the fingerprint, which may have been recorded elsewhere than the scores."""
    own = {
        key: origin[f"fingerprint_{key}"] for key in ("machine", "threads") if f"fingerprint_{key}" in origin
    }
    return same_bits({**origin, **own}, threads)


def floors_here(file: ExperimentFile) -> dict[str, float]:
    """Floors of an experiment's scores, computed from its data."""
    return {name: one.value for name, one in harness_floors.floors(file).items()}


def floor_of(
    name: str, entry: Mapping[str, Any], directions: Mapping[str, str], floors: Mapping[str, float]
) -> float:
    """The recorded floor of a score, or the one that is given; else that of an empty answer: 1 for an error
    rate, 0 for what is maximized. Of other scores that are minimized (milliseconds, L1) none is known, and
    the perfect score 0 takes its place, so that the margin is a quarter of the score itself.
    """
    if entry.get("floor") is not None:
        return float(entry["floor"])
    if name in floors:
        return float(floors[name])
    score = name.partition("/")[2]
    return 1.0 if score.endswith("error_rate") and directions.get(score) == "minimize" else 0.0


def table(verdicts: Sequence[Verdict]) -> Table:
    """Scores that were not reproduced."""
    rows = Table("score", "seed", "recorded", "now", "difference", "mean difference allowed")
    for one in verdicts:
        if one.reproduced:
            continue
        allowed = "0, bit for bit" if one.exact else f"{one.margin:.4g}"
        now = one.now or (math.nan,) * len(one.recorded)
        for seed, was, value in zip(one.seeds, one.recorded, now, strict=False):
            if was != value:
                rows.add_row(one.score, str(seed), f"{was:.6f}", f"{value:.6f}", f"{value - was:+.6f}", "")
        if len(now) != len(one.recorded):
            rows.add_row(one.score, "number", str(len(one.recorded)), str(len(now)), "", "")
        found = one.equivalence
        interval = (
            "" if found is None or found.low != found.low else f" [{found.low:+.4f}, {found.high:+.4f}]"
        )
        mean = "" if found is None else f"{found.difference:+.6f}{interval}"
        rows.add_row(one.score, "mean", "", "", mean, allowed)
    return rows


def summary(verdicts: Sequence[Verdict], origin: Mapping[str, Any], threads: int) -> str:
    """When every score was reproduced: how many are bit-identical, and how this machine differs from the one
    that recorded them.
    """
    equal, total = sum(one.equal for one in verdicts), sum(len(one.recorded) for one in verdicts)
    differs = []
    if origin["machine"] != provenance.machine():
        differs.append(f"on a different processor ({origin['machine']})")
    if origin.get("threads", 1) != threads:
        differs.append(f"with {origin.get('threads', 1)} TensorFlow threads instead of {threads}")
    where = f", recorded {' and '.join(differs)}" if differs else ""
    if equal == total:
        return f"all {equal} recorded scores were reproduced bit for bit{where}"
    others = sum(one.equal < len(one.recorded) for one in verdicts)
    return (
        f"all {len(verdicts)} recorded scores were reproduced: {equal} of {total} values bit for bit,"
        f" {others} {'score' if others == 1 else 'scores'} by equivalent means{where}"
    )
