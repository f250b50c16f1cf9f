"""Names in tables that must be the same text to be the same thing: ids, classes, speakers, songs.

Conventions: a name is cleaned (`clean`): NFC, blanks of any kind are one space, none at its ends, no
invisible characters. So "Zoë ", "Zoë" in two Unicode forms and "Zoë" with a no-break space are one, and "001"
and "1" stay two. Names that stay different but differ only in case, in kinds of hyphens and blanks, or in
width are *variants* (`variants`): probably one name, which nobody but the author can tell.

Contents: `clean`, `cleaned`, `variants`, `odd_classes`, `existing`.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
JOINED = re.compile(r"[|;]")  # between classes in one cell
NAMED = 3  # how many rows a message names


def clean(name: str) -> str:
    """A name in the form in which names are compared."""
    if name.isascii():
        return name if name == name.strip() and "  " not in name and name.isprintable() else _spaced(name)
    return _spaced(unicodedata.normalize("NFC", name.translate(INVISIBLE)))


def _spaced(name: str) -> str:
    return " ".join(name.split())


def cleaned(cells: Iterable[Any], missing: Iterable[bool]) -> list[str | None]:
    """Cells as names, None where they are missing; a whole float, which Parquet makes of a whole number
    beside missing ones, is written without its point.
    """
    return [None if gone else clean(_text(cell)) for cell, gone in zip(cells, missing, strict=True)]


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


@lru_cache(maxsize=100_000)
def _key(name: str) -> str:
    """What variants of one name have in common."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    plain = re.sub(r"[\s_\-‐‑‒–—/.]+", " ", plain) if not re.fullmatch(r"-?[\d.]+", plain) else plain
    whole = re.fullmatch(r"(-?\d+)\.0+", plain)
    return whole[1] if whole else plain


def variants(names: Sequence[str | None], places: Sequence[str]) -> list[str]:
    """Names that are probably one, each with its places: ``"Music" (row 3) and "music" (row 1, row 2)``.

    Parameters
    ----------
    places : where each name stands.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name, place in zip(names, places, strict=True):
        if name:
            found.setdefault(_key(name), {}).setdefault(name, []).append(place)
    return [
        " and ".join(f'"{name}" ({_some(rows)})' for name, rows in sorted(same.items()))
        for _, same in sorted(found.items())
        if len(same) > 1
    ]


def odd_classes(names: Sequence[str | None], places: Sequence[str]) -> list[str]:
    """What is odd about classes: several in one cell, and measurements instead of classes."""
    known = [name for name in names if name]
    joined = [
        (place, name) for name, place in zip(names, places, strict=True) if name and JOINED.search(name)
    ]
    found = []
    if joined:
        where = _some([place for place, _ in joined])
        found.append(f'"{joined[0][1]}" ({where}) looks like several classes in one cell')
    numbers = [name for name in known if re.fullmatch(r"-?\d+[.,]\d*[1-9]\d*", name)]
    if numbers and len(numbers) > len(set(known)) / 2:
        found.append(f'"{numbers[0]}" and {len(set(numbers)) - 1} others are numbers, not classes')
    return found


def _some(places: Sequence[str]) -> str:
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(places[:NAMED]) + more


def existing(path: str) -> str:
    """The path under which a file exists whose name is written in another Unicode form (NFC, NFD); the path
    itself where there is none.
    """
    if path.isascii() or os.path.exists(path):
        return path
    for form in ("NFC", "NFD"):
        if os.path.exists(other := unicodedata.normalize(form, path)):
            return other
    here = Path(path)
    above = Path(existing(str(here.parent))) if here.parent != here else here
    if above.is_dir():
        wanted = unicodedata.normalize("NFC", here.name)
        for name in sorted(os.listdir(above)):
            if unicodedata.normalize("NFC", name) == wanted:
                return str(above / name)
    return path
