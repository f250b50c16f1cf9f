"""The split that `audiomtl new` writes: groups and a protocol that a dry run of every seed has tried.

A column of sides or folds is used. Otherwise groups are kept apart: one value at a time where there are few,
else in folds of whole groups, or in blocks where groups cross. Groups that cannot be kept apart on top of
others are given up, which is said.

Contents: `Candidate`, `candidates`.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from audiomtl.data.fitting import Choice

MOST_VALUES = 10  # of a group that is left out one value at a time
FOLDS = (5, 4, 3)
HELD_OUT = 0.2  # of the values of each group, in blocks


@dataclass(frozen=True)
class Candidate:
    """One way to split."""

    groups: tuple[str, ...]
    protocol: dict[str, Any]
    seeds: tuple[int, ...]
    note: str  # what is assumed with it, and what it gives up


def candidates(choice: Choice, groups: Sequence[str], *, named: bool) -> Iterator[Candidate]:
    """Ways to split, the best first.

    Parameters
    ----------
    groups : columns. named : whether the user named them: then none is given up.
    """
    sizes = {group: int(choice.found.table[group].nunique()) for group in groups}
    ordered = sorted(groups, key=lambda group: (sizes[group], group))
    for some in _subsets(ordered, named=named):
        given_up = [group for group in ordered if group not in some]
        lost = (
            f"; {', '.join(given_up)} cannot be kept apart as well: clips of one value stand on several sides"
        )
        after = lost if given_up else ""
        for protocol, seeds, words in _protocols(choice, some, sizes):
            yield Candidate(tuple(some), protocol, seeds, f"split: {words}{after}")


def _subsets(groups: Sequence[str], *, named: bool) -> Iterator[list[str]]:
    """All groups, then fewer and fewer."""
    for count in range(len(groups), 0, -1):
        yield from map(list, itertools.combinations(groups, count))
        if named:
            return
    yield []


def _protocols(
    choice: Choice, groups: list[str], sizes: dict[str, int]
) -> Iterator[tuple[dict[str, Any], tuple[int, ...], str]]:
    found, apart = choice.found, f"whole values of {' and '.join(groups)}"
    stratified = bool(choice.label)
    if found.split:
        yield {"kind": "split", "column": found.split}, (1, 2, 3), f"as the column {found.split} says"
        return
    if found.fold:
        count = int(found.table[found.fold].nunique())
        yield (
            {"kind": "folds", "column": found.fold},
            tuple(range(1, count + 1)),
            f"the {count} folds of the column {found.fold}, each tested once",
        )
        return
    if len(groups) == 1 and 3 <= sizes[groups[0]] <= MOST_VALUES:
        count = sizes[groups[0]]
        words = f"each of the {count} values of {groups[0]} is tested once, by a training that never met it"
        yield {"kind": "leave_one_out"}, tuple(range(1, count + 1)), words
    for count in FOLDS:
        of = f"of {apart}, so that none is on two sides" if groups else "of single clips"
        unknown = "" if groups else "; name what clips have in common (speaker, source) with --groups"
        protocol = {"kind": "folds", "column": "", "folds": count, "stratified": stratified}
        yield protocol, tuple(range(1, count + 1)), f"{count} folds {of}, each tested once{unknown}"
    if len(groups) > 1:
        held = [max(1, round(HELD_OUT * sizes[group])) for group in groups]
        turns = min(max(1, sizes[group] // number) for group, number in zip(groups, held, strict=True))
        protocol = {"kind": "blocks", "test_values": held, "validation_values": held, "rotations": turns}
        words = f"blocks of {apart}; clips that belong to two sides are left out"
        yield protocol, tuple(range(1, turns + 1)), words
