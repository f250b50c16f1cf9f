"""From rows as a person wrote them to a clip table: names cleaned, cells typed, every file looked at.

Conventions: as in `audiomtl.data.identity` and `audiomtl.data.cells`. Every row is looked at before anything
is trained, and all that is wrong is said at once.

Contents: `clip_table`, `texts`.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, cells, files, identity, tags
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest

SOURCES = ("path", "array_path", "embedding_path")
ROW = "array_row"
NAMED = 10  # how many faults a message names

Faults = dict[int, tuple[str, str]]  # row -> (kind of fault, message)


def clip_table(
    table: pd.DataFrame,
    data: Any,
    given: Sequence[str],
    root: Path,
    *,
    source: str,
    place: str,
    examine: Callable[[list[str]], files.Examined],
    names: Sequence[str] = (),
    faults: Mapping[int, tuple[str, str]] = MappingProxyType({}),
) -> pd.DataFrame:
    """A clip table from rows as a person wrote them: names cleaned, cells typed, every file looked at.

    Parameters
    ----------
    data : settings with label, groups, cells, on_bad and on_variants.
    given : path of each row as it is written, relative to ``root``; "" where there is none.
    source : what the paths are: "path", "array_path" or "embedding_path".
    place : what an error begins with.
    examine : paths of files -> what is known of them; lengths are seconds, or rows of arrays.
    names : how it calls each row; "row 1" ... if there are none.
    faults : of rows that are known to be bad: row -> (kind, message).
    """

    def called(row: int) -> str:
        return names[row] if names else f"row {row + 1}"

    table = tags.labelled(table, data, place, names)
    columns = list(map(str, table.columns))
    labels = [data.label] if data.label else []
    tagged = labels if data.labels == "several" else []  # their cells are tuples already
    for setting, column in [
        *(("label", label) for label in labels),
        *(("groups", group) for group in data.groups),
        *(("cells", column) for column in data.cells),
    ]:
        if column not in columns:
            raise UserError(
                f'{place}: data.{setting} = "{column}": no such column{nearest(column, columns)}; it has'
                f" {', '.join(columns)}"
            )
    attrs = dict(table.attrs)
    table = table.reset_index(drop=True)
    table.attrs = attrs
    shared = source == "array_path" and ROW in columns
    if shared:
        table[ROW] = pd.to_numeric(table[ROW], errors="coerce")
    table["path"], given = _found_paths(given, root)
    if "clip_id" not in columns:
        part = [f"/{value:g}" for value in table[ROW]] if shared else [""] * len(table)
        ids = [
            _stem(value, root) + part[row] if value else f"row {row + 1}" for row, value in enumerate(given)
        ]
        table["clip_id"] = [unicodedata.normalize("NFC", clip) for clip in ids]
    for column in dict.fromkeys(["clip_id", *labels, *data.groups]):
        if column not in data.cells and column not in tagged:
            table[column] = identity.cleaned(table[column].tolist(), _empty(table[column]))
    typed, unreadable = _typed(table, data, root, tagged)
    faults = {**unreadable, **faults}
    more, seconds = _faults(table, data, ROW if shared else source, examine, called)
    length = _free("seconds", columns)
    table.attrs[catalog.SECONDS] = length
    table[length] = seconds
    for row, clip in enumerate(table[list(typed)].to_dict("records") if typed else []):
        if row in more or row in faults:
            continue
        if words := cells.spans_faults({str(name): cell for name, cell in clip.items()}, seconds[row], typed):
            faults[row] = ("cell", f"{table['clip_id'][row]}: {words}")
    for column, kind in typed.items():
        table[column] = pd.Series(
            [cells.within(value, kind, length) for value, length in zip(table[column], seconds, strict=True)],
            index=table.index,
            dtype=object,
        )
    # a cell that cannot be read is empty for that reason
    more = {row: fault for row, fault in more.items() if not (row in faults and fault[0] == "empty")}
    faults = dict(sorted((faults | more).items()))
    if data.on_bad == "report":
        kept = _reported(table, faults, place, called)
    else:
        kept = _without_faults(table, faults, place, data.on_bad, called, bool(names))
    if shared:
        kept[ROW] = kept[ROW].astype(int)  # a row that was left out may have made them floats
    if data.on_variants == "error" and data.on_bad != "report":
        _refuse_variants(kept, labels, data.groups, place, called)
    return kept.sort_values("clip_id", ignore_index=True)


def _free(name: str, columns: Sequence[str]) -> str:
    """A name that no column of the user's has."""
    names = (name, f"recording_{name}", *(f"recording_{name}_{number}" for number in range(2, 100)))
    return next(one for one in names if one not in columns)


