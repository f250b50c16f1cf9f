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
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import soundfile
from pydantic import Field

from audiomtl.data import audio, catalog, files
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.validation import nearest


class Settings(DataSet):
    """``[data]`` of the table."""

    table: str = Field(
        description="Path of the table, CSV or Parquet; paths in it are relative to its folder."
    )
    on_bad: Literal["error", "skip"] = Field(
        description=(
            "What to do about missing, unreadable and duplicate files: stop, or leave their rows out and"
            " count them."
        )
    )


SOURCES = ("path", "array_path", "embedding_path")
ROW = "array_row"
NAMED = 10  # how many faults a message names
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
    DataFrame sorted by ``clip_id``: path (absolute), seconds (NaN for arrays), the table's other columns.
    With ``on_bad = "skip"`` rows
        with a fault are left out, said in a line, and counted by reason in ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such table.
    UserError : it cannot be read, lacks a column, or has bad rows: missing, unreadable or doubled files, an
        empty label, group or id, two files with one id.
    """
    place = Path(data.table)
    if not place.is_file():
        raise MissingData(f'data.table = "{data.table}": no such file in {Path.cwd()}')
    table = _read(place, data.label)
    columns = list(map(str, table.columns))
    source = next((name for name in reversed(SOURCES) if name in columns), "")
    if not source:
        raise UserError(
            f"{place}: needs a column {', '.join(SOURCES[:2])} or {SOURCES[2]}, but has {', '.join(columns)}"
        )
    labels = [data.label] if data.label else []
    for setting, column in [
        *(("label", label) for label in labels),
        *(("groups", group) for group in data.groups),
    ]:
        if column not in columns:
            raise UserError(
                f'{place}: data.{setting} = "{column}": no such column{nearest(column, columns)}; it has'
                f" {', '.join(columns)}"
            )
    table = table.reset_index(drop=True)
    root = place.parent.absolute()
    given = _texts(table[source])
    table["path"] = [_joined(value, root) if value else "" for value in given]
    shared = source == "array_path" and ROW in columns
    if shared:
        table[ROW] = pd.to_numeric(table[ROW], errors="coerce")
    if "clip_id" not in columns:
        part = [f"/{value:g}" for value in table[ROW]] if shared else [""] * len(table)
        table["clip_id"] = [
            _stem(value, root) + part[row] if value else f"row {row + 1}" for row, value in enumerate(given)
        ]
    table["clip_id"] = _texts(table["clip_id"])
    table.attrs[catalog.TABLE] = str(place.absolute())
    table.attrs[catalog.INDEX] = catalog.index_name(place.stem, place.absolute())
    faults, seconds = _faults(table, data, ROW if shared else source)
    table["seconds"] = seconds
    table = _without_faults(table, faults, place, data.on_bad)
    if shared:
        table[ROW] = table[ROW].astype(int)  # a row that was left out may have made them floats
    for label in labels:
        table[label] = table[label].astype(str)
    return table.sort_values("clip_id", ignore_index=True)


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


def _read(place: Path, label: str) -> pd.DataFrame:
    text = dict.fromkeys((*SOURCES, "clip_id", *([label] if label else [])), str)
    try:
        if place.suffix == ".parquet":
            return pd.read_parquet(place)
        return pd.read_csv(place, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)  # type: ignore[arg-type]
    except Exception as error:  # pandas and pyarrow each raise their own
        raise UserError(
            f"{place}: cannot be read as CSV or Parquet ({' '.join(str(error).split())[:120]})"
        ) from None


def _empty(column: pd.Series) -> np.ndarray:
    """Which cells are missing or blank: (rows,) bool."""
    if pd.api.types.is_numeric_dtype(column):
        return column.isna().to_numpy()
    return np.array(
        [
            not value.strip() if type(value) is str else bool(pd.isna(value)) or not str(value).strip()
            for value in column
        ],
        bool,
    )


def _texts(column: pd.Series) -> list[str]:
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


def _faults(
    table: pd.DataFrame, data: Settings, source: str
) -> tuple[dict[int, tuple[str, str]], list[float]]:
    """Row -> (kind of error, message), the first of each row; and the seconds of every row."""
    faults: dict[int, tuple[str, str]] = {}
    seconds = [float("nan")] * len(table)
    at, seen = dict[tuple[str, object], int](), dict[tuple[str, object], int]()
    ids: dict[str, int] = {}
    paths = table["path"].tolist()
    needed = ["clip_id", *([data.label] if data.label else []), *data.groups]
    blanks = {column: _empty(table[column]) for column in needed}
    found = _examined(list(dict.fromkeys(path for path in paths if path)), source, table.attrs[catalog.INDEX])
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
            faults[row] = ("doubled", f"{path} is already in row {at[path, part] + 1}")
        elif (digest, part) in seen:
            faults[row] = ("doubled", f"{path} has the same content as row {seen[digest, part] + 1}")
        elif blank:
            faults[row] = ("empty", f"{clip or path}: no {blank}")
        elif clip in ids:
            faults[row] = ("doubled", f"clip_id {clip} is already used in row {ids[clip] + 1}")
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


def _examined(paths: list[str], source: str, index: str) -> files.Examined:
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


def _without_faults(
    table: pd.DataFrame, faults: dict[int, tuple[str, str]], place: Path, on_bad: str
) -> pd.DataFrame:
    if not faults:
        return table
    named = "; ".join(f"row {row + 1}: {words}" for row, (_, words) in list(faults.items())[:NAMED])
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    text = f"{place}: {len(faults)} of {len(table)} rows are bad: {named}{more}"
    if on_bad == "error" or len(faults) == len(table):
        raise UserError(f'{text}; fix them, or leave them out with data.on_bad = "skip"')
    print(f"left out: {text}", flush=True)
    kept = table.drop(index=list(faults))
    kept.attrs["left_out"] = dict(sorted(Counter(kind for kind, _ in faults.values()).items()))
    return kept
