"""Typed cells of a table: lists of symbols, times, notes and events, read by one rule or refused.

Conventions: a cell is a list (Parquet), JSON (``["a", "b"]``), what pandas writes of a list (``['a', 'b']``),
or items separated by blanks (``a b``). A missing cell is None. Times are in seconds.

======== ========================================= ==================================== =====================
kind     a value                                   separated by blanks                  columns by default
======== ========================================= ==================================== =====================
symbols  list of text: phones, tokens              ``h ɛ l ə``                          phones
words    the same                                  ``a word``; commas stay              words
times    list of seconds                           ``0.0 0.12``                         starts, ends,
                                                                                        word_starts, word_ends
notes    list of (onset, offset, MIDI pitch)       three numbers per note               notes
passages list of (onset, offset)                   two numbers per passage              passages
events   list of (onset, offset, class)            only JSON or lists                   events
labels   list of classes                           only JSON or lists                   labels
numbers  list of numbers, or one number            ``0.5 1.25``                         none
file     path relative to the folder of the table                                       names that end in
                                                                                        _path
======== ========================================= ==================================== =====================

Contents: `KINDS`, `DEFAULTS`, `read`, `column`, `spans_faults`, `within`;
`refuse_texts`, for families.
"""

import ast
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from audiomtl.errors import UserError
from audiomtl.settings.validation import show

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["symbols", "words", "times", "notes", "passages", "events", "labels", "numbers", "file"]
KINDS: tuple[str, ...] = get_args(Kind)
DEFAULTS: Mapping[str, Kind] = {
    "phones": "symbols",
    "words": "words",
    "starts": "times",
    "ends": "times",
    "word_starts": "times",
    "word_ends": "times",
    "notes": "notes",
    "passages": "passages",
    "events": "events",
    "labels": "labels",
}
TIMED = {"phones": ("starts", "ends"), "words": ("word_starts", "word_ends")}  # list -> its times
# how far a time may lie behind the end of the recording: rounding, and the last hop of an annotation program
SLACK_SECONDS = 0.05
# keys of dicts for the parts of a span
PARTS = (
    ("onset", "start", "start_time", "begin"),
    ("offset", "end", "end_time", "stop"),
    ("label", "event_label", "event", "class", "name", "pitch", "note", "midi"),
)


def read(value: Any, kind: str) -> Any:
    """One cell, not missing, as a value of its kind.

    Raises
    ------
    ValueError : the value, the rule and the remedy, without the place.
    """
    return READERS[kind](value)


def column(values: Sequence[Any], kind: str, *, named: bool) -> tuple[list[Any] | None, dict[int, str]]:
    """The cells of a column as values of a kind, and what is wrong: row -> message.

    Parameters
    ----------
    values : the cells; None where they are missing.
    named : whether the settings name the kind. Otherwise it comes from the column's name, and a column in
        which no cell can be read so is something else, such as remarks called "notes": then there are no
        values (None).
    """
    by_frame = (isinstance(value, np.ndarray) and value.dtype != object for value in values)
    if not named and kind == "notes" and any(by_frame):
        return None, {}  # a key for each frame, which the head melody reads as it is
    found: list[Any] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(values):
        try:
            cell = None if value is None else read(value, kind)
            found.append(None if kind in ("symbols", "words") and not cell else cell)
        except ValueError as error:
            found.append(None)
            faults[row] = str(error)
    filled = sum(value is not None for value in values)
    if not named and kind != "symbols" and len(faults) == filled:
        return None, {}
    return found, faults


def refuse_texts(table: "pd.DataFrame", column: str, kind: str, place: str) -> None:
    """Refuse a column of texts where a family reads lists: they would be read letter by letter.

    Parameters
    ----------
    kind : of `KINDS`, what the family needs. place : the setting that names the column.

    Raises
    ------
    UserError : naming clip, value and remedy.
    """
    for clip, value in zip(table["clip_id"], table[column], strict=True):
        if isinstance(value, str):
            raise UserError(
                f"{place}: clip {clip}: column {column} has the text {show(value)}, but a list of {kind} is"
                f' needed; say how its cells are read: {column} = "{kind}" in [data.cells]'
            )


# ---------------------------------------------------------------- lists


