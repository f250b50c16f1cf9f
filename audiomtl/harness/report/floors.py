"""Scores beside their floors, ceilings and the figures that others published.

Floors are read from the best runs' metrics ``floor/SCORE``, where `best` has put them, else from
``[expected]``.

Contents: `Beside`, `of_runs`, `of_file`, `table`, `below`, `faults`, `unacknowledged`, `references`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment
from audiomtl.harness.floors import above
from audiomtl.harness.record.runs import BestSet, choose, existing
from audiomtl.harness.report import tables
from audiomtl.harness.report.blocks import Table

FLOOR, CEILING, FLOOR_BY, CEILING_BY = "floor/", "ceiling/", "floor_by/", "ceiling_by/"
MARK = "not above its floor"


@dataclass(frozen=True)
class Beside:
    """What stands beside one score."""

    mean: float  # of the score, over the seeds
    floor: float
    by: str = ""  # what the floor is
    ceilings: Mapping[str, float] = field(default_factory=dict)  # by name


def of_runs(file: ExperimentFile, best: BestSet) -> dict[str, Beside]:
    """Of the scores of some best runs; those of ``[expected]`` where the runs have no floors."""
    found, recorded = {}, of_file(file)
    tags = next(iter(best.runs.values())).data.tags
    for name, values in tables.scores(file, best).items():
        floors, ceilings = best.values(f"{FLOOR}{name}"), best.values(f"{CEILING}{name}")
        mean = fmean(values.values())
        if len(floors) == len(best.runs):
            tops = {tags.get(f"{CEILING_BY}{name}", "oracle"): fmean(ceilings.values())} if ceilings else {}
            found[name] = Beside(mean, fmean(floors.values()), tags.get(f"{FLOOR_BY}{name}", ""), tops)
        elif name in recorded:
            own = recorded[name]
            found[name] = Beside(mean, own.floor, own.by, own.ceilings)
    return found


def of_file(file: ExperimentFile) -> dict[str, Beside]:
    """Of the scores in ``[expected]`` that have a floor there."""
    return {
        name: Beside(
            float(one["mean"]), float(one["floor"]), one.get("floor_by", ""), one.get("ceilings", {})
        )
        for name, one in file.expected.items()
        if name != "recorded" and one.get("floor") is not None
    }


def table(
    files: Mapping[str, tuple[ExperimentFile, Mapping[str, Beside]]], *, named: bool = False
) -> list[Table]:
    """Scores on test beside their floors and ceilings, and a mark where a score is no better than its floor;
    [] where there are none.

    ``named`` puts the experiment's name in front.
    """
    rows = []
    for experiment_name, (file, beside) in files.items():
        for name, one in beside.items():
            if not name.startswith("test/"):
                continue
            mark = f"**{MARK}**" if below(file, name, one) else ""
            if mark and name in file.acknowledged:
                mark += ", acknowledged"
            tops = "; ".join(
                f"{tables.number(value)} {label}" for label, value in sorted(one.ceilings.items())
            )
            cells = [name, tables.number(one.mean), tables.number(one.floor), one.by, tops, mark]
            rows.append([experiment_name, *cells] if named else cells)
    head = ["score", "mean", "floor", "what reaches it", "ceiling", ""]
    return [Table.filled(["experiment", *head] if named else head, rows)] if rows else []


def below(file: ExperimentFile, name: str, one: Beside) -> bool:
    """Whether a score on test is no better than its floor. Scores on validation choose, they are not
    reported.
    """
    side, _, score = name.partition("/")
    direction = experiment.family_scores(file).get(score)
    return bool(side == "test" and direction and not above(one.mean, one.floor, direction))


def faults(file: ExperimentFile, beside: Mapping[str, Beside]) -> list[str]:
    """A line for each score that is no better than its floor and not acknowledged, and for each that is
    acknowledged and better.
    """
    found = []
    for name, one in sorted(beside.items()):
        if below(file, name, one) and name not in file.acknowledged:
            by = f" ({one.by})" if one.by else ""
            found.append(
                f"{file.path}: {name} {tables.number(one.mean)} is {MARK} {tables.number(one.floor)}{by}:"
                f' improve it, or add "{name}" to the list acknowledged in the file'
            )
    for name in file.acknowledged:
        if name in beside and not below(file, name, beside[name]):
            found.append(
                f'{file.path}: acknowledged has "{name}", but {tables.number(beside[name].mean)} is above its'
                f" floor {tables.number(beside[name].floor)}: remove it"
            )
    return found


def unacknowledged(names: list[str]) -> list[str]:
    """`faults` of experiments, of the best runs that a report shows, or recorded; without names of all."""
    tracking, found = existing(), list[str]()
    for file in config.load_experiments(names):
        best = choose(file, tracking.runs(file.name)) if tracking else None
        found += faults(file, of_runs(file, best) if best else of_file(file))
    return found


def references(files: Sequence[ExperimentFile], *, named: bool = False) -> list[Table]:
    """A table of the published figures in some files; [] where there are none.

    ``named`` puts the experiment's name in front.
    """
    rows = []
    for file in files:
        for one in file.references:
            how = f"{'yes' if one.comparable else 'no'}: {one.why}"
            cells = [one.score, f"{one.number:g}", one.protocol, one.source, how]
            rows.append([file.name, *cells] if named else cells)
    head = ["score", "published", "how", "source", "comparable"]
    return [Table(["experiment", *head] if named else head, rows)] if rows else []
