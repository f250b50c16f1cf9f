"""JamendoLyrics: songs with genre, language, and the times of their words.

Source: Durand, Stoller and Ewert, "Contrastive learning-based audio to lyrics alignment for multiple
languages", ICASSP 2023; https://github.com/f90/jamendolyrics. Layout as published: ``JamendoLyrics.csv``,
``mp3/``, ``annotations/words/*.csv`` (``word_start, word_end`` in seconds) beside ``lyrics/*.words.txt`` (a
word a line).

Contents: `clips`.
"""

import os
from pathlib import Path

import pandas as pd

from audiomtl.data import audio, identity
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set, which has no settings of its own."""


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the stem of the name in the list): path, seconds, genre, language,
        artist, title, words, word_starts, word_ends (lists; empty where a song has no such files). Songs of
        the list whose MP3 is absent are left out, said in a line, and counted in ``attrs["left_out"]``. A
        file whose name has another Unicode form than the list (NFC, NFD) is found.

    Raises
    ------
    MissingData : no such folder, or none of its recordings.
    UserError : a recording that cannot be read, words and times of a song that differ in number, words that
        start behind the end of the recording.
    """
    root = next(
        (one for one in (folder / "jamendolyrics", folder) if (one / "JamendoLyrics.csv").is_file()), None
    )
    if root is None:
        raise MissingData(
            f"JamendoLyrics is not in {folder / 'jamendolyrics'}: put JamendoLyrics.csv, mp3/, annotations/"
            " and lyrics/ there; published at https://github.com/f90/jamendolyrics"
        )
    listed = pd.read_csv(root / "JamendoLyrics.csv")
    rows = []
    for song in listed.itertuples():
        stem = Path(str(song.Filepath)).stem
        path = identity.existing(str(root / "mp3" / str(song.Filepath)))
        if os.path.isfile(path):
            seconds = audio.info(path).seconds
            words, starts, ends = _words(root, stem, seconds)
            row = {
                "clip_id": stem,
                "path": path,
                "seconds": seconds,
                "genre": song.Genre,
            }
            row |= {"language": song.Language, "artist": song.Artist, "title": song.Title}
            rows.append(row | {"words": words, "word_starts": starts, "word_ends": ends})
    if not rows:
        raise MissingData(
            f"JamendoLyrics: {root / 'mp3'} has none of the {len(listed)} recordings that JamendoLyrics.csv"
            " lists"
        )
    table = pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)
    absent = len(listed) - len(rows)
    if absent:
        print(
            f"JamendoLyrics: {absent} of {len(listed)} songs are left out: their MP3s are not in"
            f" {root / 'mp3'}",
            flush=True,
        )
    table.attrs["left_out"] = {"missing": absent} if absent else {}
    return table


def _words(root: Path, stem: str, seconds: float) -> tuple[list[str], list[float], list[float]]:
    times, text = (
        Path(identity.existing(str(path)))
        for path in (root / "annotations" / "words" / f"{stem}.csv", root / "lyrics" / f"{stem}.words.txt")
    )
    if not times.is_file() or not text.is_file():
        return [], [], []
    spans = pd.read_csv(times)
    words = [line.strip() for line in text.read_text(encoding="utf-8").splitlines() if line.strip()]
    if len(words) != len(spans):
        raise UserError(
            f"{times}: times of {len(spans)} words, but {text.name} has {len(words)}; restore both files"
        )
    starts, ends = (spans[name].astype(float).tolist() for name in ("word_start", "word_end"))
    if starts and max(starts) >= seconds:
        raise UserError(
            f"{times}: a word starts at {max(starts):.3f} s, but the recording ends at {seconds:.3f} s;"
            " restore the recording"
        )
    return words, starts, [min(end, seconds) for end in ends]