def _found_paths(given: Sequence[str], root: Path) -> tuple[list[str], list[str]]:
    """Absolute paths, and the paths as they should have been written: where there is no such file, those of
    one whose name is written in another form.
    """
    forms = list(given)
    paths = [_joined(value, root) if value else "" for value in given]
    for row in np.flatnonzero(files.states(paths)[:, 0] < 0).tolist():
        if given[row]:
            for form in (given[row], given[row].strip(), given[row].strip().replace("\\", "/")):
                if os.path.isfile(other := identity.existing(_joined(form, root))):
                    paths[row], forms[row] = other, form
                    break
    return paths, forms


def _typed(
    table: pd.DataFrame, data: Any, root: Path, tagged: Sequence[str]
) -> tuple[dict[str, str], Faults]:
    """Reads the cells of columns that have a kind: kinds by column, and faults by row."""
    kinds: dict[str, str] = {
        column: "file"
        for column in map(str, table.columns)
        if column.endswith("_path") and column not in SOURCES
    }
    kinds |= {column: kind for column, kind in cells.DEFAULTS.items() if column in table.columns}
    for listed, times in cells.TIMED.items():  # numbers called starts are times of phones only beside phones
        single = [name for name in times if name in kinds and pd.api.types.is_numeric_dtype(table[name])]
        kinds = {name: kind for name, kind in kinds.items() if name not in single or listed in kinds}
    kinds = {column: kind for column, kind in (kinds | data.cells).items() if column not in tagged}
    typed: dict[str, str] = {}
    faults: Faults = {}
    for column, kind in kinds.items():
        blank = _empty(table[column])
        values = [None if gone else value for value, gone in zip(table[column], blank, strict=True)]
        found, wrong = cells.column(values, kind, named=column in data.cells)
        if found is None:
            continue
        if kind == "file":
            found = [_file(value, root) for value in found]
        else:
            typed[column] = kind
        for row, words in wrong.items():
            faults.setdefault(row, ("cell", f"{table['clip_id'][row]}: {column}: {words}"))
        table[column] = pd.Series(found, index=table.index, dtype=object)
    return typed, faults


def _file(value: str | None, root: Path) -> str | None:
    """The absolute path of a file beside the table; the value itself where there is none."""
    path = identity.existing(_joined(value, root)) if value else ""
    return path if path and os.path.isfile(path) else value


def _refuse_variants(
    table: pd.DataFrame,
    labels: Sequence[str],
    groups: Sequence[str],
    place: str,
    called: Callable[[int], str],
) -> None:
    """Names that are probably one, and cells with several classes."""
    for column in dict.fromkeys([*labels, *groups]):
        cells_of = table[column].explode()
        found = [name if isinstance(name, str) else None for name in cells_of]
        places = [called(row) for row in cells_of.index]
        same = identity.variants(found, places)
        if same:
            raise UserError(
                f"{place}: {column}: {'; '.join(same[:NAMED])}: probably one name; write it in one way, or"
                ' set data.on_variants = "keep" where they differ'
            )
        odd = identity.odd_classes(found, places) if column in labels else []
        if odd:
            raise UserError(
                f"{place}: {column}: {odd[0]}; write one class per cell, or a list of classes, or set"
                ' data.on_variants = "keep" where it is one class'
            )


def _without_faults(
    table: pd.DataFrame,
    faults: Faults,
    place: str,
    on_bad: str,
    called: Callable[[int], str],
    folder: bool,
) -> pd.DataFrame:
    if not faults:
        return table
    listed = []
    for row, (_, words) in list(faults.items())[:NAMED]:
        clip = "" if not folder else f"{table['clip_id'][row]}: "
        listed.append(f"{called(row)}: {words.removeprefix(clip)}")
    named, things = "; ".join(listed), "recordings" if folder else "rows"
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    text = f"{place}: {len(faults)} of {len(table)} {things} are bad: {named}{more}"
    if len(faults) == len(table):
        raise UserError(f"{text}; fix them: none of the {things} can be used")
    if on_bad == "error":
        raise UserError(f'{text}; fix them, or leave them out with data.on_bad = "skip"')
    print(f"left out: {text}", flush=True)
    kept = table.drop(index=list(faults))
    kept.attrs["left_out"] = dict(sorted(Counter(kind for kind, _ in faults.values()).items()))
    return kept


