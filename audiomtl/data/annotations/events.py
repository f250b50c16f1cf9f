"""events: tables of events, words or notes, ``.csv`` and ``.tsv``, one row each.

With a header, columns are found by their names (`COLUMNS`, in any case): a start, an end or a duration, and
a label, a MIDI pitch or a frequency in Hz. Without one, three columns are read if they can be only one thing:
``start, end, label``; ``onset, offset, MIDI pitch``; ``onset, Hz, duration``. Times are in seconds.
"""

import math
import re
from pathlib import Path

from audiomtl.data import scores, tables
from audiomtl.data.annotations import Annotation, Options, Sound, number, ordered
from audiomtl.errors import UserError

SUFFIXES = (".csv", ".tsv")
RANK = 6
LINES = ("text", "lyrics_line", "sentence")  # labels that are lines of a transcript
COLUMNS = {
    "start": ("onset", "start", "start_time", "starttime", "begin", "onset_seconds", "start_seconds", "time"),
    "end": ("offset", "end", "end_time", "endtime", "stop", "offset_seconds", "end_seconds"),
    "duration": ("duration", "length", "duration_seconds", "dur"),
    "label": (
        "label",
        "event_label",
        "event",
        "class",
        "category",
        "name",
        "phone",
        "word",
        "text",
        "lyrics_line",
    ),
    "pitch": ("pitch", "midi", "midi_pitch", "note", "midi_note"),
    "hz": ("hz", "frequency", "freq", "f0", "pitch_hz", "frequency_hz"),
}
NUMBER = re.compile(r"\s*-?\d+(\.\d*)?([eE][+-]?\d+)?\s*")
A4_HZ, A4 = 440.0, 69
# what three numbers without a header must be to be notes
KEYS = range(scores.LOWEST, scores.HIGHEST + 1)
LOWEST_HZ, HIGHEST_HZ, LONGEST_SECONDS = 40, 5000, 60


def fits(path: Path) -> bool:
    try:
        rows = tables.rows_of(path)
        return bool(_columns(path, rows))
    except UserError:
        return False


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    rows = tables.rows_of(path)
    columns, headed = _columns(path, rows), not _is_number(rows[0][0])
    if not columns:
        raise UserError(
            f"{path}: is no table of events; it needs a header with start, end (or duration) and label (or"
            f" pitch, or hz), but begins with {', '.join(rows[0])[:80]}"
        )
    spans: list[tuple[int, float, float, str]] = []
    for line, row in enumerate(rows, 1):
        if headed and line == 1:
            continue
        place = f"{path} row {line}"
        start = number(row[columns["start"]], place)
        end = (
            number(row[columns["end"]], place)
            if "end" in columns
            else start + number(row[columns["duration"]], place)
        )
        what = next(row[columns[name]] for name in ("label", "pitch", "hz") if name in columns)
        spans.append((line, start, end, what))
    if "label" in columns:
        name = rows[0][columns["label"]].strip().lower() if headed else ""
        if name in LINES and not options.spans:
            return Annotation({"text": " ".join(label for *_, label in ordered(path, spans, overlaps=True))})
        part = options.spans or ("words" if name == "word" else "events")
        return Annotation({part: ordered(path, spans, overlaps=part != "phones")})
    notes = []
    for line, start, end, what in spans:
        place = f"{path} row {line}"
        value = number(what, place)
        if "hz" in columns:
            if value <= 0:
                raise UserError(f"{place}: {what} Hz must be above 0 Hz; leave out rows without a pitch")
            value = round(A4 + 12 * math.log2(value / A4_HZ))
        elif value != round(value):
            raise UserError(f"{place}: {what}: must be a whole MIDI number (69 is A4)")
        notes.append((start, end, int(value)))
    remark = ("pitches in Hz become the nearest key",) if "hz" in columns else ()
    return Annotation({"notes": list(scores.checked(path, notes))}, remark)


def _columns(path: Path, rows: list[list[str]]) -> dict[str, int]:
    """Numbers of the columns by what they are; empty where it cannot be told."""
    if not _is_number(rows[0][0]):
        names = [name.strip().lower() for name in rows[0]]
        found = {
            what: names.index(name)
            for what, known in COLUMNS.items()
            for name in reversed(known)
            if name in names
        }
        told = "start" in found and ("end" in found or "duration" in found)
        return found if told and {"label", "pitch", "hz"} & found.keys() else {}
    if len(rows[0]) != 3 or not all(_is_number(row[0]) and _is_number(row[1]) for row in rows):
        return {}
    if not all(_is_number(row[2]) for row in rows):
        return {"start": 0, "end": 1, "label": 2}
    numbers = [[float(cell) for cell in row] for row in rows]
    if all(row[0] < row[1] and row[2] in KEYS for row in numbers):
        return {"start": 0, "end": 1, "pitch": 2}
    if all(LOWEST_HZ <= row[1] <= HIGHEST_HZ and 0 < row[2] <= LONGEST_SECONDS for row in numbers):
        return {"start": 0, "hz": 1, "duration": 2}
    return {}


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell))
