"""An audit as text for a terminal. Contents: `text`."""

import io
import shutil
import textwrap
from collections.abc import Sequence

import numpy as np

from audiomtl.data.audit.divisions import Design
from audiomtl.data.audit.leak_bill import Bill, Price, short
from audiomtl.data.audit.shortcuts import Probe
from audiomtl.data.audit.subject import Subject

WIDTH = max(40, min(100, shutil.get_terminal_size((100, 24)).columns))  # characters
KINDS = {"class": "classes", "tags": "several per clip", "value": "a number"}


def text(
    subject: Subject,
    seconds: float,
    bill: Bill | str,
    design: Design | str,
    found: Sequence[Probe],
    serious: Sequence[str],
    warnings: Sequence[str],
) -> str:
    """Everything that an audit found.

    Parameters
    ----------
    seconds : of all recordings. bill, design : or why there is none. found : probes.
    """
    size = f", {seconds / 60:.1f} minutes" if seconds else ""
    count = len(subject.table)
    lines = [f"{subject.name}: {count} clip{'' if count == 1 else 's'}{size}"]
    label = f"{subject.label} ({KINDS[subject.kind]})" if subject.kind else "none"
    lines += _line("label", label)
    lines += _line("groups", _groups(subject))
    lines += _line("split", ", ".join(name for name, _ in subject.divisions) or "none in the data")
    lines += [line for words in subject.assumed for line in _line("assumed", words)]
    if isinstance(bill, str):
        lines += _line("leak bill", f"none: {bill}")
    else:
        lines += _line("leak bill", bill.line())
        lines += _table(
            f"one linear model on mean features, {bill.score}, {bill.train_clips} train clips in every row;"
            f" chance {short(bill.chance)}",
            ("division", "score", "95 % interval", "lost to random split", "95 % interval"),
            [_bill_row(number, price) for number, price in enumerate(bill.prices)],
        )
    if isinstance(design, Design):
        if design.left_out:
            lines += _line(
                "left out", f"classes that cannot be scored on an unseen group: {', '.join(design.left_out)}"
            )
        lines += [line for words in design.remarks for line in _line("note", words)]
        if found:
            lines += _table(
                f"what follows from one measure alone, {design.divisions[-1][0]}",
                ("measure", "score", "of the linear model", "p", ""),
                [_probe_row(probe) for probe in found],
            )
    lines += [line for words in serious for line in _line("SERIOUS", words)]
    lines += [line for words in warnings for line in _line("warning", words)]
    lines += _line("found", f"{_many(serious, 'serious finding')}, {_many(warnings, 'warning')}")
    return "\n".join(lines)


def _many(things: Sequence[str], one: str) -> str:
    return f"{len(things) or 'no'} {one}{'' if len(things) == 1 else 's'}"


def _groups(subject: Subject) -> str:
    parts = [f"{group} ({subject.table[group].nunique()} values)" for group in subject.groups]
    return ", ".join(parts) or "none"


def _bill_row(number: int, price: Price) -> tuple[str, ...]:
    lost = (short(price.drop), _interval(price.drop_interval)) if number else ("", "")
    return (price.name, short(price.score), _interval(price.interval), *lost)


def _interval(interval: tuple[float, float]) -> str:
    return "fewer than 5 groups" if np.isnan(interval[0]) else f"[{short(interval[0])}, {short(interval[1])}]"


def _probe_row(probe: Probe) -> tuple[str, ...]:
    share = "" if np.isnan(probe.share) else f"{max(0.0, probe.share):.0%}"
    p = "" if np.isnan(probe.p) else f"{probe.p:.2f}"
    return (probe.name, short(probe.score), share, p, "shortcut" if probe.shortcut else "")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    page = io.StringIO()
    Console(file=page, width=WIDTH - 2, color_system=None).print(table)
    lines = [f"  {line}".rstrip() for line in page.getvalue().strip("\n").splitlines()]
    return ["", *textwrap.wrap(title, WIDTH, initial_indent="  ", subsequent_indent="  "), *lines]


def _line(name: str, words: str) -> list[str]:
    """``  name       words``, wrapped."""
    space = " " * 13
    first = f"  {name}".ljust(len(space) - 1) + " "
    return textwrap.wrap(words, WIDTH, initial_indent=first, subsequent_indent=space, break_long_words=False)
