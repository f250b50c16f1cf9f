"""vocadito: 40 short excerpts of solo singing by 29 singers in 7 languages; f0, notes by two annotators,
lyrics.

Source: Bittner, Pasalo, Bosch, Meseguer-Brocal and Rubinstein, "vocadito: A dataset of solo vocals with f0,
note, and lyric annotations", 2021; https://doi.org/10.5281/zenodo.5578807 (CC BY 4.0). Layout as published:
``Audio/vocadito_N.wav``, ``Annotations/F0/*_f0.csv`` (seconds, Hz; 0 where nothing is sung),
``Annotations/Notes/*_notesA1.csv`` and ``A2`` (onset, Hz, duration), ``Annotations/Lyrics/*.txt``,
``vocadito_metadata.csv``.

Contents: `clips`.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from audiomtl.data import audio, identity, scores
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set."""

    annotator: Literal["A1", "A2"] = Field(description="Annotator whose notes are read.")


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``annotator`` names whose notes are read: the two do not agree.
    folder : data root with ``vocadito/`` in it, or the data set itself.

    Returns
    -------
    DataFrame sorted by ``clip_id`` ("vocadito_1"): path, singer ("S1"), language, seconds, text (the lyrics,
    in one line), notes (tuple of
        (onset, offset, pitch), each pitch the nearest key), f0_times, f0_hz (lists; 0 Hz where nothing is
        sung). Excerpts of the list whose recording is absent are left out and counted in
        ``attrs["left_out"]``.

    Raises
    ------
    MissingData : no such folder, or none of its recordings.
    UserError : an annotation that is missing or no table of numbers, notes that overlap, a recording that
        cannot be read.
    """
    root = next(
        (one for one in (folder / "vocadito", folder) if (one / "vocadito_metadata.csv").is_file()), None
    )
    if root is None:
        raise MissingData(
            f"vocadito is not in {folder / 'vocadito'}: put vocadito_metadata.csv, Audio/ and Annotations/"
            " there; published at https://doi.org/10.5281/zenodo.5578807"
        )
    listed = pd.read_csv(root / "vocadito_metadata.csv", dtype=str)
    rows = []
    for excerpt in listed.itertuples():
        stem = f"vocadito_{excerpt.track_id}"
        path = Path(identity.existing(str(root / "Audio" / f"{stem}.wav")))
        if not path.is_file():
            continue
        notes_file = root / "Annotations" / "Notes" / f"{stem}_notes{data.annotator}.csv"
        notes, f0 = _numbers(notes_file, 3), _numbers(root / "Annotations" / "F0" / f"{stem}_f0.csv", 2)
        if (notes[:, 1] <= 0).any():
            raise UserError(
                f"{notes_file}: a note has {notes[:, 1].min()} Hz, but must be above 0 Hz; restore the"
                " published file"
            )
        pitches = np.rint(69 + 12 * np.log2(notes[:, 1] / 440)).astype(int)
        voice = scores.monophonic(
            notes_file,
            (
                (on, on + lasts, pitch)
                for (on, _, lasts), pitch in zip(notes.tolist(), pitches.tolist(), strict=True)
            ),
        )
        row: dict[str, object] = {
            "clip_id": stem,
            "path": str(path.absolute()),
            "singer": excerpt.singer_id,
            "language": excerpt.language,
        }
        row |= {
            "seconds": audio.info(path).seconds,
            "text": _text(root / "Annotations" / "Lyrics" / f"{stem}_lyrics.txt"),
            "notes": voice,
        }
        rows.append(row | {"f0_times": f0[:, 0].tolist(), "f0_hz": f0[:, 1].tolist()})
    if not rows:
        raise MissingData(
            f"vocadito: {root / 'Audio'} has none of the {len(listed)} recordings that vocadito_metadata.csv"
            " lists"
        )
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    table.attrs["left_out"] = {"missing": len(listed) - len(rows)} if len(rows) < len(listed) else {}
    return table


def _numbers(path: Path, columns: int) -> np.ndarray:  # (rows, columns)
    path = Path(identity.existing(str(path)))
    if not path.is_file():
        raise UserError(f"{path}: no such file; put Annotations/ there as published")
    try:
        found = pd.read_csv(path, header=None).to_numpy(np.float64)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' errors of parsing are ValueErrors
        raise UserError(
            f"{path}: cannot be read as a table of numbers ({' '.join(str(error).split())[:100]})"
        ) from None
    if found.shape[1] != columns or not np.isfinite(found).all():
        raise UserError(
            f"{path}: must have {columns} columns of finite numbers, but has {found.shape[1]}; restore the"
            " published file"
        )
    return found


def _text(path: Path) -> str:
    path = Path(identity.existing(str(path)))
    if not path.is_file():
        raise UserError(f"{path}: no such file; put Annotations/ there as published")
    return " ".join(path.read_text(encoding="utf-8").split())