def _reported(table: pd.DataFrame, faults: Faults, place: str, called: Callable[[int], str]) -> pd.DataFrame:
    """The table for ``audiomtl check --deep``: doubled recordings stay, under ids of their own;
    ``attrs["bad"]`` has the kind and the text of every other fault.
    """
    bad = [row for row, (kind, _) in faults.items() if kind != "doubled"]
    if len(bad) == len(table):
        raise UserError(f"{place}: no row can be used; the first: {called(bad[0])}: {faults[bad[0]][1]}")
    twice = table["clip_id"].duplicated()
    table["clip_id"] = [
        f"{clip} ({called(row)})" if again else clip
        for row, (clip, again) in enumerate(zip(table["clip_id"], twice, strict=True))
    ]
    kept = table.drop(index=bad)
    kept.attrs["bad"] = tuple((faults[row][0], f"{called(row)}: {faults[row][1]}") for row in bad)
    return kept


def _faults(
    table: pd.DataFrame,
    data: Any,
    source: str,
    examine: Callable[[list[str]], files.Examined],
    called: Callable[[int], str],
) -> tuple[Faults, list[float]]:
    """Row -> (kind of error, message), the first of each row; and the seconds of every row."""
    faults: Faults = {}
    seconds = [float("nan")] * len(table)
    at, seen = dict[tuple[str, object], int](), dict[tuple[str, object], int]()
    ids: dict[str, int] = {}
    paths = table["path"].tolist()
    needed = ["clip_id", *([data.label] if data.label else []), *data.groups]
    blanks = {column: _empty(table[column]) for column in needed}
    found = examine(list(dict.fromkeys(path for path in paths if path)))
    if source != ROW and found.exists.all() and not any(map(np.any, blanks.values())):
        different = (paths, found.digests, table["clip_id"].tolist())
        if not any(found.faults) and all(len(set(values)) == len(table) for values in different):
            return faults, found.lengths if source == "path" else seconds
    columns = (found.exists.tolist(), found.digests, found.lengths, found.faults)
    known = dict(zip(dict.fromkeys(path for path in paths if path), zip(*columns, strict=True), strict=True))
    empty = np.full(len(table), "", object)
    for column in reversed(needed):
        empty[blanks[column]] = column
    parts = table[ROW].tolist() if source == ROW else [None] * len(table)
    rows = zip(table["clip_id"].tolist(), paths, parts, empty.tolist(), strict=True)
    for row, (clip, path, part, blank) in enumerate(rows):
        exists, digest, length, fault = known.get(path, (False, "", 0.0, ""))
        if not path:
            faults[row] = ("missing", "no file is named")
        elif not exists:
            faults[row] = ("missing", f"{path}: no such file")
        elif (path, part) in at:
            faults[row] = ("doubled", f"{path} is already in {called(at[path, part])}")
        elif (digest, part) in seen:
            faults[row] = ("doubled", f"{path} has the same content as {called(seen[digest, part])}")
        elif blank:
            tag = blank == data.label and data.labels == "several"
            hint = "; write [] for a clip without tags" if tag else ""
            faults[row] = ("empty", f"{clip or path}: no {blank}{hint}")
        elif clip in ids:
            faults[row] = ("doubled", f"clip_id {clip} is already used in {called(ids[clip])}")
        elif fault:
            faults[row] = ("unreadable", fault)
        elif source == ROW and part not in range(int(length)):
            words = f"{ROW} must be a whole number from 0 to {int(length) - 1}, but is {part:g}"
            faults[row] = ("unreadable", f"{path}: {words}")
        else:
            at[path, part] = seen[digest, part] = ids[clip] = row
        if row not in faults and source == "path":
            seconds[row] = length
    return faults, seconds


# ---------------------------------------------------------------- paths and texts


def _empty(column: pd.Series) -> np.ndarray:
    """Which cells are missing or blank: (rows,) bool."""
    if pd.api.types.is_numeric_dtype(column):
        return column.isna().to_numpy()
    return np.array(
        [
            not value.strip()
            if type(value) is str
            else not pd.api.types.is_list_like(value) and (bool(pd.isna(value)) or not str(value).strip())
            for value in column
        ],
        bool,
    )


def texts(column: pd.Series) -> list[str]:
    """Cells as text; "" where they are missing or blank."""
    return ["" if blank else str(value) for value, blank in zip(column, _empty(column), strict=True)]


def _plain(value: str) -> bool:
    """Whether a path is relative and pathlib would write it as it is."""
    return value[:1] not in ("/", ".") and value[-1:] != "/" and "//" not in value and "/." not in value


def _joined(value: str, root: Path) -> str:
    return f"{root}/{value}" if _plain(value) else str(root / value)


def _stem(value: str, root: Path) -> str:
    """The path without its suffix, relative to the table's folder, so that clip ids do not depend on where
    the project is.
    """
    if _plain(value):
        stem, _, suffix = value.rpartition(".")
        return stem if stem and suffix and "/" not in suffix else value
    path = Path(value)
    path = path.relative_to(root) if path.is_relative_to(root) else path
    return str(path.with_suffix("") if path.name else path)
