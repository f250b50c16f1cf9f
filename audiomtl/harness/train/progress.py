"""Progress of trainings: live lines on a terminal, plain lines otherwise.

Contents: `Progress`, `console`.
"""

import os
import textwrap
import time
from statistics import median
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LONGEST_BAR, SHORTEST_BAR = 24, 8  # characters
PLAIN_SECONDS = 15.0  # without a terminal: at most one epoch line per training in this time


class _Lines(Console):
    """Breaks a line of text between words where the terminal ends; a longer word, such as a path, stays
    whole.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's."""
        if self.is_terminal and len(objects) == 1 and isinstance(objects[0], str):
            objects = ("\n".join(map(self._broken, objects[0].split("\n"))),)
        super().print(*objects, **options)

    def _broken(self, line: str) -> str:
        if len(line) <= self.width:
            return line
        return textwrap.fill(
            line,
            self.width,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def console() -> Console:
    """The console of the harness; without a terminal it is wide enough for the tables."""
    wide = _Lines(highlight=False, markup=False, soft_wrap=True)
    if wide.is_terminal or "COLUMNS" in os.environ:
        return wide
    return _Lines(highlight=False, markup=False, soft_wrap=True, width=160)


class Progress:
    """Use as a context; then `begin`, `epoch` and `end` for every training.

    Parameters
    ----------
    title : such as ``study ctc_german``.
    total : number of trainings; ``done`` of them finished earlier.
    """

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self.title, self.total, self.done = title, total, done
        self._spent: list[float] = []  # seconds of training of each that has finished here
        self._parts: dict[str, float] = {}  # seconds of trainings that are parts, by name
        self._at_once = 1  # most trainings that ran at the same time
        self._best = ""
        self._rows: dict[str, dict[str, Any]] = {}
        self._console = console()
        self._live = (
            Live(self._picture(), console=self._console, refresh_per_second=4, transient=True)
            if self._console.is_terminal
            else None
        )

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print a permanent line."""
        self._console.print(line)

    def begin(self, name: str, epochs: int) -> None:
        """Add a training."""
        self._rows[name] = {
            "epoch": 0,
            "epochs": epochs,
            "score": "",
            "began": time.monotonic(),
            "said": time.monotonic(),
        }
        self._at_once = max(self._at_once, len(self._rows))
        self.refresh()

    def epoch(self, name: str, epoch: int, score: str) -> None:
        """Report that ``epoch`` epochs of a training are done."""
        row = self._rows[name]
        row |= {"epoch": epoch, "score": score}
        if not self._live and time.monotonic() - row["said"] > PLAIN_SECONDS:
            row["said"] = time.monotonic()
            self.say(f"  {name}: epoch {epoch}/{row['epochs']}  {score}")
        self.refresh()

    def end(self, name: str, line: str, best: str = "") -> None:
        """Remove a training, with the parts of it that have left; ``best`` is the best result so far."""
        row = self._rows.pop(name, None)
        parts = [part for part in self._parts if part.startswith(f"{name} ")]
        spent = sum(self._parts.pop(part) for part in parts)
        spent += time.monotonic() - row["began"] if row else 0.0
        if spent:  # nothing was trained for what was copied
            self._spent.append(spent)
        self.done += 1
        self._best = best or self._best
        summary = f"[{self._summary()}]"
        fits = len(line) + 3 + len(summary) <= self._console.width
        if fits:
            self.say(f"{line}   {summary}")
        else:
            self.say(line)
            self.say(f"    {summary}")
        self.refresh()

    def leave(self, name: str, line: str) -> None:
        """Remove a training that is only a part of what is counted: ``trial 3 fold 1`` of ``trial 3``."""
        if row := self._rows.pop(name, None):
            self._parts[name] = time.monotonic() - row["began"]
        self.say(line)
        self.refresh()

    def refresh(self) -> None:
        """Redraw."""
        if self._live:
            self._live.update(self._picture())

    def _summary(self) -> str:
        parts = [f"{self.done}/{self.total}"]
        if self._best:
            parts.append(f"best {self._best}")
        if self._spent and self.done < self.total:
            left = median(self._spent) * (self.total - self.done) / self._at_once
            parts.append(f"about {_clock(left)} left")
        return ", ".join(parts)

    def _picture(self) -> Group:
        rows = [
            (
                f"  {name}",
                f"epoch {row['epoch']}/{row['epochs']}",
                row["score"],
                _clock(time.monotonic() - row["began"]),
            )
            for name, row in self._rows.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        left = self._console.width - sum(widths) - 5  # a space behind each cell
        below = left < SHORTEST_BAR  # scores with long names stand in a line of their own
        width = min(LONGEST_BAR, left + widths[2] + 1 if below else left)
        lines: list[Any] = [Text(f"{self.title}: {self._summary()}", style="bold")]
        for (name, epoch, score, spent), row in zip(rows, self._rows.values(), strict=True):
            table = Table.grid(padding=(0, 1))
            bar = ProgressBar(total=row["epochs"], completed=row["epoch"], width=max(width, 1))
            cells: list[Any] = [Text(name.ljust(widths[0])), bar, Text(epoch.ljust(widths[1]))]
            cells += [] if below else [Text(score.ljust(widths[2]))]
            table.add_row(*cells, Text(spent))
            lines.append(table)
            if below and score:
                lines.append(Text(f"    {score}"))
        return Group(*lines)


def _clock(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
