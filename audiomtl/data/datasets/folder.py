"""A folder of recordings of one's own: classes by folder, annotations beside the recordings, or
``metadata.csv`` as on Hugging Face.

==================================== =========================================================================
what there is                        what it means
==================================== =========================================================================
``metadata.csv``                     a table with a column ``file_name``; nothing else is read
annotation files                     phones, words, text, notes, events (`audiomtl.data.annotations`); the
                                     innermost folder is the speaker
no annotations, folders of folders   the outermost folder is the class ``label``; if there are further ones,
                                     the innermost is a ``group``
==================================== =========================================================================

Folders that all recordings share mean nothing. If the outermost folders are called train, validation and
test, they are the column ``split``. Of two annotations that say the same, TextGrid and ``.phn`` are read
before ``.lab``, that before ``.wrd``, that before ``.txt``. ``sentence`` is the transcript in lower case
without punctuation: clips of one sentence are a group.

Contents: `clips`.
"""

import fnmatch
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from audiomtl.data import annotated, catalog, files, pairing, tables
from audiomtl.data.cells import Kind
from audiomtl.data.clip_table import ROW, clip_table, texts
from audiomtl.data.datasets import manifest
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.table import Strings
from audiomtl.settings.tags import Tagged
from audiomtl.settings.validation import nearest


class Settings(Tagged):
    """``[data]`` of the folder."""

    folder: str = Field(
        description="Path of the folder, relative to the project, or else to the folder AUDIOMTL_DATA."
    )
    on_bad: Literal["error", "skip"] = Field(
        description=(
            "What to do about recordings and annotations that cannot be read, and duplicates: stop, or leave"
            " the recordings out and count them."
        )
    )
    annotations: Strings = Field(
        (),
        description=(
            "Patterns of the annotation files that are read, such as *.phn or Annotations/*_notesA1.csv;"
            " [] reads all that is found. Default []."
        ),
    )
    tier: str = Field(
        "",
        description=(
            'Tier of a TextGrid with the phones; "" takes the one whose name is usual for phones, or the only'
            ' one. Default "".'
        ),
    )
    spans: Literal["", "phones", "words", "events"] = Field(
        "",
        description=(
            'What labels with times are; "" leaves it to their format: phones in a TextGrid and .lab, words'
            ' in CTM, events in Audacity labels and CSV. Default "".'
        ),
    )
    symbols: str = Field(
        "",
        description=(
            'How phones are renamed: "timit39" folds the 61 symbols of TIMIT to 39, and a path names a table'
            ' with the columns symbol and phone; "" keeps them. Default "".'
        ),
    )
    leave_out: Strings = Field(
        (),
        description=(
            "Recordings that are left out: patterns of clip ids in any case, such as */sa1. Default []."
        ),
    )
    source: str = Field(
        "", description='Where the data are published; said when the folder is missing. Default "".'
    )
    cells: dict[str, Kind] = Field(
        {}, description="Kinds of columns of metadata.csv that are not known by their names. Default {}."
    )
    on_variants: Literal["error", "keep"] = Field(
        "error",
        description=(
            'What to do about classes and groups that are probably one, such as "Music" and "music": stop, or'
            ' keep them as they are. Default "error".'
        ),
    )


METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TRANSCRIPTS = ("transcription", "transcript", "sentence")  # columns of metadata.csv that are the text
SIDES = {  # names of folders and of the sides that they are
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``folder`` is relative to the current directory or, if there is none, to the data root.
    folder : the data root.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the path within the folder, without suffix): path, seconds, and what was
    found: label, group; speaker, sentence, text; phones, starts, ends; words, word_starts, word_ends; notes;
    events, labels and, where every clip has events of one class only, label and passages; split.
    ``attrs["remarks"]`` says what was assumed.

    Raises
    ------
    MissingData : no such folder.
    UserError : it has no recordings; a column that the settings name is not there; recordings or annotations
        that cannot be read.
    """
    root = _root(data, folder)
    metadata = [
        path for name in METADATA for path in sorted(root.glob(name)) or sorted(root.glob(f"*/{name}"))
    ]
    remarks: list[str] = []
    faults: dict[int, tuple[str, str]] = {}
    if metadata:
        table, given = _listed(root, metadata, remarks)
        names: list[str] = []
    else:
        below = files.below(root)
        sounds, others = pairing.recordings(below), pairing.unreadable(root, below)
        if not sounds:
            known = ", ".join(sorted(pairing.SOUNDS))
            remedy = f"it has {others}: convert them to WAV or FLAC" if others else "put them there"
            raise UserError(f"{root}: contains no recordings ({known}); {remedy}")
        if others:
            remarks.append(f"not read: {others}; convert them to WAV or FLAC")
        given = names = [sound.relative_to(root).as_posix() for sound in sounds]
        table, faults = annotated.read(root, below, sounds, data, remarks)
        table = _with_folders(table, names, remarks)
    ids = [unicodedata.normalize("NFC", name.rpartition(".")[0] or name) for name in given]
    if "clip_id" not in table.columns:
        table["clip_id"] = ids
    kept = [not any(_matches(clip, form) for form in data.leave_out) for clip in table["clip_id"]]
    rows = [row for row, keep in enumerate(kept) if keep]
    if not rows:
        raise UserError(f"data.leave_out = {list(data.leave_out)}: leaves out every recording of {root}")
    for form in data.leave_out:
        if not any(_matches(clip, form) for clip in table["clip_id"]):
            raise UserError(
                f'data.leave_out = "{form}": matches no clip id{nearest(form, table["clip_id"])}; remove it'
            )
    table = table.iloc[rows].reset_index(drop=True)
    table.attrs[catalog.FOLDER] = str(root)
    table.attrs[catalog.INDEX] = index = catalog.index_name(root.name, root)
    table.attrs[catalog.REMARKS] = tuple(remarks)
    if ROW in table.columns:
        raise UserError(f"{root}: a column {ROW} is of tables of arrays, which a folder has not; rename it")
    table = clip_table(
        table,
        data,
        [given[row] for row in rows],
        root,
        source="path",
        place=str(root),
        examine=lambda some: manifest.examined(some, "path", index),
        names=[names[row] for row in rows] if names else [],
        faults={number: faults[row] for number, row in enumerate(rows) if row in faults},
    )
    if len(rows) < len(kept):
        table.attrs["left_out"] = {"named": len(kept) - len(rows)} | table.attrs.get("left_out", {})
    return table


def _matches(clip: str, form: str) -> bool:
    return fnmatch.fnmatchcase(str(clip).casefold(), unicodedata.normalize("NFC", form).casefold())


def _root(data: Settings, folder: Path) -> Path:
    for root in (Path(data.folder), folder / data.folder):
        if root.is_dir():
            return root.absolute()
        if root.exists():
            raise UserError(
                f'data.folder = "{data.folder}": is a file, not a folder; a table is read with data.dataset ='
                ' "manifest"'
            )
    published = f"; published at {data.source}" if data.source else ""
    raise MissingData(f'data.folder = "{data.folder}": no such folder in {Path.cwd()} or {folder}{published}')


def _listed(root: Path, metadata: Sequence[Path], remarks: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Rows of ``metadata.csv``, one in the folder or one in each of its folders, and their paths."""
    parts = []
    for path in metadata:
        part, assumptions = tables.read(path, text=("file_name", "clip_id"))
        if "file_name" not in part.columns:
            raise UserError(
                f"{path}: has no column file_name{nearest('file_name', part.columns)}; it has"
                f" {', '.join(part.columns)}"
            )
        above = path.parent.relative_to(root).as_posix()
        part["file_name"] = [
            name if above == "." or not name else f"{above}/{name}" for name in texts(part["file_name"])
        ]
        if above != "." and "split" not in part.columns:
            part["split"] = SIDES.get(above.lower(), above)
        parts.append(part)
        remarks += assumptions
    table = pd.concat(parts, ignore_index=True)
    given = texts(table["file_name"])
    remarks.append(f"{metadata[0].name}: its rows are the clips; annotations and folders are not read")
    written = next((name for name in TRANSCRIPTS if name in table.columns), "")
    if "text" not in table.columns and written:
        table["text"] = table[written]
        remarks.append(f"column {written} is the text")
    if "text" in table.columns and "sentence" not in table.columns:
        table["sentence"] = annotated.sentences(texts(table["text"]), given)
    return table, given


def _with_folders(table: pd.DataFrame, names: Sequence[str], remarks: list[str]) -> pd.DataFrame:
    """The table with what the names of folders mean."""
    folders = [name.split("/")[:-1] for name in names]
    while all(folders) and len({parts[0] for parts in folders}) == 1:
        folders = [parts[1:] for parts in folders]
    if all(parts and parts[0].lower() in SIDES for parts in folders):
        table["split"] = [SIDES[parts[0].lower()] for parts in folders]
        remarks.append(f"folders {_some({parts[0] for parts in folders})} are the column split")
        folders = [parts[1:] for parts in folders]
    if not any(folders):
        return table
    loose = [name for name, parts in zip(names, folders, strict=True) if not parts]
    if loose:
        remarks.append(f"{len(loose)} recordings, such as {loose[0]}, are in no folder of their own")
    if annotated.PARTS.isdisjoint(table.columns):
        if loose:
            raise UserError(
                f"{loose[0]}: is in no folder, but the folders of the others are the classes; move it into"
                " one of them"
            )
        table["label"] = [parts[0] for parts in folders]
        remarks.append(f"folders are the classes (column label): {_some(set(table['label']))}")
        if all(len(parts) > 1 for parts in folders):
            table["group"] = [_innermost(parts[1:]) for parts in folders]
            remarks.append("the innermost folder is the column group")
        return table
    inner = _inner(folders)
    table["speaker"] = [parts or None for parts in inner]
    remarks.append(f"the innermost folder is the speaker: {_some({name for name in inner if name})}")
    return table


def _inner(folders: Sequence[Sequence[str]]) -> list[str]:
    """The innermost folder of each; with those above it where one name is in several of them."""
    above: dict[str, set[tuple[str, ...]]] = {}
    for parts in folders:
        if parts:
            above.setdefault(parts[-1], set()).add(tuple(parts[:-1]))
    clear = all(len(found) == 1 for found in above.values())
    return ["" if not parts else parts[-1] if clear else "/".join(parts) for parts in folders]


def _innermost(parts: Sequence[str]) -> str:
    return "/".join(parts)


def _some(names: set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
