"""A table of one's own: CSV or Parquet, a row per clip.

Columns: ``path`` of a recording (or ``array_path``, features (frames, bands), or ``embedding_path``, vectors (windows, size), both
``.npy``), relative to the table's folder; the label and the groups that the settings name; if there is no ``clip_id`` the path without
its suffix is one. ``fold`` and all other columns are kept and come back in the tables of predictions. In a CSV an empty cell is a missing
value and no word is (a class may be called "None" or "NA"); ids and classes are text ("007" stays).

Every row is looked at before anything is trained, and all that is wrong is said at once. Recordings are decoded at both ends only, since
every training reads its table anew; what is wrong inside one is refused when its features are made.

Contents: `clips`.
"""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from audiomtl.data import audio
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import Manifest
from audiomtl.settings.faults import nearest

SOURCES = ("path", "array_path", "embedding_path")
NAMED = 10  # how many faults a message names
DECODED_SECONDS = 0.5  # of a recording's beginning and end: a header alone says nothing of a file that was cut off


def clips(data: Manifest, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``table`` is relative to the current directory (the project); ``on_bad`` says what becomes of rows with a fault.
    folder : not used: a table says itself where its files are.

    Returns
    -------
    DataFrame sorted by ``clip_id``: path (absolute), seconds (NaN for arrays), the table's other columns. With ``on_bad = "skip"`` rows
        with a fault are left out, said in a line, and counted by reason in ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such table.
    UserError : it cannot be read, lacks a column, or has bad rows: missing, unreadable or doubled files, an empty label, group or id,
        two files with one id.
    """
    place = Path(data.table)
    if not place.is_file():
        raise MissingData(f'data.table = "{data.table}": no such file in {Path.cwd()}')
    table = _read(place, data.label)
    columns = list(map(str, table.columns))
    source = next((name for name in reversed(SOURCES) if name in columns), "")
    if not source:
        raise UserError(f"{place}: needs a column {', '.join(SOURCES[:2])} or {SOURCES[2]}, but has {', '.join(columns)}")
    for setting, column in [("label", data.label), *(("groups", group) for group in data.groups)]:
        if column not in columns:
            raise UserError(f'{place}: data.{setting} = "{column}": no such column{nearest(column, columns)}; it has {", ".join(columns)}')
    table = table.reset_index(drop=True)
    root = place.parent.absolute()
    given = ["" if _empty(value) else str(value) for value in table[source]]
    table["path"] = [str(root / value) if value else "" for value in given]
    if "clip_id" not in columns:
        table["clip_id"] = [_stem(value, root) if value else f"row {row + 1}" for row, value in enumerate(given)]
    table["clip_id"] = ["" if _empty(value) else str(value) for value in table["clip_id"]]
    faults, seconds = _faults(table, data, source)
    table["seconds"] = seconds
    table = _without_faults(table, faults, place, data.on_bad)
    table[data.label] = table[data.label].astype(str)
    return table.sort_values("clip_id", ignore_index=True)


def _read(place: Path, label: str) -> pd.DataFrame:
    text = dict.fromkeys((*SOURCES, "clip_id", label), str)
    try:
        if place.suffix == ".parquet":
            return pd.read_parquet(place)
        return pd.read_csv(place, dtype=text, keep_default_na=False, na_values=[""], low_memory=False)  # type: ignore[arg-type]
    except Exception as error:  # pandas and pyarrow each raise their own
        raise UserError(f"{place}: cannot be read as CSV or Parquet ({' '.join(str(error).split())[:120]})") from None


def _empty(value: object) -> bool:
    return bool(pd.isna(value)) or not str(value).strip()  # type: ignore[call-overload]


def _stem(value: str, root: Path) -> str:
    """The path without its suffix, from the table's folder on: the id of a clip says nothing of where a project lies."""
    path = Path(value)
    path = path.relative_to(root) if path.is_relative_to(root) else path
    return str(path.with_suffix("") if path.name else path)


def _faults(table: pd.DataFrame, data: Manifest, source: str) -> tuple[dict[int, tuple[str, str]], list[float]]:
    """Row -> (kind of fault, its words), the first of each row; and the seconds of every row."""
    faults: dict[int, tuple[str, str]] = {}
    seconds: list[float] = []
    at, seen = dict[str, int](), dict[str, int]()
    ids: dict[str, int] = {}
    for row, (clip, path) in enumerate(zip(table["clip_id"], table["path"], strict=True)):
        length = float("nan")
        empty = [column for column in ("clip_id", data.label, *data.groups) if _empty(table[column][row])]
        if not path:
            faults[row] = ("missing", "no file is named")
        elif not Path(path).is_file():
            faults[row] = ("missing", f"{path}: no such file")
        elif path in at:
            faults[row] = ("doubled", f"{path} stands in row {at[path] + 1} already")
        elif (digest := hashlib.sha256(Path(path).read_bytes()).hexdigest()) in seen:
            faults[row] = ("doubled", f"{path} has the bytes of row {seen[digest] + 1}")
        elif empty:
            faults[row] = ("empty", f"{clip or path}: no {empty[0]}")
        elif clip in ids:
            faults[row] = ("doubled", f"clip_id {clip} is another file's, of row {ids[clip] + 1}")
        else:
            try:
                length = _seconds(path, source)
                at[path], seen[digest], ids[clip] = row, row, row
            except UserError as error:
                faults[row] = ("unreadable", str(error))
        seconds.append(length)
    return faults, seconds


def _seconds(path: str, source: str) -> float:
    if source == "path":
        seconds = audio.info(path).seconds
        audio.load(path, sample_rate=None, duration_seconds=DECODED_SECONDS)
        if seconds > DECODED_SECONDS and not path.lower().endswith((".ogg", ".oga")):  # OGG has no length in its header to fall short of
            audio.load(path, sample_rate=None, offset_seconds=seconds - DECODED_SECONDS)
        return seconds
    try:
        with open(path, "rb") as file:  # not `np.load`, which takes what is no array for a pickle, and advises to trust it
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # numpy lets through what the parser of headers raises
        raise UserError(f"{path}: cannot be read as .npy ({' '.join(str(error).split())[:120]})") from None
    if array.ndim != 2 or not array.size or array.dtype.kind not in "iuf":
        raise UserError(f"{path}: must hold an array (rows, columns) of real numbers, but holds {array.dtype} of shape {array.shape}")
    if not np.isfinite(array).all():
        raise UserError(f"{path}: has values that are not finite")
    return float("nan")


def _without_faults(table: pd.DataFrame, faults: dict[int, tuple[str, str]], place: Path, on_bad: str) -> pd.DataFrame:
    if not faults:
        return table
    named = "; ".join(f"row {row + 1}: {words}" for row, (_, words) in list(faults.items())[:NAMED])
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    text = f"{place}: {len(faults)} of {len(table)} rows are bad: {named}{more}"
    if on_bad == "error" or len(faults) == len(table):
        raise UserError(f'{text}; mend them, or leave them out with data.on_bad = "skip"')
    print(f"left out: {text}", flush=True)
    kept = table.drop(index=list(faults))
    kept.attrs["left_out"] = dict(sorted(Counter(kind for kind, _ in faults.values()).items()))
    return kept
