"""NIT SONG070 F001: Japanese children's songs, one singer; phones, notes and tempo from HTS full-context
labels.

Source: Nagoya Institute of Technology, released by the HTS Working Group, http://hts.sp.nitech.ac.jp (CC BY
3.0). Layout: recordings ``nitech_jp_song070_f001_SSS.wav`` and labels of the same stem, ``.lab``, anywhere
below the folder.

A label line is ``start end context``, times in 100 ns. In the context (Oura et al., "Recent development of
the HMM-based singing voice synthesis system - Sinsy", SSW 2010) the phone stands between ``-`` and ``+``, and
after ``/E:`` come the note's pitch, key, beat, tempo (``~100!``) and its place in bar and phrase, the same
for all phones of a note and other for the next. A note therefore lasts from its first phone, its consonant,
to the end of its last; ``xx`` is a rest.

Contents: `clips`, `PAUSE`.
"""

import re
from pathlib import Path

import pandas as pd

from audiomtl.data import audio, scores
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet


class Settings(DataSet):
    """``[data]`` of the data set, which has no settings of its own."""


PAUSE = "pau"
PAUSES = (PAUSE,)  # that no phone error rate counts
TICKS_PER_SECOND = 10_000_000  # 100 ns
CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
CONTEXT = re.compile(r"[^-]*-(?P<phone>[^+]+)\+.*/E:(?P<note>(?P<pitch>[^\]]+)\].*?~(?P<tempo>\d+|xx)!.*)/F:")
PITCH = re.compile(r"([A-G])([#b]?)(-?\d)")


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    """The clip table.

    Returns
    -------
    DataFrame sorted by ``clip_id`` (the file's stem): path, singer ("f001"), song ("004"), seconds, tempo
    (beats per minute, that of
        the first line), phones, starts, ends (lists, seconds; the pause is `PAUSE`), notes (tuple of (onset,
        offset, pitch)).

    Raises
    ------
    MissingData : no such folder, or no recording with labels in it.
    UserError : a name of another kind, a line that is no label, times that do not follow one another or end
        after the sound, a recording that cannot be read.
    """
    root = folder / "song070" if (folder / "song070").is_dir() else folder
    labels = {path.stem: path for path in root.rglob("nitech_jp_song070_*.lab")}
    found = sorted(path for path in root.rglob("nitech_jp_song070_*.wav") if path.stem in labels)
    if not found:
        raise MissingData(
            f"SONG070 is not in {folder / 'song070'}: put nitech_jp_song070_f001_003.wav ... and their .lab"
            " (full-context labels) there; published at http://hts.sp.nitech.ac.jp"
        )
    return pd.DataFrame([_row(path, labels[path.stem]) for path in found]).sort_values(
        "clip_id", ignore_index=True
    )


def _row(wav: Path, lab: Path) -> dict[str, object]:
    name = re.fullmatch(r"nitech_jp_song070_([a-z]\d+)_(\d+)", wav.stem)
    if name is None:
        raise UserError(
            f"{wav}: the name must be nitech_jp_song070_SINGER_SONG, such as nitech_jp_song070_f001_004"
        )
    seconds = audio.info(wav).seconds
    phones: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    notes: list[scores.Note] = []
    tempo, sung = 0, ""
    for number, line in enumerate(lab.read_text(encoding="ascii").splitlines(), 1):
        start, end, context = [*line.split(maxsplit=2), "", "", ""][:3]
        match = CONTEXT.match(context)
        if not (start.isdecimal() and end.isdecimal() and int(start) < int(end) and match):
            raise UserError(
                f'{lab} line {number}: "{line[:40]}" must be start < end and a full context; restore the'
                " published file"
            )
        first, last = int(start) / TICKS_PER_SECOND, int(end) / TICKS_PER_SECOND
        if (ends and first != ends[-1]) or last > seconds + 0.001:
            raise UserError(
                f"{lab} line {number}: {first} to {last} s must follow the line before and end with the"
                f" sound, {seconds:.3f} s"
            )
        phones.append(match["phone"])
        starts.append(first)
        ends.append(last)
        tempo = tempo or int(match["tempo"])
        if match["pitch"] != "xx":
            pitch = _pitch(match["pitch"], f"{lab} line {number}")
            if match["note"] == sung:
                notes[-1] = (notes[-1][0], last, pitch)
            else:
                notes.append((first, last, pitch))
        sung = match["note"]
    row: dict[str, object] = {
        "clip_id": wav.stem,
        "path": str(wav.absolute()),
        "singer": name[1],
        "song": name[2],
        "seconds": seconds,
    }
    return row | {
        "tempo": tempo,
        "phones": phones,
        "starts": starts,
        "ends": [min(end, seconds) for end in ends],  # the labels are of the nearest 5 ms
        "notes": scores.within(scores.monophonic(lab, notes), seconds),
    }


def _pitch(text: str, place: str) -> int:
    """MIDI number of a name such as A4 (69), Db4 or C#4 (61)."""
    match = PITCH.fullmatch(text)
    if match is None:
        raise UserError(f'{place}: "{text}" is not a pitch such as A4 or Db4')
    return 12 * (int(match[3]) + 1) + CLASSES[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]
