"""ESC-50: environmental sounds, five seconds each, five folds, up to 50 classes.

Source: K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015;
https://github.com/karolpiczak/ESC-50. Layout as published: ``meta/esc50.csv`` and
``audio/{fold}-{source}-{take}-{target}.wav``; OGG files of the same names are read as well. Clips of one
``src_file`` were cut from one recording: it is the group, and stands in one fold.

Contents: `clips`.
"""

from pathlib import Path

import pandas as pd
from pydantic import Field

from audiomtl.data import files, identity
from audiomtl.data.subset import keeps
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Strings
from audiomtl.settings.validation import nearest


class Settings(DataSet):
    """``[data]`` of the data set."""

    classes: Strings = Field(description="Classes to read; [] reads every class that is present.")


COLUMNS = ["clip_id", "path", "seconds", "category", "fold", "side", "src_file", "target", "take", "esc10"]
LISTED = ["category", "fold", "src_file", "target", "take", "esc10"]  # by the published table, with filename
SUFFIXES = (".wav", ".ogg", ".flac")


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``classes`` names those to keep; none keeps all that are there.
    folder : data root with ``ESC-50/`` (or ``ESC-50-master/``) in it, or the data set itself.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the file's stem): path, seconds, category, fold (int), side (folds
        1-3 train, 4 validation, 5 test, for protocol.column = "side"), src_file (str), target (number of the
        class), take, esc10 (bool). Clips of the list whose file is absent are left out and counted in
        ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such folder, or none of its recordings.
    UserError : a class that the list does not have, a list without a column, a recording that cannot be read.
    """
    root = next(
        (
            one
            for one in (folder / "ESC-50", folder / "ESC-50-master", folder)
            if (one / "meta" / "esc50.csv").is_file()
        ),
        None,
    )
    if root is None:
        raise MissingData(
            f"ESC-50 is not in {folder / 'ESC-50'}: put its folders meta/ (esc50.csv) and audio/ there; "
            "published at https://github.com/karolpiczak/ESC-50"
        )
    table = pd.read_csv(root / "meta" / "esc50.csv", dtype={"src_file": str})
    if absent := [name for name in ("filename", *LISTED) if name not in table.columns]:
        raise UserError(
            f"{root / 'meta' / 'esc50.csv'}: has no column {', '.join(absent)}; restore the published file"
        )
    known = sorted(table["category"].unique())
    for name in data.classes:
        if name not in known and len(known) < 50 and not nearest(name, known):
            raise MissingData(
                f"ESC-50: this copy, {root}, lists {len(known)} of the 50 classes, and {name} is not among"
                " them"
            )
        if name not in known:
            raise UserError(f'data.classes: "{name}" is not a class of ESC-50{nearest(name, known)}')
    if data.classes:
        table = table[table["category"].isin(data.classes)]
    listed = table[LISTED].astype(str).to_numpy().tolist()
    rows = [dict(zip(LISTED, cells, strict=True)) for cells in listed]
    table = table.iloc[[number for number, row in enumerate(rows) if keeps(data.subset, row)]]
    table = table.assign(clip_id=[Path(name).stem for name in table["filename"]])
    table["path"] = [_recording(root / "audio" / clip) for clip in table["clip_id"]]
    there = table[table["path"] != ""].sort_values("clip_id", ignore_index=True)
    if there.empty and len(table):
        raise MissingData(
            f"ESC-50: {root / 'audio'} has none of the {len(table)} recordings that meta/esc50.csv lists"
        )
    there["seconds"] = files.seconds(there["path"].tolist())
    there["side"] = ["train" if fold <= 3 else {4: "validation"}.get(fold, "test") for fold in there["fold"]]
    there.attrs["left_out"] = {"missing": len(table) - len(there)} if len(there) < len(table) else {}
    return there[COLUMNS]


def _recording(stem: Path) -> str:
    paths = (identity.existing(f"{stem}{suffix}") for suffix in SUFFIXES)
    return next((path for path in paths if Path(path).is_file()), "")
