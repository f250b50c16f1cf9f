"""The parts of a report, each written as Markdown by ``str``; the HTML page is made from the same parts.

Contents: `Text`, `Items`, `Table`, `Figure`, `Section`, `Chapter`; `joined`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Block(Protocol):
    """One part of a section; its class attribute ``kind`` names its template."""

    kind: str


@dataclass(frozen=True)
class Text:
    """One paragraph."""

    text: str
    kind = "text"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Items:
    """A list of lines."""

    lines: Sequence[str]
    kind = "items"

    def __str__(self) -> str:
        return "\n".join(f"- {line}" for line in self.lines)


@dataclass(frozen=True)
class Table:
    """A table; in Markdown, what would end a cell or begin HTML in it is escaped."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind = "table"

    @classmethod
    def filled(cls, head: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
        """Without the columns that are empty in every row."""
        kept = [column for column in range(len(head)) if any(row[column] for row in rows)]
        return cls([head[column] for column in kept], [[row[column] for column in kept] for row in rows])

    def __str__(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


@dataclass(frozen=True)
class Figure:
    """A figure: a PNG file beside ``report.md``, a drawing for the page, or both."""

    title: str
    name: str = ""  # of the PNG file; "": the Markdown has no such figure
    drawings: Sequence[str] = ()  # SVG elements; (): the page has no such figure
    note: str = ""  # how to read the drawing
    wide: bool = False  # a drawing takes the width of two
    kind = "figure"

    def __str__(self) -> str:
        return f"![{self.title}]({self.name})" if self.name else ""


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; without a title, those that begin a chapter."""

    title: str
    blocks: Sequence[Block]

    def __str__(self) -> str:
        return joined([f"### {self.title}" if self.title else "", *self.blocks])


@dataclass(frozen=True)
class Chapter:
    """One experiment."""

    name: str
    sections: Sequence[Section] = field(default_factory=list)

    def __str__(self) -> str:
        return joined([f"## {self.name}", *self.sections])


def joined(parts: Iterable[object]) -> str:
    """Paragraphs of Markdown; what is empty is left out."""
    return "\n\n".join(text for part in parts if (text := str(part)))


def _cell(text: str) -> str:
    return " ".join(text.splitlines()).replace("|", chr(92) + "|").replace("<", "&lt;")
