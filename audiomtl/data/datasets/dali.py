"""DALI: songs with notes and words aligned to full mixes.

Source: Meseguer-Brocal, Cohen-Hadria and Peeters, "DALI: a large dataset of synchronized audio, lyrics and
notes, automatically created using teacher-student machine learning paradigm", ISMIR 2018;
https://github.com/gabolsgabs/DALI. Layout as mirdata has it: ``annotations/ID.gz``, ``audio/ID.mp3``. The
annotations are published, the audio is not.

An annotation is a gzipped Python pickle of a ``DALI.Annotations`` object. Unpickling runs whatever the file
names: here nothing but plain containers and that one class, which becomes an empty shell, is let in
(`Unpickler`), and everything else is refused by its name.

Contents: `clips`, `read`, `Unpickler`.
"""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, identity, scores
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set, which has no settings of its own."""


NAMED = 5  # how many clips a line names


class Annotations:
    """What a ``DALI.Annotations`` object becomes: its values and none of its methods."""

    info: dict[str, Any]
    annotations: dict[str, Any]


class Unpickler(pickle.Unpickler):
    """Lets in plain containers and `Annotations`."""

    def find_class(self, module: str, name: str) -> Any:
        """Called for every class or function that a pickle names; it would run them."""
        if (module, name) == ("DALI.Annotations", "Annotations"):
            return Annotations
        raise UserError(
            f"refers to {module}.{name}, but only DALI.Annotations.Annotations is allowed; restore the"
            " published file"
        )


def read(path: Path) -> Annotations:
    """One annotation file.

    Raises
    ------
    UserError : no gzip, no pickle, anything in it that is neither a plain container nor the published class.
    """
    try:
        with gzip.open(path) as file:
            found = Unpickler(file, encoding="utf-8").load()
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (
        Exception
    ) as error:  # gzip and pickle let through what a broken file raises, from EOFError to MemoryError
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(
            f"{path}: cannot be read as a DALI annotation ({reason}); restore the published file"
        ) from None
    if (
        not isinstance(found, Annotations)
        or not isinstance(getattr(found, "info", None), dict)
        or not hasattr(found, "annotations")
    ):
        raise UserError(f"{path}: is not a DALI annotation; restore the published file")
    return found


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (DALI's id): path, artist, title, language, seconds, text, words,
    word_starts, word_ends (lists), notes
        (tuple of (onset, offset, pitch), each pitch the nearest key), alignment (0 to 1, how well DALI's
        times fit the audio). Songs without audio here are left out, and so are those whose notes overlap or
        leave the 88 keys (DALI was made automatically): both said in a line and counted in
        ``attrs["left_out"]``. A recording that ends before its notes or words do is
        told in a line, and has only those that begin before its end.

    Raises
    ------
    MissingData : no such folder, or none of its recordings.
    UserError : an annotation that `read` refuses or that lacks a field, a recording that cannot be read.
    """
    root = next(
        (one for one in (folder / "dali", folder / "DALI", folder) if (one / "annotations").is_dir()), None
    )
    found = sorted((root / "annotations").glob("*.gz")) if root else []
    if root is None or not found:
        raise MissingData(
            f"DALI is not in {folder / 'dali'}: put annotations/ID.gz and audio/ID.mp3 there; annotations are"
            " published at https://github.com/gabolsgabs/DALI"
        )
    rows = []
    left_out: dict[str, list[str]] = {"missing": [], "notes": []}
    short = []
    for annotation in found:
        path = Path(identity.existing(str(root / "audio" / f"{annotation.stem}.mp3")))
        if not path.is_file():
            left_out["missing"].append(annotation.stem)
            continue
        try:
            row = _row(read(annotation), annotation, path)
        except _Notes:
            left_out["notes"].append(annotation.stem)
            continue
        rows.append(row)
        if (starts := row.pop("last")) and max(starts) >= row["seconds"]:
            short.append(annotation.stem)
    if not rows:
        raise MissingData(
            f"DALI: {root / 'audio'} has no recording for any of the {len(found)} usable annotations"
        )
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    for reason, ids in (
        *((f"are left out, {reason}", ids) for reason, ids in left_out.items()),
        ("end before their notes or words do", short),
    ):
        if ids:
            more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
            print(f"DALI: {len(ids)} songs {reason}: {', '.join(ids[:NAMED])}{more}", flush=True)
    table.attrs["left_out"] = {reason: len(ids) for reason, ids in left_out.items() if ids}
    return table


class _Notes(Exception):
    """Notes that fit no roll."""


def _row(annotation: Annotations, place: Path, path: Path) -> dict[str, Any]:
    info = annotation.info
    try:
        spans = annotation.annotations["annot"]
        words = [(str(one["text"]), float(one["time"][0]), float(one["time"][1])) for one in spans["words"]]
        sung = [
            (float(one["time"][0]), float(one["time"][1]), float(one["freq"][0])) for one in spans["notes"]
        ]
        row: dict[str, Any] = {
            "clip_id": place.stem,
            "path": str(path.absolute()),
            "artist": info["artist"],
            "title": info["title"],
        }
        row |= {"language": info["metadata"]["language"], "alignment": float(info["scores"]["NCC"])}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(
            f"{place}: an annotation needs info and annot with words and notes ({error!r}); restore the"
            " published file"
        ) from None
    try:
        pitches = (
            np.rint(69 + 12 * np.log2([max(hertz, 1e-9) / 440 for *_, hertz in sung])).astype(int).tolist()
        )
        notes = scores.monophonic(
            place, [(on, off, pitch) for (on, off, _), pitch in zip(sung, pitches, strict=True)]
        )
    except UserError as error:
        raise _Notes from error
    seconds = audio.info(path).seconds
    row["last"] = [start for start, *_ in notes] + [start for _, start, _ in words]
    words = [(word, start, min(end, seconds)) for word, start, end in words if start < seconds]
    row |= {
        "seconds": seconds,
        "text": " ".join(word for word, *_ in words),
        "words": [word for word, *_ in words],
    }
    return row | {
        "word_starts": [start for _, start, _ in words],
        "word_ends": [end for *_, end in words],
        "notes": scores.within(notes, seconds),
    }
