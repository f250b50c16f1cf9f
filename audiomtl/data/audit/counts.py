"""What can be counted: copies and groups on two sides, classes and groups, clipping, offsets, formats.

Conventions: a *serious* finding makes scores wrong (a leak across sides, splits that cannot be trained), a
warning is what a reader of scores should know. Every finding is one line.

Contents: `leaks`, `of_classes`, `of_sound`, `conflicts`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from audiomtl.data.audit.duplicates import Copy
from audiomtl.data.audit.measures import Measures
from audiomtl.data.audit.subject import Subject
from audiomtl.data.preflight import UNEQUAL, classes_in

NAMED = 3  # clips or pairs that a line names
FEW_CLIPS = 5  # of a class
OFFSET = 0.01  # of full scale, from which a constant offset is told
OFFSET_DB = -20.0  # or above this, relative to what moves
SPREAD_DB = 30.0  # between the levels of clips
BANDWIDTHS = 0.5  # lowest bandwidth relative to the highest, below which they are told to differ


def leaks(subject: Subject, copies: Sequence[Copy]) -> tuple[list[str], list[str]]:
    """Copies and group values on two sides: serious ones, and warnings of others.

    Parameters
    ----------
    copies : their numbers are rows of the table.
    """
    serious, warnings = [], []
    across: dict[Copy, list[str]] = {}
    for name, sides in subject.divisions:
        for copy in copies:
            pair = sides[copy.first], sides[copy.second]
            if all(pair) and pair[0] != pair[1]:
                across.setdefault(copy, []).append(f"{pair[0]} and {pair[1]} ({name})")
        serious += _groups_across(subject, name, sides)
    if across:
        told = [f"{_pair(subject, copy)} in {where[0]}" for copy, where in across.items()]
        remedy = "remove one of each, or give both one value in a column of data.groups"
        serious.append(f"{_count(across, 'pair')} of copies on two sides: {_some(told)}; {remedy}")
    rest = [copy for copy in copies if copy not in across]
    apart = [copy for copy in rest if _groups_differ(subject, copy)]
    for pairs, where, remedy in (
        (
            apart,
            f"in different {' or '.join(subject.groups)}" if subject.groups else "",
            "a split by groups may put them on two sides: give both one value",
        ),
        (
            [copy for copy in rest if copy not in apart],
            "in one group" if subject.groups else "",
            "they count twice" if subject.groups else "a random split may put them on two sides; name groups",
        ),
    ):
        if pairs:
            told = [_pair(subject, copy) for copy in pairs]
            warnings.append(
                f"{_count(pairs, 'pair')} of copies {where}: {_some(told)}; {remedy}".replace(" :", ":")
            )
    return serious, warnings


def _groups_across(subject: Subject, name: str, sides: np.ndarray) -> list[str]:
    found = []
    for group in subject.groups:
        values = subject.table[group].to_numpy()
        places: dict[Any, set[str]] = {}
        for value, side in zip(values, sides, strict=True):
            if side:
                places.setdefault(value, set()).add(side)
        shared = sorted((str(value) for value, some in places.items() if len(some) > 1))
        if shared:
            found.append(
                f"{_count(shared, 'value')} of {group} on two sides ({name}): {_some(shared)}; split by"
                f" {group}, as data.groups does, or --groups names other columns"
            )
    return found


def _groups_differ(subject: Subject, copy: Copy) -> bool:
    return any(
        subject.table[group].iat[copy.first] != subject.table[group].iat[copy.second]
        for group in subject.groups
    )


def _pair(subject: Subject, copy: Copy) -> str:
    ids = subject.table["clip_id"]
    how_much = f"{copy.seconds:.1f} s, {copy.share:.0%} of the shorter"
    return f"{ids.iat[copy.first]} = {ids.iat[copy.second]} ({how_much})"


def conflicts(subject: Subject, copies: Sequence[Copy], whole: float = 0.9) -> list[str]:
    """Copies with different labels."""
    if not subject.label or subject.kind == "value":
        return []
    labels, ids = subject.table[subject.label].tolist(), subject.table["clip_id"].tolist()
    told = [
        f"{ids[copy.first]} is {_label(labels[copy.first])}, {ids[copy.second]} {_label(labels[copy.second])}"
        for copy in copies
        if copy.share >= whole and str(labels[copy.first]) != str(labels[copy.second])
    ]
    return [f"{_count(told, 'pair')} of copies with different {subject.label}: {_some(told)}"] if told else []


def _label(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def of_classes(subject: Subject) -> list[str]:
    """Small, unequal and lacking classes; classes that are known by their group."""
    if subject.kind not in ("class", "tags"):
        return []
    column = subject.table[subject.label]
    counts = classes_in(column)
    found = []
    if len(counts) == 1:
        return [
            f"{subject.label}: every clip has the same class ({next(iter(counts))}): nothing can be learned"
        ]
    few = [f"{name} {count}" for name, count in sorted(counts.items()) if count < FEW_CLIPS]
    if few:
        found.append(f"classes with fewer than {FEW_CLIPS} clips: {_some(few, 10)}")
    if not subject.experiment:  # of an experiment `preflight` says both
        ordered = counts.most_common()
        if ordered[0][1] >= UNEQUAL * ordered[-1][1]:
            (most, many), (least, few_) = ordered[0], ordered[-1]
            found.append(f"unequal classes: {most} has {many} clips, {least} has {few_}")
        for name, sides in subject.divisions:
            for side in sorted(set(sides.tolist()) - {""}):
                absent = sorted(set(counts) - set(classes_in(column[sides == side])))
                if absent:
                    found.append(f"{side} ({name}) has no clip of {subject.label} {_some(absent, 5)}")
    for group in subject.groups:
        found += _confounded(subject, group, counts)
    return found


def _confounded(subject: Subject, group: str, counts: Counter[str]) -> list[str]:
    """Classes with clips of one group only."""
    values = subject.table[group].tolist()
    of_class: dict[str, set[Any]] = {}
    for cell, value in zip(subject.table[subject.label].tolist(), values, strict=True):
        for name in cell if isinstance(cell, tuple | list) else [cell]:
            of_class.setdefault(str(name), set()).add(value)
    alone = sorted(name for name, some in of_class.items() if len(some) == 1 and counts[name] > 1)
    if not alone or len(set(values)) < 2:
        return []
    told = [f"{name} ({next(iter(of_class[name]))})" for name in alone]
    which = "every class has" if len(alone) == len(of_class) else f"{_count(alone, 'class', 'classes')} with"
    return [
        f"{which} clips of one {group} only: {_some(told, 5)}: whether {subject.label} or {group} is learned"
        " cannot be told; record more"
    ]


def of_sound(subject: Subject, rows: np.ndarray, measures: Sequence[Measures]) -> list[str]:
    """What is odd about the recordings, kind by kind, and formats that differ.

    Parameters
    ----------
    rows : of the measured clips in the table.
    """
    ids = [str(subject.table["clip_id"].iat[row]) for row in rows]
    found = []
    kinds: dict[str, list[str]] = {}
    for clip, one in zip(ids, measures, strict=True):
        for finding in one.odd:
            kinds.setdefault(finding.kind, []).append(f"{clip} ({finding.text})")
        moving = 10 ** (one.rms_db / 20)
        large = abs(one.offset) >= OFFSET or abs(one.offset) > max(1e-3, moving * 10 ** (OFFSET_DB / 20))
        if large and all(finding.kind not in ("offset", "constant") for finding in one.odd):
            kinds.setdefault("offset", []).append(f"{clip} ({one.offset:+.3f} of full scale)")
    for kind, told in sorted(kinds.items()):
        found.append(f"{kind.replace('_', ' ')}: {_count(told, 'clip')}: {_some(told)}")
    found += _mixed("sample rates", [f"{one.sample_rate} Hz" for one in measures])
    found += _mixed("channels", [str(one.channels) for one in measures])
    found += _mixed("file formats", [one.coding for one in measures])
    return found


def _mixed(what: str, values: Sequence[str]) -> list[str]:
    counts = Counter(values)
    if len(counts) < 2:
        return []
    told = [f"{value} ({_count(range(count), 'file')})" for value, count in sorted(counts.items())]
    return [f"mixed {what}: {', '.join(told)}"]


def _count(things: Any, one: str, many: str = "") -> str:
    return f"{len(things)} {one if len(things) == 1 else many or one + 's'}"


def _some(told: Iterable[str], most: int = NAMED) -> str:
    told = list(told)
    more = f" and {len(told) - most} more" if len(told) > most else ""
    return ", ".join(told[:most]) + more
