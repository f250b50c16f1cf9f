"""Columns of a clip table from annotation files beside recordings.

Conventions: as in `audiomtl.data.annotations` and `audiomtl.data.pairing`. Contents: `read`, `sentences`,
`fold`, `PARTS`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from audiomtl.data import annotations, pairing, tables
from audiomtl.data.annotations import Annotation, Options, SettingError, Sound, Spans
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest

PARTS = frozenset(annotations.PARTS)
TIMES = {"phones": ("starts", "ends"), "words": ("word_starts", "word_ends")}
NAMED = 5


def read(
    root: Path, files: Sequence[Path], sounds: Sequence[Path], data: Any, remarks: list[str]
) -> tuple[pd.DataFrame, dict[int, tuple[str, str]]]:
    """The columns, one row per recording (None where it has no such annotation), and faults by row.

    Parameters
    ----------
    files : all below ``root``. sounds : the recordings among them.
    data : settings with annotations, tier, spans and symbols. remarks : what was assumed is added to it.
    """
    found = pairing.pairs(root, files, sounds)
    if found.unread:
        remarks.append(f"not read: {', '.join(found.unread)} files, whose format is not known")
    chosen = _chosen(found.by_pattern, data.annotations, root, remarks)
    options = Options(data.tier, data.spans)
    parts: list[dict[str, Any]] = [{} for _ in sounds]
    faults: dict[int, tuple[str, str]] = {}
    taken: set[tuple[str, str]] = set()  # (format, part)
    for name, pattern in chosen:
        own, module = found.by_pattern[pattern], annotations.formats()[name]
        counts: Counter[str] = Counter()
        said: tuple[str, ...] = ()
        given: set[str] = set()
        for number, path in own.items():
            lacking = {part for part in PARTS if part not in parts[number] and (name, part) not in taken}
            if number in faults or not lacking or (given and not given & lacking):
                continue
            try:
                annotation: Annotation = module.read(path, Sound(sounds[number]), options)
            except SettingError:
                raise
            except UserError as error:
                faults[number] = ("annotation", str(error))
                continue
            new = {part: value for part, value in annotation.parts.items() if part in lacking}
            said = said or annotation.remarks
            parts[number] |= new
            counts.update(new.keys())
            given |= annotation.parts.keys()
        taken |= {(name, part) for part in given}
        if counts:
            has = " and ".join(f"the {part} of {count}" for part, count in sorted(counts.items()))
            remarks.append("; ".join([f"{pattern} has {has} of {len(sounds)} recordings", *said]))
        if given and not counts:
            remarks.append(f"{pattern} is not read: other files say the same; data.annotations chooses")
    return _columns(parts, data, sounds), faults


def _chosen(
    patterns: Mapping[str, Mapping[int, Path]], wanted: Sequence[str], root: Path, remarks: list[str]
) -> list[tuple[str, str]]:
    """(format, pattern) of the files that are read, the most believed first."""
    for pattern in wanted:
        if pattern not in patterns:
            raise UserError(
                f'data.annotations = "{pattern}": there are no such files{nearest(pattern, patterns)}; in'
                f" {root} there are {', '.join(patterns) or 'none'}"
            )
    ordered = []
    for pattern in wanted or patterns:
        files = patterns[pattern]
        name = annotations.of_file(next(iter(files.values())))
        if not name and wanted:
            raise UserError(
                f'data.annotations = "{pattern}": {next(iter(files.values()))} is of no format that is read'
            )
        if not name:
            remarks.append(f"{pattern} is not read: {next(iter(files.values())).name} is of no known format")
        else:
            ordered.append((annotations.formats()[name].RANK, -len(files), pattern, name))
    return [(name, pattern) for _, _, pattern, name in sorted(ordered)]


def _columns(parts: Sequence[Mapping[str, Any]], data: Any, sounds: Sequence[Path]) -> pd.DataFrame:
    mapping = symbols_of(data.symbols)
    columns: dict[str, list[Any]] = {}

    def put(name: str, row: int, value: Any) -> None:
        columns.setdefault(name, [None] * len(parts))[row] = value

    for row, own in enumerate(parts):
        for part, times in TIMES.items():
            spans: Spans | None = own.get(part)
            if spans is None:
                continue
            if part == "phones" and mapping:
                spans = fold(spans, mapping, str(sounds[row]))
            put(part, row, [label for *_, label in spans])
            for side, column in enumerate(times):
                put(column, row, [float(span[side]) for span in spans])
        text = own.get("text") or (" ".join(label for *_, label in own["words"]) if "words" in own else None)
        if text:
            put("text", row, text)
        if "notes" in own:
            put("notes", row, own["notes"])
        if "events" in own:
            put("events", row, own["events"])
            put("labels", row, sorted({label for *_, label in own["events"]}))
    if "text" in columns:
        columns["sentence"] = list(sentences(columns["text"], [path.stem for path in sounds]))
    if "labels" in columns and all(found and len(found) == 1 for found in columns["labels"]):
        columns["label"] = [found[0] for found in columns["labels"]]
        columns["passages"] = [[span[:2] for span in events] for events in columns["events"]]
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object) for name, values in columns.items()}, index=range(len(parts))
    )


def sentences(written: Sequence[str | None], otherwise: Sequence[str]) -> list[str]:
    """Transcripts in lower case without punctuation: equal for clips of one sentence. A clip without a
    transcript has a sentence of its own.
    """
    found = []
    for text, name in zip(written, otherwise, strict=True):
        plain = unicodedata.normalize("NFC", text or "").casefold()
        words = re.sub(r"[^\w\s']+", " ", plain).replace("_", " ").split()
        found.append(" ".join(words) or f"({name})")
    return found


# ---------------------------------------------------------------- symbols


def symbols_of(setting: str) -> tuple[dict[str, str], str] | None:
    """Symbol -> phone ("" joins it to the segment before it), and the phone of silence; None keeps symbols.

    Raises
    ------
    UserError : no such table, or it lacks a column.
    """
    if not setting:
        return None
    if setting == "timit39":
        from audiomtl.data.datasets import timit

        return (
            {phone: phone for phone in timit.PHONES} | timit.FOLDED | {timit.GLOTTAL_STOP: ""},
            timit.SILENCE,
        )
    place = f'data.symbols = "{setting}"'
    if not Path(setting).is_file():
        raise UserError(
            f'{place}: must be "timit39", or the path of a table with the columns symbol and phone'
        )
    table, _ = tables.read(setting, text=("symbol", "phone"))
    for column in ("symbol", "phone"):
        if column not in table.columns:
            raise UserError(f"{place}: has no column {column}; it has {', '.join(table.columns)}")
    twice = table["symbol"][table["symbol"].duplicated()]
    if len(twice):
        raise UserError(f"{place}: {twice.iloc[0]} occurs twice in the column symbol; remove one of the rows")
    return dict(zip(table["symbol"], table["phone"].fillna(""), strict=True)), "sil"


def fold(spans: Spans, mapping: tuple[dict[str, str], str], place: str) -> Spans:
    """Spans with their symbols renamed. A symbol without a phone is joined to the segment before it, and
    silences in a row become one.

    Raises
    ------
    UserError : a symbol that is not in the mapping.
    """
    phones, silence = mapping
    found: Spans = []
    for start, end, symbol in spans:
        if symbol not in phones:
            raise UserError(
                f'{place}: the symbol "{symbol}" is not in data.symbols{nearest(symbol, phones)}; add it'
            )
        phone = phones[symbol]
        if found and (not phone or phone == found[-1][2] == silence):
            found[-1] = (found[-1][0], end, found[-1][2])
        elif phone:
            found.append((start, end, phone))
    return found
