"""Transcripts to phones: ``[text]`` of an experiment applied to a clip table, or to the text of a command.

Conventions: a word is a run of letters, digits and combining marks, with apostrophes and hyphens inside it;
a word with hyphens (Son-ne) is pronounced part by part. Words are NFC-normalised and in lower case when they
are looked up. The phones of a clip are those of its words one after the other, without pauses.

Contents: `words_of`, `phones_of`, `with_phones`, `checked`, `untranscribed`; `fingerprint`,
`dictionary_digest`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, files, pronunciation
from audiomtl.errors import UserError
from audiomtl.settings.text import Text
from audiomtl.settings.validation import nearest

NAMED = 5  # clips or words that a message names
FEWEST_WORDS = 10  # different words of a table, from which on a wrong language is refused
JOINERS = "\u200c\u200d"  # letters of one word in Persian and in Indic scripts
INSIDE = "'-"


def words_of(text: str) -> list[str]:
    """The words of a text, in order, as they are written."""
    text = unicodedata.normalize("NFC", text).translate({ord("’"): "'", ord("‐"): "-", ord("‑"): "-"})
    marked = "".join(letter if _of_word(letter) else " " for letter in text)
    # apostrophes and hyphens count between letters only
    return [word for part in marked.split() if (word := re.sub(r"[-']{2,}", "-", part).strip(INSIDE))]


def phones_of(words: Sequence[str], settings: Text, *, place: str = "text") -> list[list[str]]:
    """Phones of each word.

    Parameters
    ----------
    place : where the words stand, at the beginning of messages.

    Raises
    ------
    UserError : an unknown language, a dictionary that cannot be read, words that it lacks, words that
        espeak-ng cannot pronounce.
    """
    entries = pronunciation.read_dictionary(settings.dictionary) if settings.dictionary else {}
    # of a word with a hyphen the dictionary may have the whole
    parts = [
        [word] if word in entries else [part for part in word.split("-") if part]
        for word in (one.lower() for one in words)
    ]
    once = sorted({part for own in parts for part in own})
    if settings.units == "letters":
        known: dict[str, Sequence[str]] = {part: _letters(part) for part in once}
    elif settings.dictionary:
        known = _looked_up(once, entries, settings, place)
    else:
        known = _pronounced(once, settings.language, place)
    return [[phone for part in own for phone in known[part]] for own in parts]


def with_phones(table: pd.DataFrame, settings: Text | None) -> pd.DataFrame:
    """The clip table with a column ``phones``, and ``words`` if it has none, made from its transcripts; a
    table that has phones is returned as it is.

    A clip without a transcript gets None. Where phones are made here, ``starts`` and ``ends``, which belong
    to something else then, are None.

    Raises
    ------
    UserError : no such column, a cell that is no text; what `phones_of` refuses; a language that most words
        do not belong to.
    """
    if settings is None or "phones" in table.columns:
        return table
    if settings.column not in table.columns:
        there = list(map(str, table.columns))
        raise UserError(
            f'text.column = "{settings.column}": the clip table has no such column'
            f"{nearest(settings.column, there)}; it has {', '.join(there)}"
        )
    pairs = zip(table["clip_id"], table[settings.column], strict=True)
    transcripts = [_transcript(cell, clip, settings.column) for clip, cell in pairs]
    once = sorted({word for words in transcripts for word in words or ()})
    if not once:
        raise UserError(f'text.column = "{settings.column}": no clip has a transcript in this column')
    known = dict(zip(once, phones_of(once, settings, place=f"column {settings.column}"), strict=True))
    _check_belongs(once, settings)
    phones = [
        None if words is None else [phone for word in words for phone in known[word]] for words in transcripts
    ]
    nothing = dict.fromkeys((one for one in ("starts", "ends") if one in table.columns), [None] * len(table))
    words = {} if "words" in table.columns else {"words": [words or [] for words in transcripts]}
    return _with(table, {**words, "phones": phones, **nothing})


def checked(table: pd.DataFrame) -> pd.DataFrame:
    """A table with phones whose cells are lists: of text, with as many start times where there are some.

    Returns
    -------
    the table with ``phones`` as lists of str or None, ``starts`` as float arrays, empty where unknown.

    Raises
    ------
    UserError : a cell that is no list of text, times that are not numbers, fall, or differ in number.
    """
    phones, starts = [], []
    times = table["starts"] if "starts" in table.columns else [None] * len(table)
    for clip, cell, begun in zip(table["clip_id"], table["phones"], times, strict=True):
        phones.append(_list_of_text(cell, clip))
        starts.append(_times(begun, clip, phones[-1]))
    return _with(table, {"phones": phones, "starts": starts})


def untranscribed(table: pd.DataFrame) -> np.ndarray:  # (clips,) bool
    """Which clips have no phones, or an empty list of them."""
    return np.array([phones is None or not len(phones) for phones in table["phones"]], bool)


def fingerprint(table: pd.DataFrame, raw: Mapping[str, Any]) -> str:
    """What the data of a raw experiment are: `catalog.fingerprint` of its clips, and the dictionary that its
    ``[text]`` names, if it names one.
    """
    found, words = catalog.fingerprint(table), dictionary_digest(raw)
    return hashlib.sha256(f"{found} {words}".encode()).hexdigest()[:12] if words else found


def dictionary_digest(raw: Mapping[str, Any]) -> str:
    """SHA-256 of the dictionary that a raw experiment names, "" where it names none or there is no file."""
    table = raw.get("text")
    path = table.get("dictionary") if isinstance(table, Mapping) else None
    if not path:
        return ""
    try:
        return files.digest(path)
    except UserError:
        return ""


# ---------------------------------------------------------------- words


def _of_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LMN" or letter in INSIDE or letter in JOINERS


def _letters(word: str) -> list[str]:
    """Letters of a word with the marks that belong to them; no punctuation."""
    found: list[str] = []
    for letter in word:
        kind = unicodedata.category(letter)[0]
        if kind == "M" and found:
            found[-1] += letter
        elif kind in "LN":
            found.append(letter)
    return found


def _looked_up(
    parts: Sequence[str], entries: Mapping[str, Sequence[str]], settings: Text, place: str
) -> dict[str, Sequence[str]]:
    known: dict[str, Sequence[str]] = {part: entries[part] for part in parts if part in entries}
    lacking = [part for part in parts if part not in known]
    if lacking and settings.unknown == "error":
        raise UserError(
            f'{place}: text.dictionary = "{settings.dictionary}" lacks {len(lacking)} of {len(parts)} words:'
            f' {_named(lacking)}; add them, or set text.unknown = "letters", or "espeak" with text.language'
        )
    if settings.unknown == "espeak":
        return known | _pronounced(lacking, settings.language, place)
    return known | {part: _letters(part) for part in lacking}


def _pronounced(words: Sequence[str], language: str, place: str) -> dict[str, Sequence[str]]:
    found = dict(zip(words, pronunciation.pronounce(language, words), strict=True)) if words else {}
    if silent := [word for word, spoken in found.items() if not spoken.phones]:
        raise UserError(
            f"{place}: espeak-ng cannot pronounce {_named(silent)} in language {language}; leave such words"
            " out or spell them as they sound"
        )
    return {word: spoken.phones for word, spoken in found.items()}


def _check_belongs(words: Sequence[str], settings: Text) -> None:
    """Refuse a language that espeak-ng leaves for most of the words."""
    if not settings.language or settings.dictionary or len(words) < FEWEST_WORDS:
        return
    spoken = zip(words, pronunciation.pronounce(settings.language, [w.lower() for w in words]), strict=True)
    foreign = [(word, one.foreign) for word, one in spoken if one.foreign]
    if 2 * len(foreign) > len(words):
        raise UserError(
            f'text.language = "{settings.language}": espeak-ng says {len(foreign)} of {len(words)} words in'
            f" another language ({foreign[0][1]}), such as {_named([word for word, _ in foreign])}; set the"
            " language of the transcripts"
        )


# ---------------------------------------------------------------- cells


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA


def _transcript(cell: Any, clip: str, column: str) -> list[str] | None:
    """Words of a cell: a text, or a list of words; None where there are none."""
    if _missing(cell):
        return None
    cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
    if isinstance(cell, list | tuple) and all(isinstance(word, str) for word in cell):
        cell = " ".join(cell)
    if not isinstance(cell, str):
        raise UserError(f"clip {clip}: column {column} holds {cell!r:.60}: must be the text that is spoken")
    return words_of(cell) or None


def _list_of_text(cell: Any, clip: str) -> list[str] | None:
    if _missing(cell):
        return None
    cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
    if isinstance(cell, str):
        raise UserError(
            f'clip {clip}: column phones holds the text "{cell[:60]}": must be a list of phones; name a'
            " column of transcripts in [text], or split it in the table"
        )
    if not isinstance(cell, list | tuple) or not all(isinstance(phone, str) and phone for phone in cell):
        raise UserError(f"clip {clip}: column phones holds {cell!r:.60}: must be a list of phones")
    return list(cell)


def _times(cell: Any, clip: str, phones: Sequence[str] | None) -> np.ndarray:
    if _missing(cell) or phones is None or not len(cell):
        return np.zeros(0)
    try:
        times = np.asarray(cell, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"clip {clip}: column starts holds {cell!r:.60}: must be a list of seconds") from None
    if times.shape != (len(phones),):
        raise UserError(
            f"clip {clip}: column starts has {times.size} times for {len(phones)} phones; give one for each"
        )
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise UserError(
            f"clip {clip}: column starts must rise and be finite, but holds {times.tolist()!r:.60}"
        )
    return times


def _with(table: pd.DataFrame, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """The table with columns of lists."""
    made = table.assign(
        **{name: pd.Series(list(cells), table.index, object) for name, cells in columns.items()}
    )
    made.attrs = dict(table.attrs)
    return made


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
