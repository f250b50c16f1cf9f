"""A table of one's own: CSV or Parquet, a row per clip.

Columns: ``path`` of a recording (or ``array_path``, features (frames, bands), or ``embedding_path``, vectors (windows, size), both
``.npy``), relative to the table's folder; the label and the groups that the settings name; if there is no ``clip_id`` the path without
its suffix is one. ``fold`` and all other columns are kept and come back in the tables of predictions.

Every row is looked at before anything is trained, and all that is wrong is said at once.

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
    UserError : it cannot be read, lacks a column, or has bad rows: missing, unreadable or doubled files, an empty label or group, two
        files with one id.
    """
    place = Path(data.table)
    if not place.is_file():
        raise MissingData(f'data.table = "{data.table}": no such file in {Path.cwd()}')
    table = _read(place)
    columns = list(table.columns)
    source = next((name for name in reversed(SOURCES) if name in columns), "")
    if not source:
        raise UserError(f"{place}: needs a column {', '.join(SOURCES[:2])} or {SOURCES[2]}, but has {', '.join(map(str, columns))}")
    for setting, column in [("label", data.label), *(("groups", group) for group in data.groups)]:
        if column not in columns:
            raise UserError(f'{place}: data.{setting} = "{column}": no such column{nearest(column, columns)}; it has {", ".join(columns)}')
    table = table.reset_index(drop=True)
    given = table[source].astype("string")
    paths = [str((place.parent / str(value)).absolute()) if not pd.isna(value) else "" for value in given]
    table["path"] = paths
    if "clip_id" not in columns:
        table["clip_id"] = [
            str(Path(str(value)).with_suffix("")) if not pd.isna(value) else f"row {row}" for row, value in enumerate(given)
        ]
    table["clip_id"] = table["clip_id"].astype(str)
    faults, seconds = _faults(table, data, source)
    table["seconds"] = seconds
    table = _without_faults(table, faults, place, data.on_bad)
    table[data.label] = table[data.label].astype(str)
    return table.sort_values("clip_id", ignore_index=True)


def _read(place: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(place) if place.suffix == ".parquet" else pd.read_csv(place)
    except Exception as error:  # pandas and pyarrow each raise their own
        raise UserError(f"{place}: cannot be read as CSV or Parquet ({' '.join(str(error).split())[:120]})") from None


def _faults(table: pd.DataFrame, data: Manifest, source: str) -> tuple[dict[int, tuple[str, str]], list[float]]:
    """Row -> (kind of fault, its words), the first of each row; and the seconds of every row."""
    faults: dict[int, tuple[str, str]] = {}
    seconds: list[float] = []
    at, seen = dict[str, int](), dict[str, int]()
    ids: dict[str, int] = {}
    for row, (clip, path) in enumerate(zip(table["clip_id"], table["path"], strict=True)):
        length = float("nan")
        empty = [column for column in (data.label, *data.groups) if pd.isna(table[column][row]) or table[column][row] == ""]
        if not path:
            faults[row] = ("missing", "no file is named")
        elif not Path(path).is_file():
            faults[row] = ("missing", f"{path}: no such file")
        elif path in at:
            faults[row] = ("doubled", f"{path} stands in row {at[path] + 1} already")
        elif (digest := hashlib.sha256(Path(path).read_bytes()).hexdigest()) in seen:
            faults[row] = ("doubled", f"{path} has the bytes of row {seen[digest] + 1}")
        elif clip in ids:
            faults[row] = ("doubled", f"clip_id {clip} is another file's, of row {ids[clip] + 1}")
        elif empty:
            faults[row] = ("empty", f"{clip}: no {empty[0]}")
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
        import soundfile

        audio.load(path, sample_rate=None)  # decoded whole: a header alone says nothing of a file that was cut off
        return float(soundfile.info(path).duration)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as .npy ({error})") from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.number):
        raise UserError(
            f"{path}: must hold one array (rows, columns) of numbers, but holds {getattr(array, 'shape', type(array).__name__)}"
        )
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
