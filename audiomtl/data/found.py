"""What a table or folder of recordings contains, found before any experiment is written: for `audiomtl new`.

Contents: `describe`, `Found`, `Column`, `KINDS`; `tables_near`.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, cells, files, tables
from audiomtl.data.clip_table import ROW, SOURCES
from audiomtl.data.datasets import folder as folders
from audiomtl.data.datasets import manifest
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.validation import first_error, nearest

# kinds of columns; a column has one of them
KINDS = (
    "id",  # clip_id
    "recording",  # path of a recording
    "array",  # path of an .npy or .npz file: array_path, embedding_path
    "fold",  # fold names
    "split",  # train, validation, test
    "group",  # speaker, song ...: must not appear in more than one split
    "class",  # one class per clip
    "labels",  # a list of classes per clip
    "phones",  # a list of symbols per clip
    "words",  # a list of words per clip
    "text",  # a transcript
    "notes",  # (onset, offset, MIDI pitch)
    "events",  # (onset, offset, class)
    "passages",  # (onset, offset) in which the clip's class is heard
    "times",  # starts, ends, word_starts, word_ends: seconds
    "number",  # a number per clip
    "other",
)


@dataclass(frozen=True)
class Column:
    """One column of a clip table."""

    name: str
    kind: str  # of `KINDS`
    filled: int  # clips with a value
    values: int  # different values; of lists, different items
    timed: bool = False  # phones and words: whether starts and ends are there
    counts: dict[str, int] = field(default_factory=dict)  # clips per class; of class and labels only


@dataclass(frozen=True)
class Found:
    """What `describe` found."""

    data: dict[str, Any]  # the settings of ``[data]``, without label and groups
    table: pd.DataFrame  # the clip table, as training would read it, sorted by clip_id
    columns: tuple[Column, ...]  # in the order of the table
    seconds: tuple[float, ...]  # length of each clip; NaN for arrays
    rates: tuple[int, ...]  # sample rate of each clip in Hz; 0 for arrays
    source: str  # "path", "array_path" or "embedding_path"
    labels: tuple[str, ...]  # columns of kind class or labels, the best candidate for data.label first
    groups: tuple[str, ...]  # columns for data.groups, the usual ones first
    fold: str = ""  # column of folds, if there is one
    split: str = ""  # column of train, validation and test, if there is one
    left_out: dict[str, int] = field(default_factory=dict)  # clips that were left out, by reason
    assumptions: tuple[str, ...] = ()  # one line each: to be printed, and written into the file as comments

    def of_kind(self, *kinds: str) -> list[Column]:
        """The columns of some kinds, in the order of the table."""
        return [column for column in self.columns if column.kind in kinds]


# names that people give to columns, the usual ones first
PATHS = ("path", "array_path", "embedding_path", "file_name", "filename", "filepath", "file", "audio", "wav")
LABELS = (
    *("label", "labels", "class", "category", "genre", "emotion", "event", "species", "instrument", "tags"),
    *("tag", "target", "command", "keyword", "style", "language", "intent"),
)
GROUPS = (
    *("speaker", "singer", "artist", "performer", "song", "album", "composer", "piece", "sentence", "source"),
    *("src_file", "recording", "session", "subject", "patient", "station", "group"),
)
FOLDS = ("fold", "folds")
SPLITS = ("split", "side", "subset", "partition")
TEXTS = ("text", "transcript", "transcription", "lyrics", "utterance")
KIND_OF_CELLS: Mapping[str, str] = {
    "symbols": "phones",
    "words": "words",
    "times": "times",
    "notes": "notes",
    "passages": "passages",
    "events": "events",
    "labels": "labels",
}
MOST_CLASSES = 0.5  # different values per clip of a column that is taken for classes without its name
LOOKED_AT = 100  # rows whose paths are looked for in other folders; tables that may list recordings
TABLES = (".csv", ".tsv", ".parquet")
FEW = 3  # so many values are classes, however few the clips


def describe(where: str | Path, *, path_column: str = "", **settings: Any) -> Found:
    """What a table or folder contains.

    Parameters
    ----------
    where : a table (CSV, TSV, semicolons, Parquet) or a folder of recordings; relative to the current
        directory.
    path_column : column of the paths in a table; "" is ``path``, ``array_path``, ``embedding_path``, or the
        only other column whose name or whose cells say so.
    settings : further settings of ``[data]`` that are already decided, such as ``tier = "phones"``; label and
        groups are checked where they are given. ``on_bad = "report"`` keeps doubled recordings, and puts what
        is wrong with other rows into ``attrs["bad"]`` of the table.

    Returns
    -------
    Found. ``Found.data`` has ``dataset`` ("manifest" or "folder"), ``table`` or ``folder``, and every setting
    of it that is not at its default; ``label`` and ``groups`` are to be added.

    Raises
    ------
    MissingData : no such file or folder.
    UserError : it cannot be read, contains no recording, or has bad rows (with ``on_bad = "skip"`` among the
        settings, these are left out).
    """
    place, assumptions = Path(where), list[str]()
    if not place.exists():
        raise MissingData(f"{where}: no such file or folder{files.near(place)}")
    if place.is_dir():
        known = {"dataset": "folder", "folder": place.as_posix()}
        if path_column:
            raise UserError(f"{where}: is a folder, which has no column {path_column} of paths; leave it out")
    else:
        known = {"dataset": "manifest", "table": place.as_posix()}
        column = path_column or _path_column(place, assumptions)
        known |= {"path_column": column} if column not in SOURCES or path_column else {}
        if "path_folder" not in settings and (beside := _path_folder(place, column)):
            known["path_folder"] = beside
            assumptions.append(f"the paths begin in the folder {beside}")
    values = known | {"on_bad": "error"} | settings
    module = folders if place.is_dir() else manifest
    data = _validated(module.Settings, {"groups": [], **values})
    table = catalog.clips(data)
    if module is manifest and (kinds := _lists(table, data)):
        values["cells"] = dict(values.get("cells", {})) | kinds
        assumptions += [f"column {name} has lists of {kind}" for name, kind in kinds.items()]
        table = catalog.clips(_validated(module.Settings, {"groups": [], **values}))
    assumptions[:0] = table.attrs.get(catalog.REMARKS, ())
    kept = {name: value for name, value in values.items() if name not in ("label", "groups")}
    return _found(table, kept, assumptions)


def tables_near(folder: Path) -> list[Path]:
    """Tables in a folder of recordings, or else beside it, that have a column of paths; sorted."""

    def lists(path: Path) -> bool:
        try:
            return path.is_file() and bool(_path_column(path, []))
        except UserError:
            return False

    above = folder.absolute().parent
    for found in (folder.rglob("*"), [*above.glob("*"), *above.glob("*/*")]):
        some = sorted(path for path in found if path.suffix.lower() in TABLES)
        if named := [path for path in some[:LOOKED_AT] if lists(path)]:
            return [Path(os.path.relpath(path)) for path in named]
    return []


def _validated(Settings: Any, values: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    if values["on_bad"] == "report":  # no setting: of `audiomtl check --deep` alone
        return _validated(Settings, values | {"on_bad": "skip"}).model_copy(update={"on_bad": "report"})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UserError(f"data.{first_error(error, Settings)}") from None


def _path_column(place: Path, assumptions: list[str]) -> str:
    """The column of paths of a table."""
    table = tables.read(place, text=PATHS).table
    columns = list(map(str, table.columns))
    usual = [name for name in SOURCES if name in columns]
    if usual:
        return usual[-1]
    by_name = [column for column in columns if column.lower() in PATHS]
    by_cells = [column for column in columns if _are_paths(table[column])]
    candidates = by_cells if len(by_cells) == 1 else [name for name in by_name if name in by_cells] or by_name
    if len(candidates) != 1:
        raise UserError(
            f"{place}: which column has the paths of the recordings cannot be told{nearest('path', columns)};"
            f" name it (--path COLUMN): it has {', '.join(columns)}"
        )
    assumptions.append(f"column {candidates[0]} has the paths of the recordings")
    return candidates[0]


def _path_folder(place: Path, column: str) -> str:
    """Folder in which the paths of a table begin, relative to that of the table; "" if it is that folder, or
    not found.
    """
    table = tables.read(place, text=[column]).table
    if column not in table.columns:
        return ""
    names = [name for name in table[column].tolist() if isinstance(name, str) and name.strip()]
    here = place.parent.absolute()
    near = [
        path for above in (here, here.parent) for path in (above, *sorted(above.iterdir())) if path.is_dir()
    ]
    found = (path for path in near if any((path / name.strip()).is_file() for name in names[:LOOKED_AT]))
    first = next(found, here)
    return "" if first == here else Path(os.path.relpath(first, here)).as_posix()


def _are_paths(column: pd.Series) -> bool:
    values = [value for value in column.tolist() if isinstance(value, str)]
    return bool(values) and all(tables.SOUNDS.search(value.strip()) for value in values)


def _lists(table: pd.DataFrame, data: Any) -> dict[str, str]:
    """Kinds of columns whose cells are lists, or text that begins as one, but whose names do not say of
    what.
    """
    found = {}
    for column in map(str, table.columns):
        values = [
            value for value in table[column].tolist() if isinstance(value, str | list | tuple | np.ndarray)
        ]
        known = column in data.cells or column in cells.DEFAULTS or column == data.label
        if (
            known
            or not values
            or any(isinstance(value, str) and value.lstrip()[:1] != "[" for value in values)
        ):
            continue
        for kind in ("numbers", "events", "labels"):
            if not cells.column(values, kind, named=True)[1]:
                found[column] = kind
                break
    return found


def _found(table: pd.DataFrame, data: dict[str, Any], assumptions: list[str]) -> Found:
    length = table.attrs.get(catalog.SECONDS, "seconds")
    own = [column for column in map(str, table.columns) if column not in (length, ROW)]
    columns = tuple(_column(table, name, data, assumptions) for name in own)
    source = next((name for name in reversed(SOURCES) if name in own), "path")
    source = "path" if data["dataset"] == "folder" or data.get("path_column", "path") != "path" else source
    named = {name.lower(): rank for rank, name in reversed(list(enumerate(LABELS)))}
    classes = [column for column in columns if column.kind in ("class", "labels") and column.values > 1]
    if any(column.name == "label" for column in classes):  # made of the lists of one class each
        classes = [column for column in classes if column.name != "labels"]
    classes.sort(key=lambda column: named.get(column.name.lower(), len(LABELS)))
    usual = {name: rank for rank, name in enumerate(GROUPS)}
    groups = sorted(
        (column.name for column in columns if column.kind == "group"), key=lambda name: usual[name.lower()]
    )
    rates = [0] * len(table)
    if source == "path":
        rates = [audio.info(path).sample_rate for path in table["path"]]
    return Found(
        data=data,
        table=table,
        columns=columns,
        seconds=tuple(float(value) for value in catalog.seconds(table)),
        rates=tuple(rates),
        source=source,
        labels=tuple(column.name for column in classes),
        groups=tuple(groups),
        fold=next((column.name for column in columns if column.kind == "fold"), ""),
        split=next((column.name for column in columns if column.kind == "split"), ""),
        left_out=dict(table.attrs.get("left_out", {})),
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def _column(table: pd.DataFrame, name: str, data: dict[str, Any], assumptions: list[str]) -> Column:
    values = [value for value in table[name].tolist() if not _missing(value)]
    lists = [value for value in values if isinstance(value, list | tuple | np.ndarray)]
    items: Sequence[Any] = [item for value in lists for item in value] if lists else values
    distinct = {item if isinstance(item, str | int | float | bool) else str(item) for item in items}
    kind = _kind(table, name, values, len(distinct), data, assumptions)
    counts: dict[str, int] = {}
    if kind == "class":
        counts = dict(sorted(Counter(map(str, values)).items()))
    elif kind == "labels":
        counts = dict(sorted(Counter(label for value in values for label in set(value)).items()))
    times = cells.TIMED.get(name, ())
    timed = bool(times) and all(column in table.columns for column in times)
    return Column(name, kind, len(values), len(distinct), timed, counts)


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _kind(
    table: pd.DataFrame,
    name: str,
    values: Sequence[Any],
    distinct: int,
    data: dict[str, Any],
    assumptions: list[str],
) -> str:
    lower = name.lower()
    typed = data.get("cells", {}).get(name) or cells.DEFAULTS.get(name, "")
    if name == "clip_id":
        return "id"
    if name in SOURCES:
        return "recording" if name == "path" else "array"
    if typed and values and isinstance(values[0], list | tuple):
        names = all(isinstance(item, str) for value in values for item in value)
        return (
            "other"
            if typed in ("symbols", "words", "labels") and not names
            else KIND_OF_CELLS.get(typed, "other")
        )
    if name == data.get("path_column") or not values:
        return "other"
    if lower in FOLDS and 3 <= distinct <= max(len(table) // 2, FEW):
        return "fold"
    if lower in SPLITS and {str(value) for value in values} <= set(folders.SIDES.values()):
        if distinct == len({*folders.SIDES.values()}):
            return "split"
        lacking = sorted({*folders.SIDES.values()} - {str(value) for value in values})
        assumptions.append(f"column {name} is not used for the split: it has no {' and no '.join(lacking)}")
        return "other"
    text = isinstance(values[0], str)
    if lower in GROUPS:
        if distinct > 1:
            return "group"
        assumptions.append(f"column {name} is not a group: every clip has {values[0]}")
        return "other"
    if lower in TEXTS and text:
        return "text"
    if lower in LABELS and len(values) and not isinstance(values[0], float) and distinct < len(values):
        return "class"
    if isinstance(values[0], bool):
        return "class"
    if isinstance(values[0], int | float):
        return "number"
    if text and 1 < distinct <= max(len(values) * MOST_CLASSES, FEW) and distinct < len(values):
        return "class"
    return "other"
