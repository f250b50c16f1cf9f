"""A user's table of clips: CSV or Parquet, one row per clip.

Columns: ``path`` of a recording (or ``array_path``, features (frames, bands), or ``embedding_path``, vectors
(windows, size), both ``.npy``), relative to the table's folder; the label and the groups that the settings
name; if there is no ``clip_id`` the path without its suffix is one. ``fold`` and all other columns are kept
and come back in the tables of predictions. In a CSV an empty cell is a missing value and no word is (a class
may be called "None" or "NA"); ids and classes are text ("007" stays).

With a column ``array_row``, ``array_path`` names an ``.npz`` (or ``.npy``) whose rows are clips: the clip of
row r, from 0, is row r of every array in it. One file may so hold many clips, or each clip has a file of its
own with arrays of one row. Families that take several inputs load it with `arrays`; it is the table, not the
order in the file, that says which clips are train, validation and test.

Every row is looked at before anything is trained, and all that is wrong is said at once. Recordings are
decoded at both ends only; what is wrong inside one is refused when its features are made. What was found is
kept in an index (`audiomtl.data.files`): every training reads its table anew, but only files that changed.

Contents: `clips`, `arrays`.
"""

import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import soundfile
from pydantic import Field

from audiomtl.data import audio, catalog, files, tables
from audiomtl.data.cells import Kind
from audiomtl.data.clip_table import ROW, SOURCES, clip_table, texts
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.tags import Tagged
from audiomtl.settings.validation import nearest


class Settings(Tagged):
    """``[data]`` of the table."""

    table: str = Field(
        description=(
            "Path of the table: CSV (commas, semicolons or tabs) or Parquet; paths in it are relative to its"
            " folder."
        )
    )
    on_bad: Literal["error", "skip"] = Field(
        description=(
            "What to do about missing, unreadable and duplicate files: stop, or leave their rows out and"
            " count them."
        )
    )
    path_column: str = Field(
        "path",
        description=(
            'Column of the paths of recordings. Default "path"; if there is no such column, array_path or'
            " embedding_path."
        ),
    )
    path_folder: str = Field(
        "",
        description=(
            "Folder in which the paths begin, relative to the folder of the table;"
            ' "" is that folder. Default "".'
        ),
    )
    cells: dict[str, Kind] = Field(
        {},
        description=(
            "Kinds of columns that are not known by their names (phones, starts, notes ...):"
            " symbols, words, times, notes, passages, events, labels, numbers or file. Default {}."
        ),
    )
    on_variants: Literal["error", "keep"] = Field(
        "error",
        description=(
            'What to do about classes and groups that are probably one, such as "Music" and "music", or'
            ' several in one cell, such as "a|b": stop, or keep them as they are. Default "error".'
        ),
    )


