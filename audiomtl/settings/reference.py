"""What `audiomtl check --settings` prints: every setting with its type and range, when it is used, and
what it does.

Contents: `Row`, `rows`, `names`, `beside`, `as_table`, `as_markdown`.
"""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args, get_origin

import annotated_types

from audiomtl.errors import UserError
from audiomtl.settings.datasets import dataset, datasets
from audiomtl.settings.family import families, family
from audiomtl.settings.fields import Setting, plain, settings_in
from audiomtl.settings.named import FileIn
from audiomtl.settings.published import ACKNOWLEDGED, QUESTION, Reference
from audiomtl.settings.study import Study
from audiomtl.settings.validation import nearest

STUDY = "study"
HEADS = ("setting", "type and range", "used when", "description")
NARROW = 110  # characters: below, type and condition stand with the description
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


class Row(NamedTuple):
    """One setting as text."""

    path: str
    type: str
    when: str
    description: str


def names() -> list[str]:
    """Names that `audiomtl check --settings` accepts: families, data sets, and study."""
    return [*families(), *datasets(), STUDY]


def rows(name: str) -> list[Row]:
    """Settings of a family, of a data set (``[data]``), or of a study."""
    if name == STUDY:
        found = list(settings_in(Study))
    elif name in datasets():
        found = list(settings_in(dataset(name).Settings, prefix="data."))
    elif name in families() or "." in name:
        found = list(settings_in(family("settings", name).Settings))
    else:
        raise UserError(
            f"{name}: no such family or data set{nearest(name, names())}; available: {', '.join(names())}"
        )
    absent = {one.path for one in found if one.never}  # no kind of this family has them
    found = [
        replace(one, conditions=tuple(each for each in one.conditions if not absent & each.keys()))
        for one in found
    ]
    return [
        Row(one.path, type_of(one), when(one), one.field.description or "")
        for one in found
        if one.path not in absent
    ]


def beside() -> list[Row]:
    """Keys of an experiment file that are no settings and are written by people."""
    of_arm = "Key of an ablation that is no setting: whether "
    return [
        Row("acknowledged", "list: text", "", ACKNOWLEDGED),
        *(
            Row(one.path, type_of(one), when(one), one.field.description or "")
            for one in settings_in(Reference, prefix="reference.")
        ),
        Row("ablation.NAME.core", "true or false", "", f"{of_arm}`--core` trains it. Default false."),
        Row("ablation.NAME.curve", "true or false", "", f"{of_arm}`--curve` draws it. Default false."),
        Row("ablation.NAME.question", "text", "", QUESTION),
    ]


def as_table(name: str, width: int) -> str:
    """The settings of a family or data set as a table of at most ``width`` characters."""
    found = [HEADS, *rows(name)]
    path = min(max(len(row[0]) for row in found), 42)
    if width < NARROW:
        texts = [
            (row[0], row[3] if row is HEADS else " ".join(filter(None, [row[3], _bracketed(row)])))
            for row in found
        ]
        return _columns(texts, [path, max(width - path - 2, 20)])
    kinds, conditions = 26, 26
    return _columns(found, [path, kinds, conditions, width - path - kinds - conditions - 6])


def as_markdown() -> str:
    """The reference of all settings: first those that families share, then those of each family, the data
    sets, and studies.
    """
    own = {name: rows(name) for name in families()}
    count = Counter(row for found in own.values() for row in found)
    shared = [row for row in dict.fromkeys(row for found in own.values() for row in found) if count[row] > 1]
    parts = [
        (
            "# All settings\n\nWritten by `audiomtl check --settings --markdown`. "
            "A setting that the chosen kinds do not use may be left out of the file; "
            "one that they use must be in it, unless its description names a default."
        ),
        _section("Settings that families share", [row for row in shared if not row.path.startswith("data.")]),
        *(
            _section(f"Family {name}", [row for row in found if count[row] == 1])
            for name, found in own.items()
        ),
        _section("Every data set", [row for row in shared if row.path.startswith("data.")]),
        *(
            _section(f"Data set {name}", [row for row in rows(name) if row not in shared])
            for name in datasets()
        ),
        _section("Studies", rows(STUDY)),
        _section("Beside the settings of an experiment file", beside()),
    ]
    return "\n\n".join(part for part in parts if part)


def when(setting: Setting) -> str:
    """When a setting is used, in words; its own table's settings by their names alone."""
    table = f"{setting.path.rpartition('.')[0]}."
    said = []
    for condition in setting.conditions:
        parts = []
        for path, wanted in condition.items():
            values = wanted if isinstance(wanted, tuple) else (wanted,)
            text = " or ".join(value if value == "above 0" else _shown(value) for value in values)
            parts.append(f"{path.removeprefix(table)} {'' if text == 'above 0' else '= '}{text}")
        said.append(" and ".join(parts))
    return "; or ".join(said)


def type_of(setting: Setting) -> str:
    """Type and range of a setting, in words."""
    return _type(setting.field.annotation, setting.field.metadata)


def _type(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    metadata = [*getattr(annotation, "__metadata__", ()), *metadata]
    inner = plain(annotation)
    origin = get_origin(inner)
    if files := [one for one in metadata if isinstance(one, FileIn)]:
        return " or ".join(_shown(name) for name in files[0].choices)
    if origin is Literal:
        return " or ".join(_shown(value) for value in get_args(inner))
    if origin in (tuple, list):
        args = [one for one in get_args(inner) if one is not Ellipsis]
        size = f"{len(args)} of " if origin is tuple and Ellipsis not in get_args(inner) else ""
        return f"list: {size}{_type(args[0]) if args else 'any'}"
    if origin is dict:
        return f"table: {_type(get_args(inner)[1])}"
    if members := get_args(inner):
        several = " or ".join(dict.fromkeys(_type(one) for one in members))
        return "number" if {*members} <= {int, float} else several
    return f"{WORDS.get(inner, 'any')}{_range(metadata)}"


def _range(metadata: Iterable[Any]) -> str:
    flat = [one for item in metadata for one in getattr(item, "metadata", [item])]
    words = []
    for kind, name, sign in (
        (annotated_types.Ge, "ge", ">="),
        (annotated_types.Gt, "gt", ">"),
        (annotated_types.Le, "le", "<="),
        (annotated_types.Lt, "lt", "<"),
        (annotated_types.MultipleOf, "multiple_of", "multiple of"),
    ):
        words += [f"{sign} {getattr(one, name):g}" for one in flat if isinstance(one, kind)]
    return f" {', '.join(words)}" if words else ""


def _shown(value: Any) -> str:
    return (
        ("true" if value else "false")
        if isinstance(value, bool)
        else f'"{value}"'
        if isinstance(value, str)
        else str(value)
    )


def _bracketed(row: Sequence[str]) -> str:
    return f"[{row[1]}{f'; used when {row[2]}' if row[2] else ''}]"


def _columns(table: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    lines = []
    for row in table:
        cells = [
            textwrap.wrap(cell, width, break_on_hyphens=False) or [""]
            for cell, width in zip(row, widths, strict=True)
        ]
        for number in range(max(map(len, cells))):
            parts = [
                (cell[number] if number < len(cell) else "").ljust(width)
                for cell, width in zip(cells, widths, strict=True)
            ]
            lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _section(title: str, found: Sequence[Row]) -> str:
    if not found:
        return ""
    lines = [f"## {title}", "", f"| {' | '.join(HEADS)} |", "|---|---|---|---|"]
    for row in found:
        cells = [f"`{row.path}`", *(cell.replace("|", "\\|") for cell in row[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
