"""Tables of a model that takes several inputs, any of which a recording may lack: sound, pictures, texts.

Conventions: a row is a recording, and the cells are read as for a training (`audiomtl.data.cells`). Nothing
is required but one input per row: the column ``path`` holds sound, pictures or arrays, as the model's
settings say, and may be empty or absent. One file may stand in several rows. Paths are relative to the
table's folder.

Contents: `clips`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from audiomtl.data import catalog, files, identity, tables
from audiomtl.data.clip_table import clip_table, texts
from audiomtl.data.datasets import manifest


def clips(place: Path, data: manifest.Settings, *, sound: bool) -> pd.DataFrame:
    """The clip table, in the order of the rows.

    Parameters
    ----------
    data : as `inputs.clips_of_table` makes it. sound : whether ``path`` holds sound.

    Returns
    -------
    DataFrame with clip_id (the path without its suffix where the table has none), path (absolute, None where
    a row has none) if the table has it, and the other columns. Rows with a missing or unreadable file are
    left out, printed, and counted in ``attrs["left_out"]``.

    Raises
    ------
    UserError : a table that cannot be read; no row is good.
    """
    column = data.path_column
    named = {column, "clip_id", *([data.label] if data.label else []), *data.groups}
    table, remarks = tables.read(place, text=named)
    root = (place.parent / data.path_folder).absolute()
    given = texts(table[column]) if column in table.columns else [""] * len(table)
    paths = [identity.existing(str(root / value)) if value else "" for value in given]
    if "clip_id" not in table.columns:
        table["clip_id"] = _names(given)
    table.attrs[catalog.TABLE] = str(place.absolute())
    table.attrs[catalog.INDEX] = catalog.index_name(place.stem, place.absolute())
    table.attrs[catalog.REMARKS] = remarks

    def examined(rows: list[str]) -> files.Examined:
        """What is known of the files of some rows; every row counts as a file of its own."""
        some = [paths[_number(row)] for row in rows]
        known = _known(sorted({path for path in some if path}), sound, table.attrs[catalog.INDEX])
        lengths, faults = zip(*(known.get(path, (np.nan, "")) for path in some), strict=True)
        return files.Examined(np.ones(len(rows), bool), rows, list(lengths), list(faults), [""] * len(rows))

    numbers = [str(number) for number in range(len(table))]  # in the place of paths, which may be absent
    kept = clip_table(table, data, numbers, root, source="path", place=str(place), examine=examined)
    rows = [_number(row) for row in kept["path"]]
    kept["path"] = [paths[row] or None for row in rows]
    kept = kept.iloc[np.argsort(rows)].reset_index(drop=True)
    return kept if column in table.columns else kept.drop(columns="path")


def _number(row: str) -> int:
    return int(Path(row).name)


def _names(given: Sequence[str]) -> list[str]:
    """What recordings are called: their paths without suffix, with the row where that is no name of one."""
    stems = [str(Path(value).with_suffix("")) if value else "" for value in given]
    count = Counter(stems)
    return [
        f"row {row}" if not stem else stem if count[stem] == 1 else f"{stem} (row {row})"
        for row, stem in enumerate(stems, start=1)
    ]


def _known(paths: list[str], sound: bool, index: str) -> dict[str, tuple[float, str]]:
    """Seconds and fault of each file."""
    if not sound:
        return {path: (np.nan, "" if Path(path).is_file() else f"{path}: no such file") for path in paths}
    found = manifest.examined(paths, "path", index)
    return {
        path: (seconds, fault if exists else f"{path}: no such file")
        for path, exists, seconds, fault in zip(
            paths, found.exists.tolist(), found.lengths, found.faults, strict=True
        )
    }
