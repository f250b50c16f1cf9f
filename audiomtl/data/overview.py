"""What an experiment's data contain, as text of 80 columns: before anything is trained, without TensorFlow.

Contents: `text`.
"""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, odd
from audiomtl.data.preflight import Division, Look, classes_in, lengths
from audiomtl.data.splits import SIDES
from audiomtl.errors import UserError
from audiomtl.settings.table import Table

WIDTH = 80  # characters
NAME = 12  # characters of the words at the left of a line
NAMED = 3  # clips that a line names
MOST_VALUES = 24  # of a column whose values are counted one by one
LISTS = ("phones", "words", "notes", "passages", "events")  # columns whose items are counted


def text(name: str, settings: Any, seen: Look) -> str:
    """Everything about the clips of an experiment and their splits.

    Parameters
    ----------
    name : of the experiment. seen : its clips and their splits.
    """
    table = seen.table
    lines = [f"{name}: {_total(table)} ({_source(settings.data)})"]
    lines += _line("length", _length(lengths(table)))
    lines += _headers(table)
    label = settings.data.label
    if label and label in table:
        lines += _line("classes", _classes(label, classes_in(table[label])))
    for group in settings.data.groups:
        if group in table:
            counts = table[group].value_counts()
            lines += _line("groups", f"{group}: {len(counts)} values, {_range(counts)} clips each")
    for column in LISTS:
        if column in table and column != label:
            lines += _line(column, _items(table[column]))
    if left_out := table.attrs.get("left_out"):
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        lines += _line("left out", reasons)
    for remark in table.attrs.get("remarks", ()):
        lines += _line("assumed", remark)
    lines += _odd(settings, table)
    lines += _splits(settings, seen)
    lines += [line for warning in seen.warnings for line in _line("warning", warning)]
    lines += [line for fault in seen.faults for line in _line("FAULT", fault)]
    report = getattr(catalog.module(settings.data), "label_report", None)
    if report and not label:
        own = {"data": settings.data} if settings.data.subset else {}
        lines += _renamed(report(catalog.data_folder(), **own))
    return "\n".join(lines)


def _line(name: str, words: str) -> list[str]:
    """``  name        words``, wrapped."""
    if not words:
        return []
    space = " " * (NAME + 2)
    first = f"  {name}".ljust(len(space) - 1) + " "
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=first,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _total(table: pd.DataFrame) -> str:
    seconds = lengths(table).sum()
    time = f", {seconds / 3600:.1f} hours" if seconds >= 7200 else f", {seconds / 60:.1f} minutes"
    return f"{len(table)} clip{'' if len(table) == 1 else 's'}{time if seconds else ''}"


def _source(data: Table) -> str:
    where = getattr(data, "table", "") or getattr(data, "folder", "")
    return f"{data.dataset} {where}".strip()  # type: ignore[attr-defined]


def _length(seconds: np.ndarray) -> str:
    if not len(seconds):
        return "not known"
    return f"{seconds.min():.2f} to {seconds.max():.2f} s, median {np.median(seconds):.2f} s"


def _headers(table: pd.DataFrame) -> list[str]:
    """Rates and channels of the recordings, from their headers."""
    if not len(lengths(table)) or "path" not in table:
        return []
    rates, channels = Counter[int](), Counter[int]()
    for path in sorted(set(map(str, table["path"]))):
        try:
            header = audio.info(path)
        except UserError:
            continue  # refused where it is decoded
        rates[header.sample_rate] += 1
        channels[header.channels] += 1
    return [*_line("rate", _counted(rates, "Hz")), *_line("channels", _counted(channels, ""))]


def _odd(settings: Any, table: pd.DataFrame) -> list[str]:
    """What is odd about the recordings, kind by kind, with the first clips of each."""
    if not len(lengths(table)):
        return []
    windows = getattr(settings, "windows", None)
    found: dict[str, list[str]] = {}
    for clip, finding in odd.findings(table, window_seconds=windows.seconds if windows else 0.0):
        found.setdefault(finding.kind, []).append(f"{clip} ({finding.text})")
    lines = []
    for kind, clips in found.items():
        more = f" and {len(clips) - NAMED} more" if len(clips) > NAMED else ""
        words = f"{kind}: {len(clips)} clip{'' if len(clips) == 1 else 's'}: {', '.join(clips[:NAMED])}{more}"
        lines += _line("odd", words)
    return lines


def _counted(found: Counter[int], unit: str) -> str:
    """``8000 Hz``, or ``8000 Hz (3 files), 16000 Hz (5 files)``."""
    parts = [
        f"{value} {unit}".strip() + (f" ({count} files)" if len(found) > 1 else "")
        for value, count in sorted(found.items())
    ]
    return ", ".join(parts)


