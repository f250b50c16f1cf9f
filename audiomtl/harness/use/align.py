"""The ``align`` command: when each word and phone of a text is sung or spoken in a recording.

Contents: `align`, `table`.
"""

import csv
import io
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness.use.models import checked_place, ready

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
PAUSE = "_"


def align(
    file: ExperimentFile, sound: Path, text: str, *, phones: bool, seed: int | None, to: str, force: bool
) -> Any:
    """Align a text with a recording, using the best run of an experiment; also written to ``to`` unless that
    is "".

    Parameters
    ----------
    text : a file with the text, or the text itself; with ``phones`` it is phones separated by spaces.
    to : ends in ``.csv``, ``.TextGrid`` (Praat) or ``.txt`` (Audacity's labels).

    Raises
    ------
    UserError : an experiment that cannot align or has no best run; a sound that cannot be read; what
        `aligned` rejects; a file that already exists, without ``force``.
    """
    place = checked_place(Path(to), tuple(_WRITERS), force) if to else None
    said = _said(text, phones)
    use, fitted, y = ready(file, sound, "align", "", seed)
    found = use.align(fitted, y, said, phones=phones)
    if place:
        try:
            place.write_text(_WRITERS[place.suffix](found), encoding="utf-8")
        except OSError as error:
            raise UserError(f"{place}: cannot be written ({error.strerror})") from None
    return found


def table(found: Any) -> str:
    """A line per phone for people: start, end, phone, and the word where one begins."""
    begun = dict(zip(found.firsts, found.words, strict=True))
    lines = [f"{'start':>8} {'end':>8}  phone  {'word' if found.words else ''}".rstrip()]
    for number, one in enumerate(found.phones):
        word = begun[number].label if number in begun else ""
        lines.append(f"{one.start_seconds:8.3f} {one.end_seconds:8.3f}  {one.label:<5}  {word}".rstrip())
    return "\n".join(lines)


def _said(text: str, phones: bool) -> list[str]:
    """Words or phones of a text or of the file that it names."""
    place = "TEXT"
    if os.path.isfile(text):
        place = text
        try:
            text = Path(text).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{place}: cannot be read as text ({error}); save it as UTF-8") from None
    elif text.endswith(".txt") or os.sep in text:
        raise UserError(f"{text}: no such file; TEXT is a file with the text, or the text itself")
    text = unicodedata.normalize("NFC", text)
    said = [phone for phone in text.split() if phone != PAUSE] if phones else WORD.findall(text)
    if not said:
        raise UserError(
            f"{place}: contains no {'phones' if phones else 'words'}; give the text of the recording"
        )
    return said


def _csv(found: Any) -> str:
    """A row per phone: its word, where there is one."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(["word", "phone", "start_seconds", "end_seconds"])
    for word, one in zip(_word_of(found), found.phones, strict=True):
        writer.writerow([word, one.label, f"{one.start_seconds:.3f}", f"{one.end_seconds:.3f}"])
    return page.getvalue()


def _word_of(found: Any) -> list[str]:
    """The word of each phone, "" without one."""
    lengths = np.diff([*found.firsts, len(found.phones)])
    return [one.label for one, length in zip(found.words, lengths, strict=True) for _ in range(length)] or [
        ""
    ] * len(found.phones)


def _labels(found: Any) -> str:
    """Labels of Audacity, of words where there are any."""
    return "".join(
        f"{one.start_seconds:.6f}\t{one.end_seconds:.6f}\t{one.label}\n"
        for one in found.words or found.phones
    )


def _text_grid(found: Any) -> str:
    """A TextGrid of Praat, a tier of words where there are any and one of phones, edge to edge from 0 to
    the end.
    """
    tiers = {"words": found.words, "phones": found.phones} if found.words else {"phones": found.phones}
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {found.seconds:.6f}",
        "tiers? <exists>",
    ]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), start=1):
        filled, last = [], 0.0
        for one in spans:
            if one.start_seconds > last + 1e-6:
                filled.append((last, one.start_seconds, ""))
            filled.append((one.start_seconds, one.end_seconds, one.label))
            last = one.end_seconds
        if found.seconds > last + 1e-6:
            filled.append((last, found.seconds, ""))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{name}"',
            "        xmin = 0",
        ]
        lines += [f"        xmax = {found.seconds:.6f}", f"        intervals: size = {len(filled)}"]
        for index, (start, end, label) in enumerate(filled, start=1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{index}]:", f"            xmin = {start:.6f}"]
            lines += [f"            xmax = {end:.6f}", f'            text = "{quoted}"']
    return "\n".join(lines) + "\n"


_WRITERS = {".csv": _csv, ".TextGrid": _text_grid, ".txt": _labels}
