"""What is audited: the clips of a table, a folder or an experiment, with label, groups and sides.

Conventions: a *division* says for every clip on which side it is: "train", "validation", "test", the name of
a fold, or "" where it is on none. A table has the divisions of its columns of sides or folds, an experiment
one for each different split of its seeds.

Contents: `Subject`, `of_place`, `of_experiment`, `named`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, found, preflight, tags
from audiomtl.data.clip_table import texts
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest

# words in the names of columns that are probably groups, beside those of `found.GROUPS`
GROUP_WORDS = {
    *found.GROUPS,
    "spk",
    "talker",
    "reader",
    "track",
    "band",
    "musician",
    "device",
    "site",
    "bird",
}


@dataclass(frozen=True)
class Subject:
    """The clips that are audited."""

    name: str
    table: pd.DataFrame  # one row per clip: clip_id, path ...
    label: str = ""  # column of what is learned; "" where nothing is
    kind: str = ""  # of the label: "class", "tags" or "value"; "" without a label
    groups: tuple[str, ...] = ()
    divisions: tuple[tuple[str, np.ndarray], ...] = ()  # (name, (clips,) side of each clip)
    experiment: bool = False
    recordings: bool = True  # whether the clips are recordings; arrays and pictures cannot be listened to
    faults: tuple[str, ...] = ()  # for which no training can succeed
    warnings: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()  # about label, groups and sides
    bad: tuple[tuple[str, str], ...] = field(default=())  # (kind, text) of rows that cannot be used


def named(text: str) -> tuple[str, ...]:
    """Names of columns as they are given to an option: ``speaker,song``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def of_place(where: str | Path, *, label: str = "", groups: Sequence[str] = ()) -> Subject:
    """The clips of a table or folder.

    Parameters
    ----------
    label, groups : columns; "" and () take those that are found by their names.

    Raises
    ------
    MissingData, UserError : as `found.describe`; a column that is not there.
    """
    seen = found.describe(where, on_bad="report")
    assumed = list(seen.assumptions)
    table = seen.table
    columns = {column.name: column for column in seen.columns}
    for name in (*([label] if label else []), *groups):
        _known(name, list(columns), str(where))
    if not label and seen.labels:
        label = seen.labels[0]
        others = f" (also: {', '.join(seen.labels[1:])})" if seen.labels[1:] else ""
        assumed.append(f"column {label} is the label{others}; --label names another")
    if not groups:
        looks = (name for name in columns if name != label and _is_group(columns[name]))
        groups = tuple(dict.fromkeys([*(name for name in seen.groups if name != label), *looks]))
        if groups:
            assumed.append(f"groups: {', '.join(groups)}, by the names of the columns; --groups names others")
        else:
            assumed.append("no column of groups was found; --groups names one, such as speaker or song")
    divisions = tuple(
        (f"column {name}", np.array(texts(table[name]), dtype=object))
        for name in (seen.split, seen.fold)
        if name
    )
    table = _cleaned(table, groups)
    return Subject(
        name=str(where),
        table=table,
        label=label,
        kind=_kind(table, label),
        groups=tuple(groups),
        divisions=divisions,
        recordings=_are_recordings(table),
        assumed=tuple(dict.fromkeys(assumed)),
        bad=tuple(table.attrs.get("bad", ())),
    )


def of_experiment(name: str, settings: Any, *, label: str = "", groups: Sequence[str] = ()) -> Subject:
    """The clips of an experiment, divided as its seeds divide them.

    Parameters
    ----------
    settings : of the experiment. label, groups : columns instead of those of ``[data]``.

    Raises
    ------
    MissingData, UserError : as `catalog.clips`; a column that is not there.
    """
    data = settings.data
    if hasattr(data, "on_bad"):
        data = data.model_copy(update={"on_bad": "report"})
    table = catalog.clips(data)
    for column in (*([label] if label else []), *groups):
        _known(column, list(map(str, table.columns)), name)
    seen = preflight.look(settings, table)
    label, groups = label or data.label, tuple(groups) or tuple(data.groups)
    if label and label not in table:
        label = ""
    divisions: dict[bytes, tuple[list[int], np.ndarray]] = {}
    for one in seen.divisions:
        if one.sides is not None:
            where = {clip: side for side, rows in one.sides.sides().items() for clip in rows["clip_id"]}
            sides = np.array([where.get(clip, "") for clip in seen.table["clip_id"]], dtype=object)
            key = "\0".join(sides).encode()
            divisions.setdefault(key, ([], sides))[0].append(one.seed)
    faults = list(seen.faults)
    if settings.protocol.leaky:
        faults.append("protocol.leaky = true: windows of one clip are on several sides; set it to false")
    return Subject(
        name=name,
        table=_cleaned(seen.table, groups),
        label=label,
        kind=_kind(seen.table, label),
        groups=groups,
        divisions=tuple((f"seed {','.join(map(str, seeds))}", sides) for seeds, sides in divisions.values()),
        experiment=True,
        recordings=_are_recordings(seen.table),
        faults=tuple(faults),
        warnings=seen.warnings,
        assumed=tuple(table.attrs.get(catalog.REMARKS, ())),
        bad=tuple(table.attrs.get("bad", ())),
    )


def _known(name: str, columns: Sequence[str], where: str) -> None:
    if name not in columns:
        raise UserError(f"{where}: no column {name}{nearest(name, columns)}; it has {', '.join(columns)}")


def _is_group(column: found.Column) -> bool:
    """Whether the name of a column says that its values are speakers, songs or the like."""
    words = {word for word in re.split(r"[^a-z]+", column.name.lower()) if word}
    several = 1 < column.values < column.filled
    return several and column.kind in ("group", "class", "number", "other") and bool(words & GROUP_WORDS)


def _cleaned(table: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """The table with text in its group columns; a missing value is a group of its own."""
    attrs, table = dict(table.attrs), table.copy()
    for group in groups:
        values = texts(table[group])
        table[group] = [
            value or f"(none: {clip})" for value, clip in zip(values, table["clip_id"], strict=True)
        ]
    table.attrs = attrs
    return table


def _kind(table: pd.DataFrame, label: str) -> str:
    """What a column of labels holds."""
    if not label:
        return ""
    cells = table[label].tolist()
    if any(isinstance(cell, list | tuple | np.ndarray) for cell in cells):
        return "tags" if tags.classes_of(cells) else ""
    numbers = pd.api.types.is_numeric_dtype(table[label]) and not pd.api.types.is_bool_dtype(table[label])
    few = len(set(cells)) <= max(2, min(20, len(cells) // 5))
    return "value" if numbers and not few else "class"


def _are_recordings(table: pd.DataFrame) -> bool:
    """Whether the clips are recordings, not arrays or pictures."""
    others = {"array_path", "embedding_path"} & set(table.columns)
    return "path" in table and not others and bool(np.isfinite(catalog.seconds(table)).any())
