"""Clip tables by name: a generated corpus (``corpora/``) or a published data set (``datasets/``), found by
its file's name.

Folders: ``AUDIOMTL_DATA`` (default ``data/``) holds published data, ``AUDIOMTL_CACHE`` (default ``cache/``)
what the project makes. Contents: `clips`, `module`, `published`, `seconds`, `fingerprint`, `signature`,
`cache_folder`, `data_folder`, `index_place`.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import files, odd, subset
from audiomtl.data.index import INDEX, cache_folder, index_place
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.datasets import dataset

# entries of ``attrs`` of a clip table
TABLE = "table"  # path of the file that a person wrote, if the table is one
FOLDER = "folder"  # path of the folder of recordings, if the table is read from one
REMARKS = "remarks"  # what was assumed when it was read, one line each
SECONDS = "seconds"  # name of the column of lengths, where it is not "seconds"
NUMBERS = (int, float, bool, type(None))  # cells in which no path can be


def data_folder() -> Path:
    """Folder of published data sets."""
    return Path(os.environ.get("AUDIOMTL_DATA", "data")).resolve()


def module(data: DataSet) -> ModuleType:
    """The module that generates or reads the data set named in the settings."""
    return dataset(data.dataset)


def index_name(name: str, place: Path) -> str:
    """Name of the index of a data set or table that is read from ``place``."""
    return f"{name[:60]}-{hashlib.sha256(str(place).encode()).hexdigest()[:12]}"


def clips(data: DataSet) -> pd.DataFrame:
    """The clip table that the settings name; a corpus is generated the first time.

    With ``data.on_odd`` every recording is decoded the first time, to find silent ones and others of that
    kind (`odd`).

    Raises
    ------
    UserError : with ``on_odd = "error"``, recordings are odd.
    MissingData : a published data set, or a part of it that ``data.subset`` names, is not on this machine.
    """
    found = module(data)
    folder = data_folder() if published(data) else cache_folder() / "corpora"
    name = index_name(data.dataset, folder)
    files.use(index_place(name))  # a data set may ask it while it makes the table
    table = found.clips(data, folder)
    table.attrs.setdefault(INDEX, name)
    table = subset.applied(table, data, folder)
    return odd.applied(table, data.on_odd)


def published(data: DataSet) -> bool:
    """Whether the clips are recordings that somebody has all of, or a part of, and no generated corpus."""
    found = module(data)
    return ".corpora." not in found.__name__ and not getattr(found, "GENERATED", False)


def seconds(table: pd.DataFrame) -> pd.Series:
    """Length of each clip in seconds; NaN where it is not known, such as for arrays and pictures.

    The column is called ``seconds``, unless a user's table has a column of that name for something else.
    """
    column = table.attrs.get(SECONDS, "seconds")
    if column not in table.columns:
        return pd.Series(np.nan, index=table.index)
    return table[column].astype(float)


def fingerprint(table: pd.DataFrame) -> str:
    """First 12 hexadecimal digits of a SHA-256 over every row, in which the bytes of a file stand for its
    path.

    So it holds for every file that a row names (a recording, its vocals, a picture, embeddings), and for the
    same data elsewhere. Files that have not changed since they were hashed are not read again.
    """
    ids = table["clip_id"]
    if not (ids.is_monotonic_increasing and ids.is_unique):
        table = table.sort_values("clip_id")
    columns = sorted(table.columns)
    cells = {column: _plain(table[column]) for column in columns}
    paths = sorted(set[str]().union(*map(_paths, cells.values())))
    place = index_place(table.attrs[INDEX]) if INDEX in table.attrs else None
    found = files.examine(paths, place=place)
    if fault := next(filter(None, found.faults), ""):
        raise UserError(fault)
    digests = {path: digest for path, digest in zip(paths, found.digests, strict=True) if digest}
    total = hashlib.sha256(json.dumps(columns, ensure_ascii=False).encode())
    rows = zip(*(_texts(cells[column], digests) for column in columns), strict=True)
    total.update("".join(f"[{', '.join(row)}]" for row in rows).encode())
    return total.hexdigest()[:12]


def signature(table: pd.DataFrame) -> str:
    """What tells cheaply whether data may have changed: a key of path, size, times and inode of every file.

    Of the files that the rows name and of the table's own file; for a data set or corpus, of all files in its
    folder, annotations included. No file is opened. Equal signatures mean unchanged data; where they differ,
    `fingerprint` of the table read anew decides, which reads only what changed. Take the signature before the
    fingerprint: then a change in between shows in the next signature.

    Parameters
    ----------
    table : as `clips` returns it.
    """
    paths = set[str]().union(*(_paths(_plain(table[column])) for column in table.columns))
    if TABLE in table.attrs:
        paths.add(table.attrs[TABLE])
    else:
        if FOLDER in table.attrs:
            paths.update(map(str, files.below(Path(table.attrs[FOLDER]))))
        for folder in {_root(parent) for parent in {os.path.dirname(path) for path in paths}} - {""}:
            paths.update(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    ordered = sorted(paths)
    total = hashlib.sha256("\0".join(ordered).encode(errors="surrogateescape"))
    total.update(np.ascontiguousarray(files.states(ordered), "<i8").tobytes())
    return total.hexdigest()[:16]


def _root(folder: str) -> str:
    """Folder of the data set or corpus that a folder is part of; empty for folders elsewhere."""
    for above in (cache_folder() / "corpora", data_folder()):
        if folder.startswith(f"{above}/"):
            return str(above / Path(folder).relative_to(above).parts[0])
    return ""


def _plain(column: pd.Series) -> list[Any]:
    """The cells of a column as Python has them."""
    return column.astype(object).tolist()


def _paths(values: Iterable[Any]) -> set[str]:
    """Absolute paths in cells, also in lists and dicts."""
    found = set()
    for value in values:
        kind = type(value)
        if kind is str:
            if value[:1] == "/":
                found.add(value)
        elif kind not in NUMBERS:
            value = value.tolist() if hasattr(value, "tolist") else value
            if isinstance(value, str | Path) and os.path.isabs(value):
                found.add(str(value))
            elif isinstance(value, list | tuple):
                found |= _paths(value)
            elif isinstance(value, dict):
                found |= _paths(value.values())
    return found


_string: Callable[[str], str] = json.encoder.encode_basestring  # as json.dumps with ensure_ascii=False


def _texts(values: list[Any], digests: dict[str, str]) -> list[str]:
    """Cells as JSON has them, one text each; of a path the digest of its file, or its name where there is no
    file.
    """
    return [
        _string(value)
        if type(value) is str and value[:1] != "/"
        else repr(value)  # as JSON has whole and finite numbers
        if type(value) is int or (type(value) is float and value - value == 0)
        else f'{{"file": "{digests[value]}"}}'
        if type(value) is str and value in digests
        else json.dumps(_content(value, digests), ensure_ascii=False)
        for value in values
    ]


def _content(value: Any, digests: dict[str, str]) -> Any:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [_content(item, digests) for item in value]
    if isinstance(value, dict):
        return {str(name): _content(item, digests) for name, item in value.items()}
    if isinstance(value, str | Path) and os.path.isabs(value):
        path = str(value)
        return {"file": digests[path]} if path in digests else os.path.basename(path)
    return str(value) if isinstance(value, Path) else value
