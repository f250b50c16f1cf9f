"""Formats of annotation files: one file of this folder each, found by its name. `Format` documents their
interface.

Conventions: a span is (start, end, label) in seconds, in order; phones do not overlap. What a file says of a
recording has up to five parts (`PARTS`): phones, words, events (spans, or for phones and words a
list of labels without times), text (one string) and notes (onset, offset, MIDI pitch). Of two formats beside
one recording that say the same part, that with the lower ``RANK`` is read.

Contents: `Annotation`, `Format`, `Sound`, `Options`, `SettingError`, `formats`, `suffixes`, `of_file`; for
formats: `text_of`, `lines`, `ordered`, `number`.
"""

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from audiomtl.data import audio, tables
from audiomtl.errors import UserError
from audiomtl.settings.named import names
from audiomtl.settings.validation import show

PARTS = ("phones", "words", "events", "notes", "text")
Span = tuple[float, float, str]
Spans = list[Span]


class SettingError(UserError):
    """A setting that no annotation file of its kind can be read with, not a fault of one file."""


class Sound:
    """The recording that an annotation file belongs to; its header is read when it is needed."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> audio.Info:
        return audio.info(self.path)


class Options(NamedTuple):
    """Settings that say how annotation files are read."""

    tier: str = ""  # of a TextGrid; "" takes the one that there is, or the one with a known name
    spans: str = ""  # what labels with times are: phones, words or events; "" leaves it to the format


@dataclass(frozen=True)
class Annotation:
    """What one annotation file says of one recording."""

    parts: dict[str, Any] = field(default_factory=dict)  # of `PARTS`
    remarks: tuple[str, ...] = ()  # what was assumed, without the file's name


class Format(Protocol):
    """What a module of this folder has."""

    SUFFIXES: tuple[str, ...]  # in lower case
    RANK: int  # the lower, the more it is believed

    def fits(self, path: Path) -> bool:
        """Whether a file with such a suffix is of this format, from its content."""

    def read(self, path: Path, sound: Sound, options: Options) -> Annotation:
        """Read a file.

        Raises
        ------
        UserError : place, value, rule, remedy.
        """


@cache
def formats() -> dict[str, Format]:
    """The modules of formats by name, in the order of their ranks."""
    found: dict[str, Any] = {name: importlib.import_module(f"{__name__}.{name}") for name in names(__name__)}
    return dict(sorted(found.items(), key=lambda item: (item[1].RANK, item[0])))


def suffixes() -> tuple[str, ...]:
    """Suffixes of all formats."""
    return tuple(sorted({suffix for one in formats().values() for suffix in one.SUFFIXES}))


def of_file(path: Path) -> str:
    """Name of the format of a file; "" where no format reads it."""
    for name, one in formats().items():
        if path.suffix.lower() in one.SUFFIXES and one.fits(path):
            return name
    return ""


# ---------------------------------------------------------------- for formats


def text_of(path: Path) -> str:
    """The text of a file, in UTF-8, UTF-16 or, if it is neither, Windows-1252.

    Raises
    ------
    UserError : no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return tables.decoded(path, content)[0]


def lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not blank, with their numbers from 1."""
    return [(number, line) for number, line in enumerate(text_of(path).splitlines(), 1) if line.strip()]


def number(text: str, place: str) -> float:
    """A number of an annotation file.

    Raises
    ------
    UserError : naming place and value.
    """
    try:
        value = float(text)
    except ValueError:
        hint = "; write a decimal point" if "," in text else ""
        raise UserError(f"{place}: {show(text)}: must be a number{hint}") from None
    if not math.isfinite(value):
        raise UserError(f"{place}: {show(text)}: must be a finite number")
    return value


def ordered(path: Path, spans: Iterable[tuple[int, float, float, str]], *, overlaps: bool = False) -> Spans:
    """Checked spans in order of their starts.

    Parameters
    ----------
    spans : (line, start, end, label) in seconds.
    overlaps : whether they may overlap, as events and words may.

    Raises
    ------
    UserError : a start below 0, an end that is not after it, an empty label, spans that overlap.
    """
    found: list[tuple[int, float, float, str]] = []
    for line, start, end, label in spans:
        place = f"{path} line {line}"
        if not label.strip():
            raise UserError(f"{place}: {start:g} to {end:g} s has no label; write one, or remove the line")
        if start < 0:
            raise UserError(f"{place}: starts at {start:g} s, but must start at 0 s or later")
        if not start < end:
            raise UserError(
                f"{place}: {show(label)} from {start:g} to {end:g} s must end after its start; fix its times"
            )
        found.append((line, start, end, " ".join(label.split())))
    found.sort(key=lambda span: (span[1], span[2], span[0]))
    for before, after in pairwise(found):
        if not overlaps and after[1] < before[2] - 1e-6:
            raise UserError(
                f"{path} line {after[0]}: {show(after[3])} starts at {after[1]:g} s, before"
                f" {show(before[3])} of line {before[0]} ends at {before[2]:g} s; they must not overlap"
            )
    return [(start, end, label) for _, start, end, label in found]