# of a recording's beginning and end: a header alone says nothing of a file that was cut off
DECODED_SECONDS = 0.5
DECODER = 1  # raise it when another recording or array is refused, or another length read


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``table`` is relative to the current directory (the project); ``on_bad`` says what becomes of rows
        with a fault.
    folder : not used: a table says itself where its files are.

    Returns
    -------
    DataFrame sorted by ``clip_id``: path (absolute), seconds (NaN for arrays; under another name where the
    table has a column ``seconds``, see `catalog.seconds`), the table's other columns. Ids, classes and groups
    are text (`audiomtl.data.identity`), lists are typed (`audiomtl.data.cells`).
    With ``on_bad = "skip"`` rows with a fault are left out, said in a line, and counted by reason in
    ``attrs["left_out"]``. ``attrs["remarks"]`` has what was assumed.

    Raises
    ------
    MissingData : no such table.
    UserError : it cannot be read, lacks a column, or has bad rows: missing, unreadable or doubled files, an
        empty label, group or id, two files with one id, a cell that is not of its kind; classes or groups
        that are probably one.
    """
    place = Path(data.table)
    if not place.is_file():
        raise MissingData(f'data.table = "{data.table}": no such file in {Path.cwd()}')
    given = (data.path_column, *SOURCES, "clip_id", *([data.label] if data.label else []), *data.groups)
    table, assumptions = tables.read(place, text=set(given))
    columns = list(map(str, table.columns))
    source = next((name for name in reversed(SOURCES) if name in columns), "")
    if data.path_column != "path":
        if data.path_column not in columns:
            raise UserError(
                f'{place}: data.path_column = "{data.path_column}": no such'
                f" column{nearest(data.path_column, columns)}; it has {', '.join(columns)}"
            )
        if "path" in columns:
            raise UserError(
                f'{place}: data.path_column = "{data.path_column}", but there is also a column path; rename'
                " it, because clips have their paths there"
            )
        source = "path"
    elif not source:
        raise UserError(
            f"{place}: needs a column {', '.join(SOURCES[:2])} or {SOURCES[2]}, but has {', '.join(columns)};"
            " data.path_column names another"
        )
    root = (place.parent / data.path_folder).absolute()
    if not root.is_dir():
        raise UserError(
            f'data.path_folder = "{data.path_folder}": no such folder in {place.parent.absolute()}'
        )
    paths = data.path_column if source == "path" else source
    table.attrs[catalog.TABLE] = str(place.absolute())
    table.attrs[catalog.INDEX] = catalog.index_name(place.stem, place.absolute())
    table.attrs[catalog.REMARKS] = assumptions
    shared = source == "array_path" and ROW in columns
    return clip_table(
        table,
        data,
        texts(table[paths]),
        root,
        source=source,
        place=str(place),
        examine=lambda some: examined(some, ROW if shared else source, table.attrs[catalog.INDEX]),
    )


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a file whose rows are clips: ``audio``, ``text``, ``mel``, ``score`` of one ``.npz``,
    say.

    Parameters
    ----------
    path : an ``.npz``, or an ``.npy`` of one array, which gets the file's stem as its name

    Returns
    -------
    dict of name -> array (clips, ...), numbers or bool, in the order of the file

    Raises
    ------
    UserError : no such file, no arrays in it, pickled objects (they may run anything when they are loaded, so
        they are not), values that are no finite numbers, arrays that differ in their first length.
    """
    place = Path(path)
    if not place.is_file():
        raise UserError(f"{place}: no such file")
    try:
        if zipfile.is_zipfile(place):
            with np.load(place, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        else:
            with place.open("rb") as plain:
                found = {place.stem: np.lib.format.read_array(plain, allow_pickle=False)}
    except Exception as error:  # numpy lets through what the parser of headers raises
        if "allow_pickle" in str(error):
            raise UserError(
                f"{place}: contains pickled objects, which are not loaded; if you trust it, convert a dict of"
                " arrays once: "
                f'np.savez("{place.with_suffix(".npz").name}", **np.load("{place.name}",'
                " allow_pickle=True).item())"
            ) from None
        raise UserError(
            f"{place}: cannot be read as .npz or .npy ({' '.join(str(error).split())[:120]})"
        ) from None
    for name, array in found.items():
        if array.ndim < 1 or not array.size or array.dtype.kind not in "iufb":
            raise UserError(
                f"{place}: {name} must contain numbers, one row per clip, but has {array.dtype} of shape"
                f" {array.shape}"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{place}: {name} has values that are not finite")
    if len({len(array) for array in found.values()}) != 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in found.items()) or "no array"
        raise UserError(f"{place}: all arrays must have one row per clip, but have: {lengths}")
    return found


def examined(paths: list[str], source: str, index: str) -> files.Examined:
    """What is known of the files; lengths are seconds of recordings, or rows of ``array_row`` files."""
    version = f"{DECODER}.{audio.LENGTHS} {soundfile.__version__} {soundfile.__libsndfile_version__}"
    decoder = files.Decoder(
        f"{source} {version} {np.__version__}",
        lambda path: float(_rows(path)) if source == ROW else _seconds(path, source),
    )
    return files.examine(paths, decoder=decoder, place=catalog.index_place(index))


def _rows(path: str) -> int:
    return len(next(iter(arrays(path).values())))


def _seconds(path: str, source: str) -> float:
    if source == "path":
        seconds = audio.info(path).seconds
        audio.load(path, sample_rate=None, duration_seconds=DECODED_SECONDS)
        # OGG has no length in its header to fall short of
        if seconds > DECODED_SECONDS and not path.lower().endswith((".ogg", ".oga")):
            audio.load(path, sample_rate=None, offset_seconds=seconds - DECODED_SECONDS)
        return seconds
    try:
        # not `np.load`, which takes what is no array for a pickle, and advises to trust it
        with open(path, "rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # numpy lets through what the parser of headers raises
        raise UserError(f"{path}: cannot be read as .npy ({' '.join(str(error).split())[:120]})") from None
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iuf":
        raise UserError(
            f"{path}: must hold an array (rows, columns) of real numbers, but holds {array.dtype} of shape"
            f" {array.shape}"
        )
    if not np.isfinite(array).all():
        raise UserError(f"{path}: has values that are not finite")
    return float("nan")
