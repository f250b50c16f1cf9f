"""The heat map of a study that tries every combination of two or three settings.

Conventions: of three settings the one with the fewest values has a panel for each of them; of the other two,
the one with more values is the horizontal axis. A field is the mean over the trials that have its values; one
that failed or was pruned is grey.

Contents: `grid_of`, `draw`, `part`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl import pictures
from audiomtl.harness.record.runs import Swept, parsed
from audiomtl.harness.report.blocks import Figure
from audiomtl.harness.report.html import matrix
from audiomtl.names import safe_name
from audiomtl.settings.validation import show


@dataclass(frozen=True)
class Grid:
    """Scores of every combination of swept values."""

    paths: tuple[str, ...]  # panels (where there are three), rows, columns
    values: tuple[list[Any], ...]  # of each setting, in order
    scores: np.ndarray  # (panels, rows, columns); NaN: no score


def grid_of(swept: Swept) -> Grid | None:
    """The grid of a study; None for one that is no grid of two or three settings with several values each.

    A study counts as a grid if its trials have every combination of the values that they have.
    """
    paths = sorted(swept.paths)
    if not 2 <= len(paths) <= 3 or any(swept.paths.values()) or len(swept.objectives) != 1:
        return None
    points: dict[tuple[str, ...], list[float]] = {}
    known: dict[str, dict[str, Any]] = {path: {} for path in paths}
    for number, run in swept.trials.items():
        place = tuple(run.data.params.get(path, "") for path in paths)
        for path, text in zip(paths, place, strict=True):
            known[path][text] = parsed(text)
        points.setdefault(place, []).extend(swept.scores(number))
    texts = {path: sorted(known[path], key=lambda text: _order(known[path][text])) for path in paths}
    if any(len(texts[path]) < 2 for path in paths) or set(points) != set(product(*texts.values())):
        return None
    ordered = sorted(paths, key=lambda path: (len(texts[path]), path))
    scores = np.full([len(texts[path]) for path in ordered], math.nan)
    for place, found in points.items():
        index = tuple(texts[path].index(place[paths.index(path)]) for path in ordered)
        scores[index] = np.mean(found) if found else math.nan
    return Grid(
        tuple(ordered),
        tuple([known[path][text] for text in texts[path]] for path in ordered),
        scores if len(paths) == 3 else scores[None],
    )


def _order(value: Any) -> tuple[int, Any]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return (0, value) if number else (1, str(value))


def draw(grid: Grid, title: str, score: str, direction: str, path: Path) -> None:
    """One panel per value of the first of three settings, with the score in each field."""
    *first, rows, columns = grid.values
    panels: Sequence[Any] = first[0] if first else [None]
    size = (1.2 + 0.75 * len(columns)) * len(panels) + 1.0, 1.8 + 0.45 * len(rows)
    low, high = (np.nanmin(grid.scores), np.nanmax(grid.scores)) if np.isfinite(grid.scores).any() else (0, 1)
    with pictures.figure(path, 1, len(panels), width=size[0], height=size[1]) as axes:
        each = np.atleast_1d(axes)
        for panel, value, scores in zip(each, panels, grid.scores, strict=True):
            panel.set_facecolor("0.85")
            image = panel.imshow(
                np.ma.masked_invalid(scores),
                cmap="viridis_r" if direction == "minimize" else "viridis",
                vmin=low,
                vmax=high,
                aspect="auto",
            )
            for (row, column), number in np.ndenumerate(scores):
                if math.isfinite(number):
                    light = (number - low > 0.5 * (high - low)) == (direction == "minimize")
                    panel.text(
                        column,
                        row,
                        f"{number:.2f}",
                        ha="center",
                        va="center",
                        fontsize="small",
                        color="white" if light else "black",
                    )
            panel.set_xticks(range(len(columns)), [_shown(one) for one in columns])
            panel.set_yticks(range(len(rows)), [_shown(one) for one in rows])
            panel.set(xlabel=grid.paths[-1], ylabel=grid.paths[-2])
            if first:
                panel.set_title(f"{grid.paths[0]} = {_shown(value)}", fontsize="medium")
        each[0].figure.colorbar(image, ax=list(each), label=score.replace("_", " "))
        each[0].figure.suptitle(title)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else show(value).strip('"')


def part(swept: Swept, folder: Path) -> list[Figure]:
    """The heat map as a figure of the report; none for a study that is no grid."""
    grid = grid_of(swept)
    if grid is None:
        return []
    [(metric, direction)] = swept.objectives.items()
    name = f"study_{safe_name(swept.name)}_heat_map.png"
    draw(grid, f"study {swept.name}", metric, direction, folder / name)
    low, high = (np.nanmin(grid.scores), np.nanmax(grid.scores)) if np.isfinite(grid.scores).any() else (0, 1)
    rows, columns = ([_shown(value) for value in values] for values in grid.values[-2:])
    panels = grid.values[0] if len(grid.values) == 3 else [None]
    drawings = [
        matrix.drawing(
            scores,
            rows,
            columns,
            row_name=grid.paths[-2],
            column_name=grid.paths[-1],
            title=f"{grid.paths[0]} = {_shown(value)}" if len(grid.values) == 3 else "",
            limits=(float(low), float(high)),
            form=".2f",
        )
        for value, scores in zip(panels, grid.scores, strict=True)
    ]
    note = (
        f"{metric.replace('_', ' ')}, {direction}d: a mean where several trials have the same values. Empty:"
        " no score."
    )
    return [Figure(f"Heat map of study {swept.name}", name, drawings, note)]
