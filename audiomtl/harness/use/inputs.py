"""What a model is asked about: files, folders of recordings, tables, arrays.

Contents: `Asked`, `asked`, `recording`, `remarks`, `columns_of`, `clips_of_table`.
"""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, files, odd, tables
from audiomtl.data.answers import Recording
from audiomtl.data.datasets import manifest
from audiomtl.errors import UserError
from audiomtl.harness.use import several
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
MEANINGLESS = ("silence", "constant")  # kinds of `odd`, whose recordings hold nothing that could be answered
SUSPECT = ("offset", "antiphase", "silent_channel", "quiet", "mostly_silence", "short")


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
    UserError : a folder without recordings; no such folder or table; a table without a column that the model
        reads; a file where the model needs a table.
    """
    found, lost = list[Asked](), 0
    needed = loaded.use.columns(loaded.settings)
    for source in map(Path, sources):
        if needed and not loaded.sample_rate and source.suffix.lower() not in TABLES:
            raise UserError(
                f"{source}: the model reads no sound files; give a table (CSV, TSV, Parquet) with the columns"
                f" {', '.join(needed)}"
            )
        if source.is_dir():
            paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
            if not paths:
                raise UserError(f"{source}: no recordings in this folder; they end in {', '.join(ENDINGS)}")
            found += [Asked(str(path), path) for path in paths]
        elif source.suffix.lower() in TABLES:
            if not source.is_file():
                raise UserError(f"{source}: no such table{files.near(source)}")
            rows, left_out = _rows(source, loaded)
            found, lost = found + rows, lost + left_out
        elif source.suffix.lower() not in ENDINGS and not source.exists():
            raise UserError(f"{source}: no such file or folder{files.near(source)}")
        else:
            found.append(Asked(str(source), source))
    return found, lost


def _rows(place: Path, loaded: Loaded) -> tuple[list[Asked], int]:
    """The rows of a table."""
    with contextlib.redirect_stdout(sys.stderr):  # answers go to stdout, but not what is left out
        table = clips_of_table(place, loaded)
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
        Asked(
            str(row["clip_id"]),
            Path(row["path"]) if loaded.sample_rate and row.get("path") else None,
            _named(row),
        )
        for row in rows
    ], left_out


def columns_of(place: Path) -> list[str]:
    """Names of the columns of a table."""
    return list(map(str, tables.read(place).table.columns))


def clips_of_table(
    place: Path, loaded: Loaded, *, labelled: bool = False, groups: Sequence[str] = ()
) -> pd.DataFrame:
    """The clip table of a table of recordings, without the rows that cannot be read.

    Parameters
    ----------
    labelled : whether the label is read, which must be there then. groups : columns of groups.
    """
    own, columns = loaded.settings.data, columns_of(place)
    shared = ("label", "labels", "label_separator", "label_columns", "labels_left_out", "cells")
    given = {name: getattr(own, name) for name in shared if labelled and hasattr(own, name)}
    if (column := getattr(own, "path_column", "path")) in columns:
        given["path_column"] = column
    rest = {"dataset": "manifest", "table": str(place), "on_bad": "skip", "on_variants": "keep"}
    data = manifest.Settings.model_validate({"label": "", **given, **rest, "groups": list(groups)})
    if getattr(loaded.use, "LACKING", False) and not {"array_path", "embedding_path"} & {*columns}:
        return several.clips(place, data, sound=bool(loaded.sample_rate))
    return catalog.clips(data)


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


def remarks(one: Asked | Recording, rate: int) -> tuple[str, ...]:
    """What is wrong with the sound itself, whatever the model says of it: digital silence, and the like."""
    if not rate:
        return ()
    if isinstance(one, Recording):
        found = odd.of_waveform(one.y, rate) if len(one.y) else ()
    else:
        found = odd.of_file(str(one.path)) if one.path else ()  # again, for its channels
    return tuple(
        f"{each.text}{'; the answer means nothing' if each.kind in MEANINGLESS else ''}"
        for each in found
        if each.kind in MEANINGLESS + SUSPECT
    )
