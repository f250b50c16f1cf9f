"""What a model is asked about: files, folders of recordings, tables, arrays.

Contents: `Asked`, `asked`, `recording`, `columns_of`, `table_data`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.data import audio, catalog, tables
from audiomtl.data.answers import Recording
from audiomtl.data.datasets import manifest
from audiomtl.errors import UserError
from audiomtl.harness.use.models import Loaded

ENDINGS = (
    ".wav",
    ".flac",
    ".ogg",
    ".oga",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".caf",
    ".w64",
    ".rf64",
    ".sph",
)
TABLES = (".csv", ".tsv", ".parquet", ".pq")


@dataclass(frozen=True)
class Asked:
    """One recording that the model is to answer, not read yet."""

    name: str
    path: Path | None  # of its sound
    columns: Mapping[str, Any] = field(default_factory=dict)


def asked(sources: Sequence[str | Path], loaded: Loaded) -> tuple[list[Asked], int]:
    """The recordings of files, folders (all audio files in them, sorted) and tables (one for each row).

    Returns
    -------
    the recordings, and how many rows of tables were left out because their files cannot be read

    Raises
    ------
    UserError : a folder without recordings; a table without a column that the model reads; no recording.
    """
    found, lost = list[Asked](), 0
    for source in map(Path, sources):
        if source.is_dir():
            paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
            if not paths:
                raise UserError(f"{source}: no recordings in this folder; they end in {', '.join(ENDINGS)}")
            found += [Asked(str(path), path) for path in paths]
        elif source.suffix.lower() in TABLES and source.is_file():
            rows, left_out = _rows(source, loaded)
            found, lost = found + rows, lost + left_out
        else:
            found.append(Asked(str(source), source))
    needed = loaded.use.columns(loaded.settings)
    if needed and not loaded.sample_rate and any(not one.columns for one in found):
        raise UserError(
            f"{loaded.place}: the model reads no sound, but {', '.join(needed)}; give a table with these"
            " columns"
        )
    return found, lost


def _rows(place: Path, loaded: Loaded) -> tuple[list[Asked], int]:
    """The rows of a table."""
    table = catalog.clips(table_data(place, loaded.settings.data))
    columns = list(map(str, table.columns))
    needed = loaded.use.columns(loaded.settings)
    if needed and not {*needed} & {*columns} and not (loaded.sample_rate and "path" in columns):
        raise UserError(
            f"{place}: has none of the columns {', '.join(needed)} that the model reads; it has"
            f" {', '.join(columns)}"
        )
    if loaded.sample_rate and {"array_path", "embedding_path"} & {*columns}:
        raise UserError(
            f"{place}: has stored arrays, but the model reads sound; give a table with a column path"
        )
    left_out = sum(table.attrs.get("left_out", {}).values())
    rows = table.to_dict("records")
    return [
        Asked(str(row["clip_id"]), Path(row["path"]) if loaded.sample_rate else None, _named(row))
        for row in rows
    ], left_out


def columns_of(place: Path) -> list[str]:
    """Names of the columns of a table."""
    return list(map(str, tables.read(place).table.columns))


def table_data(
    place: Path, own: Any, *, labelled: bool = False, groups: Sequence[str] = ()
) -> manifest.Settings:
    """``[data]`` of a table of recordings, whose rows that cannot be read are left out.

    Parameters
    ----------
    own : ``[data]`` of the model's experiment, which says what the columns are. labelled : whether the label
        is read, which must be there then. groups : columns of groups.
    """
    shared = ("label", "labels", "label_separator", "label_columns", "labels_left_out", "cells")
    given = {name: getattr(own, name) for name in shared if labelled and hasattr(own, name)}
    if (column := getattr(own, "path_column", "path")) in columns_of(place):
        given["path_column"] = column
    rest = {"dataset": "manifest", "table": str(place), "on_bad": "skip", "on_variants": "keep"}
    return manifest.Settings.model_validate({"label": "", **given, **rest, "groups": list(groups)})


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def recording(one: Asked, rate: int) -> Recording:
    """A recording, read at the model's rate.

    Raises
    ------
    UserError : it cannot be read as sound.
    """
    nothing = np.zeros(0, np.float32)
    y = audio.load(one.path, sample_rate=rate) if rate and one.path is not None else nothing
    return Recording(one.name, y, one.columns)