def _classes(label: str, counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = ", ".join(f"{name} {count}" for name, count in ordered[:MOST_VALUES])
    rest = ordered[MOST_VALUES:]
    more = f" and {len(rest)} more, {_range([count for _, count in rest])} clips each" if rest else ""
    return f"{len(counts)} of {label}: {shown}{more}"


def _range(counts: Iterable[int]) -> str:
    counts = list(counts)
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _items(column: pd.Series) -> str:
    """Number of items in a column of lists."""
    cells = [cell for cell in column if isinstance(cell, list | tuple | np.ndarray)]
    if not cells:
        return ""
    items = [item for cell in cells for item in cell]
    kinds = f", {len(set(items))} different" if items and isinstance(items[0], str) else ""
    lacking = f"; {len(column) - len(cells)} clips have none" if len(cells) < len(column) else ""
    return f"{len(items)}{kinds}, {_range(map(len, cells))} per clip{lacking}"


def _renamed(labels: pd.DataFrame) -> list[str]:
    """Raw labels that were renamed, joined or dropped to get the clips' phones."""
    counts = labels.groupby("what")["count"].agg(["size", "sum"])
    words = ", ".join(f"{row.size} {what} ({row.sum} times)" for what, row in _rows(counts))
    renamed = labels[labels["what"] == "renamed"]
    return [*_line("raw labels", words), *renamed.to_string(index=False, max_rows=60).splitlines()]


def _rows(counts: pd.DataFrame) -> Iterable[tuple[str, Any]]:
    for what, row in zip(counts.index, counts.itertuples(index=False, name="Row"), strict=True):
        yield str(what), row


# ---------------------------------------------------------------- splits


def _splits(settings: Any, seen: Look) -> list[str]:
    """A table of ``train/validation/test`` counts: a column for each seed."""
    alike: dict[tuple[tuple[str, ...], ...], list[Division]] = {}  # seeds of one split, by its clips
    for one in seen.divisions:
        if one.sides is not None:
            alike.setdefault(tuple(tuple(rows["clip_id"]) for rows in one.sides.sides().values()), []).append(
                one
            )
    if not alike:
        return []
    divided = [same[0] for same in alike.values()]
    heads = [f"seed {','.join(str(one.seed) for one in same)}" for same in alike.values()]
    protocol = settings.protocol
    column = f", column {protocol.column}" if getattr(protocol, "column", "") else ""
    if protocol.kind == "leave_one_out":
        column = f" by {settings.data.groups[0]}"
    lines = _line(
        "split",
        f"{protocol.kind}{column}; train/validation/test of each seed"
        f" (seed {settings.study_seed} is of studies)",
    )
    rows = [("clips", [_sizes(one) for one in divided])]
    if any(one.sides.dropped for one in divided if one.sides):
        rows.append(("dropped", [str(one.sides.dropped) for one in divided if one.sides]))
    for group in settings.data.groups:
        rows.append((f"{group} values", [_different(one, group) for one in divided]))
        if seen.table[group].nunique() <= MOST_VALUES:
            for value in sorted(seen.table[group].unique(), key=str):
                rows.append((f"  {value}", [_of_value(one, group, str(value)) for one in divided]))
    if label := settings.data.label:
        classes = classes_in(seen.table[label])
        rows.append((f"{label}:", [""] * len(divided)))
        shown = sorted(classes, key=lambda name: (classes[name], name))[: 2 * MOST_VALUES]
        rows += [(f"  {name}", [_of_value(one, label, name) for one in divided]) for name in sorted(shown)]
        if len(classes) > len(shown):
            rows.append((f"  ({len(classes) - len(shown)} more)", [""] * len(divided)))
    return [*lines, *_grid(heads, rows)]


def _sizes(one: Division) -> str:
    assert one.sides is not None
    return "/".join(str(len(one.sides.sides()[side])) for side in SIDES)


def _different(one: Division, group: str) -> str:
    assert one.sides is not None
    return "/".join(str(one.sides.sides()[side][group].nunique()) for side in SIDES)


def _of_value(one: Division, column: str, value: str) -> str:
    assert one.sides is not None
    return "/".join(str(classes_in(one.sides.sides()[side][column])[value]) for side in SIDES)


def _grid(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Lines of a table, in as many blocks of columns as its width needs."""
    first = min(22, max(len(name) for name, _ in rows) + 2)
    cell = max([len(text) for _, cells in rows for text in cells] + [len(head) for head in heads]) + 2
    across = max(1, (WIDTH - 2 - first) // cell)
    lines = []
    for start in range(0, len(heads), across):
        part = slice(start, start + across)
        lines.append(("  " + " " * first + "".join(head.rjust(cell) for head in heads[part])).rstrip())
        for name, cells in rows:
            short = name if len(name) < first else f"{name[: first - 2]}…"
            lines.append(
                ("  " + short.ljust(first) + "".join(text.rjust(cell) for text in cells[part])).rstrip()
            )
    return lines
