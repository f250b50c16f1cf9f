"""Recordings with their texts, for the ``align`` command: a folder, or a table.

In a folder the text of ``a.wav`` stands beside it in ``a.lab`` or ``a.txt`` (of both the ``.lab``), in upper
or lower case. A table (CSV, TSV, Parquet) has the columns ``path``, relative to its folder, and ``text``.

Contents: `Task`, `tasks`, `check_source`, `read`.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from audiomtl.data import files, tables
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest

SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
TEXTS = (".lab", ".txt")
TABLES = (".csv", ".tsv", ".parquet")
SAMPLES = re.compile(r"^\d+\s+\d+\s+(?=[^\W\d])")  # TIMIT's texts begin with first and last sample
# start and end, in seconds, samples or 100 ns, then a label: times, no transcript
TIMED = re.compile(r"^\s*\d+(?:\.\d+)?\s+\d+(?:\.\d+)?(?:\s+-?\d+)?\s+\S+\s*$")


@dataclass(frozen=True)
class Task:
    """One recording and what is said in it."""

    path: Path
    name: str  # of its alignment, without ending: where it lies in the folder
    text: str
    place: str  # where the text stands


def tasks(source: Path) -> list[Task]:
    """The recordings of a folder, which is searched whole, or of a table, sorted by path.

    Raises
    ------
    UserError : no such folder or table; no recording in it has a text, a text that cannot be read; two
        recordings of one name; a table without the columns, or with a row without path or text.
    """
    check_source(source)
    found = _beside(source) if source.is_dir() else _listed(source)
    names = [one.name for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"{source}: two recordings are called {twice[0]}, so their alignments would overwrite each other;"
            " rename one of them"
        )
    return sorted(found, key=lambda one: str(one.path))


def check_source(source: Path) -> None:
    """Refuse what is neither a folder nor a table, such as a recording whose text was forgotten."""
    if not source.exists():
        raise UserError(f"{source}: no such file or folder{files.near(source)}")
    if source.is_file() and source.suffix.lower() not in TABLES:
        raise UserError(
            f"{source}: TEXT is missing: give a text file, or the text in quotes, after the recording;"
            f" without TEXT, AUDIO must be a folder of recordings or a table ({', '.join(TABLES)})"
        )


def read(path: Path) -> str:
    """The text in a file.

    Raises
    ------
    UserError : it cannot be read, or is no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); save it as UTF-8") from None


def _beside(folder: Path) -> list[Task]:
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    texts = {path.with_suffix(path.suffix.lower()): path for path in every}
    sounds = [path for path in every if path.suffix.lower() in SOUNDS]
    if not sounds:
        raise UserError(f"{folder}: no recordings in this folder; they end in {', '.join(SOUNDS)}")
    found, without = list[Task](), list[Path]()
    for path in sounds:
        beside = next((texts[one] for end in TEXTS if (one := path.with_suffix(end)) in texts), None)
        if beside is None:
            without.append(path)
            continue
        name = str(path.relative_to(folder).with_suffix(""))
        found.append(Task(path, name, _transcript(beside), str(beside)))
    if not found:
        raise UserError(
            f"{folder}: none of its {len(sounds)} recordings has a text: {sounds[0].stem}.lab or"
            f" {sounds[0].stem}.txt belongs beside {sounds[0].name}"
        )
    if without:
        print(
            f"{folder}: {len(without)} recordings without a text are left out, such as {without[0]}",
            flush=True,
        )
    return found


def _transcript(path: Path) -> str:
    """The text of a file beside a recording, which must not be times of labels."""
    text = SAMPLES.sub("", read(path).strip())
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(TIMED.match(line) for line in lines):
        raise UserError(
            f"{path}: holds times of labels, no transcript; put the text into a file of this name"
        )
    return text


def _listed(table: Path) -> list[Task]:
    rows = tables.read(table, text=("path", "text")).table
    columns = list(map(str, rows.columns))
    for column in ("path", "text"):
        if column not in columns:
            raise UserError(
                f"{table}: no column {column}{nearest(column, columns)}; it has {', '.join(columns)}"
            )
    found = []
    for number, (path, text) in enumerate(zip(rows["path"], rows["text"], strict=True), start=1):
        for column, cell in (("path", path), ("text", text)):
            if not isinstance(cell, str) or not cell.strip():
                raise UserError(f"{table}: row {number} has no {column}; fill it in or leave the row out")
        found.append(Task(table.parent / path, "", text, f"{table}: row {number}"))
    # where they lie in the table's folder, or for recordings elsewhere in the folder that holds them all
    whole = [Path(os.path.abspath(one.path)) for one in found]
    root = Path(os.path.abspath(table.parent))
    if not all(path.is_relative_to(root) for path in whole):
        root = Path(os.path.commonpath([path.parent for path in whole]))
    return [
        replace(one, name=str(path.relative_to(root).with_suffix("")))
        for one, path in zip(found, whole, strict=True)
    ]
