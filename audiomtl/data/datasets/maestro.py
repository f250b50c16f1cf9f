"""MAESTRO: piano recordings of a competition, with the MIDI that the instrument recorded, aligned to about 3
ms.

Source: Hawthorne et al., "Enabling factorized piano music modeling and generation with the MAESTRO dataset",
ICLR 2019; https://magenta.tensorflow.org/datasets/maestro (CC BY-NC-SA 4.0). Layout as published:
``maestro-vX.Y.Z.csv`` and ``.json`` (the newest that is there is read), ``YEAR/*.wav``, ``YEAR/*.midi``.

Contents: `clips`.
"""

from pathlib import Path

import pandas as pd
from pydantic import Field

from audiomtl.data import audio, identity, scores
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Integers


class Settings(DataSet):
    """``[data]`` of the data set."""

    years: Integers = Field(description="Years to read; [] reads every year that is present.")


LISTED = ["canonical_composer", "canonical_title", "split", "year", "midi_filename", "audio_filename"]


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Parameters
    ----------
    data : ``years`` are those to read; none reads all (reading the notes of all 1,276 recordings takes
        minutes).
    folder : data root with ``maestro/`` in it, or the data set itself.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the recording's stem): path, composer, title, side ("train",
    "validation", "test": the published
        split, for protocol.column), year, seconds (of the recording), midi (path of the score), notes (tuple
        of (onset, offset, pitch)). A piece stands on one side only, so ``title`` with ``composer`` is the
        group. Recordings of the list that are absent are left out and counted in ``attrs["left_out"]``; one
        that ends before its last note begins is told in a line: its later notes are left out.

    Raises
    ------
    MissingData : no such folder, or none of its recordings.
    UserError : a list that cannot be read or lacks a column, a MIDI file that `scores.read_notes` refuses, a
        recording that cannot be read.
    """
    root = next((one for one in (folder / "maestro", folder) if _list(one)), None)
    if root is None:
        raise MissingData(
            f"MAESTRO is not in {folder / 'maestro'}: put maestro-v3.0.0.csv (or .json) and the folders 2004/"
            " ... 2018/ there; published at https://magenta.tensorflow.org/datasets/maestro"
        )
    listed = _read(_list(root)[-1])
    if data.years:
        listed = listed[listed["year"].isin(data.years)]
    rows, short = [], []
    for piece in listed.itertuples():
        path, midi = (
            Path(identity.existing(str(root / str(name))))
            for name in (piece.audio_filename, piece.midi_filename)
        )
        if not path.is_file() or not midi.is_file():
            continue
        seconds, notes = audio.info(path).seconds, scores.read_notes(midi)
        if notes and notes[-1][0] >= seconds:
            short.append(path.stem)
        row: dict[str, object] = {
            "clip_id": Path(str(piece.audio_filename)).stem,
            "path": str(path.absolute()),
            "composer": piece.canonical_composer,
            "title": piece.canonical_title,
        }
        rows.append(
            row
            | {
                "side": piece.split,
                "year": int(str(piece.year)),
                "seconds": seconds,
                "midi": str(midi.absolute()),
                "notes": scores.within(notes, seconds),
            }
        )
    if not rows:
        raise MissingData(f"MAESTRO: {root} has none of the {len(listed)} recordings (with MIDI) in its list")
    if short:
        print(
            f"MAESTRO: {len(short)} recordings end before their notes do: {', '.join(short[:3])}", flush=True
        )
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    table.attrs["left_out"] = {"missing": len(listed) - len(rows)} if len(rows) < len(listed) else {}
    return table


def _list(root: Path) -> list[Path]:
    return sorted(
        [*root.glob("maestro-v*.csv"), *root.glob("maestro-v*.json")],
        key=lambda path: (path.stem, path.suffix == ".csv"),
    )


def _read(path: Path) -> pd.DataFrame:
    try:  # the JSON is a list of recordings, or since version 3 a table of columns: pandas reads both
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path)
    except ValueError as error:  # pandas' errors of parsing are ValueErrors
        raise UserError(
            f"{path}: cannot be read ({' '.join(str(error).split())[:100]}); take the file as published"
        ) from None
    if absent := [name for name in LISTED if name not in table.columns]:
        raise UserError(f"{path}: has no column {', '.join(absent)}; restore the published file")
    return table