def _plain(value: Any) -> Any:
    """Arrays as lists, at every level; text in NFC."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _items(value: Any) -> list[Any]:
    """The items of a list cell; texts are split by the stated rule."""
    value = _plain(value)
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{show(value)}: must be a list, or text with items separated by blanks")
    text = value.strip()
    if not text.startswith(("[", "(")):
        return text.split()
    if "..." in text:
        raise ValueError(f"{show(text)}: is abbreviated, items are missing; write the lists as JSON")
    try:
        items = json.loads(text)
    except ValueError:
        try:
            items = ast.literal_eval(text)  # what str() makes of a list
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise ValueError(
                f'{show(text)}: begins with "{text[0]}" but is no list; write JSON, such as ["a", "b"]'
            ) from None
    if not isinstance(items, list | tuple):
        raise ValueError(f"{show(text)}: must be a list")
    # numpy writes ['a' 'b'] without commas, which Python reads as one text
    if len(items) == 1 and isinstance(items[0], str) and text.count("'") > 2 and "," not in text:
        raise ValueError(f"{show(text)}: has no commas between its items; write the lists as JSON")
    return _plain(items)


def _symbols(value: Any) -> list[str]:
    split = isinstance(value, str) and not value.strip().startswith("[")
    items = _items(value)
    if split and len(items) > 1 and all(item.endswith((",", ";")) for item in items[:-1]):
        raise ValueError(
            f"{show(value)}: items are separated by {items[0][-1]!r}; separate them by blanks, or write JSON"
        )
    if split and len(items) == 1 and any(mark in items[0].strip(",;|") for mark in ",;|"):
        raise ValueError(f"{show(value)}: is a single item; separate items by blanks, or write JSON")
    return _words(value)


def _words(value: Any) -> list[str]:
    items = _items(value)
    for item in items:
        if not isinstance(item, str):
            raise ValueError(f"{show(value)}: must be a list of texts, but has {show(item)}; quote it")
        if not item.strip():
            raise ValueError(f"{show(value)}: has an empty item; remove it, or give silence a symbol")
    return [item.strip() for item in items]


def _labels(value: Any) -> list[str]:
    if isinstance(value, str) and not value.strip().startswith("["):
        raise ValueError(
            f'{show(value)}: must be a list of classes, such as ["speech", "music"]; a class may contain'
            " blanks, so text is not split"
        )
    listed = _items(value)
    for item in listed:
        if type(item) not in (str, int):
            raise ValueError(f"{show(value)}: must be a list of classes, but one is {show(item)}; quote it")
    items = [str(item) for item in listed]
    if any(not item.strip() for item in items):
        raise ValueError(f"{show(value)}: has an empty class; remove it")
    return [item.strip() for item in items]


def _number(item: Any) -> float:
    try:
        if isinstance(item, bool):
            raise ValueError
        number = float(item)
    except (TypeError, ValueError):
        hint = "; use a decimal point" if isinstance(item, str) and "," in item else ""
        raise ValueError(f"{show(item)}: must be a number{hint}") from None
    if not math.isfinite(number):
        raise ValueError(f"{show(item)}: must be a finite number")
    return number


def _numbers(value: Any) -> list[float]:
    value = [value] if isinstance(value, int | float | np.number) else value
    return [_number(item) for item in _items(value)]


def _times(value: Any) -> list[float]:
    found = _numbers(value)
    if found and min(found) < 0:
        raise ValueError(f"{min(found):g}: times must be at least 0 s")
    return found


def _spans(value: Any, parts: int, form: str) -> list[list[Any]]:
    """Spans as lists of their parts, from lists of lists or dicts, or from a flat row of numbers."""
    items = _items(value)
    if items and all(isinstance(item, dict) for item in items):
        items = [[_part(item, names) for names in PARTS[:parts]] for item in items]
    elif items and not any(isinstance(item, list | tuple) for item in items):
        if len(items) % parts:
            raise ValueError(f"{len(items)} numbers: must be {parts} per item, {form}")
        items = [items[first : first + parts] for first in range(0, len(items), parts)]
    for item in items:
        if not isinstance(item, list | tuple) or len(item) != parts:
            raise ValueError(f"{show(item)}: must be {form}")
    return [list(item) for item in items]


def _part(item: Mapping[str, Any], names: Sequence[str]) -> Any:
    given = next((name for name in names if name in item), None)
    if given is None:
        raise ValueError(f"{show(dict(item))}: has no {names[0]}; it needs onset, offset and what it is")
    return item[given]


def _ordered(spans: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    found = sorted(spans)
    for span in found:
        if span[0] < 0:
            raise ValueError(f"{span}: must start at 0 s or later")
        if not span[0] < span[1]:
            raise ValueError(f"{span}: must end after its start; is the second number a length?")
    return found


def _notes(value: Any) -> list[tuple[Any, ...]]:
    form = "onset, offset, MIDI pitch"
    found = [(_number(on), _number(off), _number(pitch)) for on, off, pitch in _spans(value, 3, f"({form})")]
    for note in found:
        if note[2] != round(note[2]) or not 0 <= note[2] <= 127:
            raise ValueError(
                f"{note}: the pitch must be a whole MIDI number from 0 to 127 (69 is A4, 440 Hz); convert Hz"
                " with 69 + 12 log2(Hz / 440)"
            )
    return _ordered((on, off, int(pitch)) for on, off, pitch in found)


def _passages(value: Any) -> list[tuple[Any, ...]]:
    return _ordered((_number(on), _number(off)) for on, off in _spans(value, 2, "(onset, offset)"))


def _events(value: Any) -> list[tuple[Any, ...]]:
    if isinstance(value, str) and not value.strip().startswith("["):
        raise ValueError(f'{show(value)}: must be a list of events, such as [[0.5, 1.2, "dog"]]')
    found = []
    for on, off, label in _spans(value, 3, '(onset, offset, class), such as [0.5, 1.2, "dog"]'):
        if not isinstance(label, str) or not label.strip():
            raise ValueError(f"{show(label)}: must be the class of an event, in quotes")
        found.append((_number(on), _number(off), label.strip()))
    return _ordered(found)


def _file(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{show(value)}: must be the path of a file")
    return value


READERS: Mapping[str, Callable[[Any], Any]] = {
    "symbols": _symbols,
    "words": _words,
    "times": _times,
    "notes": _notes,
    "passages": _passages,
    "events": _events,
    "labels": _labels,
    "numbers": _numbers,
    "file": _file,
}


# ---------------------------------------------------------------- columns that belong together


def spans_faults(row: Mapping[str, Any], seconds: float, kinds: Mapping[str, str] = DEFAULTS) -> str:
    """What is wrong between the typed cells of one clip; "" where nothing is.

    Lists and their times have one length; no time lies behind the end of the recording (``seconds``, NaN
    where it is not known) by more than `SLACK_SECONDS`.

    Parameters
    ----------
    kinds : of the columns that are typed.
    """
    for name, times in TIMED.items():
        listed = row.get(name)
        own = [column for column in times if column in row and kinds.get(column) == "times"]
        if listed is None or kinds.get(name) not in ("symbols", "words"):
            continue
        for column in own:
            if row[column] is None:
                return f"{name} without {column}; give every clip its {column}, or remove the column"
            if len(row[column]) != len(listed):
                return f"{len(listed)} {name}, but {len(row[column])} {column}; they must have one length"
        for before, after in pairwise(row[times[0]] if times[0] in own else ()):
            if after < before:
                return f"{times[0]}: {after:g} after {before:g}: must not decrease; sort them"
        if len(own) == len(times):
            for item, start, end in zip(listed, *(row[column] for column in times), strict=True):
                if not start < end:
                    return f"{item} from {start:g} to {end:g} s: must end after its start"
    for column, kind in kinds.items():
        value = row.get(column)
        if not value or kind not in ("times", "notes", "passages", "events"):
            continue
        last = max(value) if kind == "times" else max(span[1] for span in value)
        if last > seconds + SLACK_SECONDS:
            return (
                f"{column} reach {last:.3f} s, but the recording ends at {seconds:.3f} s; are they of another"
                " recording, or in another unit than seconds?"
            )
    return ""


def within(value: Any, kind: str, seconds: float) -> Any:
    """The value with ends that lie behind the end of the recording, by less than `SLACK_SECONDS`, moved
    there.
    """
    if value is None or not math.isfinite(seconds):
        return value
    if kind == "times":
        return [min(time, seconds) for time in value]
    if kind in ("notes", "passages", "events"):
        return [(span[0], min(span[1], seconds), *span[2:]) for span in value if span[0] < seconds]
    return value
