"""Tables and durations on a terminal of any width.

Contents: `show_table`, `minutes`.
"""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from audiomtl.harness.train.progress import console

WIDE = 10_000  # columns: more than any table needs


def show_table(table: Table, page: Console | None = None) -> None:
    """Print a table; where it is wider than the terminal, a paragraph for each row, so that no name or number
    is cut or broken.

    Parameters
    ----------
    page : where to; by default the `console` of the harness.
    """
    page = page or console()
    needed = Measurement.get(page, page.options.update(max_width=WIDE), table).maximum
    if needed <= page.width:
        page.print(table)
        return
    heads = [str(column.header) for column in table.columns]
    for row in zip(*(map(str, column.cells) for column in table.columns), strict=True):
        page.print(Text(row[0]))
        pairs = [f"{head}: {cell}" for head, cell in zip(heads[1:], row[1:], strict=True) if cell]
        for line in _filled(pairs, page.width - 2):
            page.print(Text(f"  {line}"))


def _filled(parts: Sequence[str], width: int) -> list[str]:
    """The parts, separated by semicolons, in lines of at most ``width`` characters that break between them
    where they can.
    """
    lines: list[str] = []
    for number, part in enumerate(parts):
        part += ";" if number < len(parts) - 1 else ""
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines += textwrap.wrap(part, width, subsequent_indent="  ", break_long_words=False)
    return lines


def minutes(seconds: float) -> str:
    """A duration for people: ``under a minute``, ``about 1 minute``, ``about 40 minutes``."""
    count = round(seconds / 60)
    if seconds < 60:
        return "under a minute"
    return f"about {count} minute{'s' * (count > 1)}"
