"""What a table or folder of recordings contains, found before any experiment is written: for `audiomtl new`.

Contents: `describe`, `Found`, `Column`, `KINDS`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from audiomtl.errors import UserError

# kinds of columns; a column has one of them
KINDS = (
    "id",  # clip_id
    "recording",  # path of a recording
    "array",  # path of an .npy or .npz file: array_path, embedding_path
    "fold",  # fold names
    "split",  # train, validation, test
    "group",  # speaker, song ...: must not appear in more than one split
    "class",  # one class per clip
    "labels",  # a list of classes per clip
    "phones",  # a list of symbols per clip
    "words",  # a list of words per clip
    "text",  # a transcript
    "notes",  # (onset, offset, MIDI pitch)
    "events",  # (onset, offset, class)
    "passages",  # (onset, offset) in which the clip's class is heard
    "times",  # starts, ends, word_starts, word_ends: seconds
    "number",  # a number per clip
    "other",
)


@dataclass(frozen=True)
class Column:
    """One column of a clip table."""

    name: str
    kind: str  # of `KINDS`
    filled: int  # clips with a value
    values: int  # different values; of lists, different items
    timed: bool = False  # phones and words: whether starts and ends are there
    counts: dict[str, int] = field(default_factory=dict)  # clips per class; of class and labels only


@dataclass(frozen=True)
class Found:
    """What `describe` found."""

    data: dict[str, Any]  # the settings of ``[data]``, without label and groups
    table: pd.DataFrame  # the clip table, as training would read it, sorted by clip_id
    columns: tuple[Column, ...]  # in the order of the table
    seconds: tuple[float, ...]  # length of each clip; NaN for arrays
    rates: tuple[int, ...]  # sample rate of each clip in Hz; 0 for arrays
    source: str  # "path", "array_path" or "embedding_path"
    labels: tuple[str, ...]  # columns of kind class or labels, the best candidate for data.label first
    groups: tuple[str, ...]  # columns for data.groups
    fold: str = ""  # column of folds, if there is one
    split: str = ""  # column of train, validation and test, if there is one
    left_out: dict[str, int] = field(default_factory=dict)  # clips that were left out, by reason
    assumptions: tuple[str, ...] = ()  # one line each: to be printed, and written into the file as comments

    def of_kind(self, *kinds: str) -> list[Column]:
        """The columns of some kinds, in the order of the table."""
        return [column for column in self.columns if column.kind in kinds]


def describe(where: str | Path, *, path_column: str = "", **settings: Any) -> Found:
    """What a table or folder contains.

    Parameters
    ----------
    where : a table (CSV, TSV, semicolons, Parquet) or a folder of recordings; relative to the current
        directory.
    path_column : column of the paths in a table; "" is ``path``, ``array_path``, ``embedding_path`` or
        ``file_name``.
    settings : further settings of ``[data]`` that are already decided, such as ``tier = "phones"``.

    Returns
    -------
    Found. ``Found.data`` has ``dataset`` ("manifest" or "folder"), ``table`` or ``folder``, and every setting
    of it that is not at its default; ``label`` and ``groups`` are to be added.

    Raises
    ------
    MissingData : no such file or folder.
    UserError : it cannot be read, contains no recording, or has bad rows (with ``on_bad = "skip"`` among the
        settings, these are left out).
    """
    raise UserError(f"{where}: reading is not available yet")
