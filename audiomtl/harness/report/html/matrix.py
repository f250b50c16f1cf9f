"""A matrix of numbers: a heat map, a confusion. Contents: `drawing`."""

import math
from collections.abc import Sequence

import numpy as np

from audiomtl.harness.report.html import svg

STRONGEST = 0.7  # opacity of a field: numbers on it stay readable in both modes
TALL, LONGEST_NAME = 22.0, 110.0  # units: height of a field, room for the names of rows


def drawing(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    row_name: str,
    column_name: str,
    title: str = "",
    limits: tuple[float, float],
    form: str,
    shades: np.ndarray | None = None,
) -> str:
    """Fields with their numbers; the larger, the darker.

    Parameters
    ----------
    values : (rows, columns); NaN is an empty field. limits : values of the lightest and the darkest field.
    shades : (rows, columns) what the fields' colours show in place of ``values``. form : of the numbers.
    """
    longest = max(map(len, rows)) * svg.CHARACTER + 8
    left = min(LONGEST_NAME, longest) + 16
    wide = (svg.WIDTH - left) / len(columns)
    upright = max(map(len, columns)) * svg.CHARACTER > wide - 2
    top = (18.0 if title else 0.0) + 18
    depth = min(LONGEST_NAME, max(map(len, columns)) * svg.CHARACTER + 8) if upright else 16.0
    bottom = top + TALL * len(rows)
    parts = [svg.text(svg.WIDTH / 2, 13, title, anchor="middle", class_="label")] if title else []
    parts.append(svg.text(0, top - 6, f"{row_name} ↓", class_="label"))
    low, high = limits
    colours = values if shades is None else shades
    for (row, column), value in np.ndenumerate(values):
        x, y = left + wide * column, top + TALL * row
        if not math.isfinite(value):
            parts.append(svg.tag("rect", x=x, y=y, width=wide - 1, height=TALL - 1, class_="empty"))
            continue
        share = (colours[row, column] - low) / (high - low) if high > low else 0.5
        hint = svg.title(f"{row_name} {rows[row]}, {column_name} {columns[column]}: {value:{form}}")
        opacity = f"{STRONGEST * share:.2f}"
        parts.append(
            svg.tag(
                "rect", hint, x=x, y=y, width=wide - 1, height=TALL - 1, class_="field", fill_opacity=opacity
            )
        )
        if value or shades is None:
            size = min(11.0, 1.6 * wide / max(2, len(f"{value:{form}}")))
            middle = svg.text(
                x + wide / 2,
                y + TALL / 2 + 4,
                f"{value:{form}}",
                anchor="middle",
                font_size=size,
                class_="on",
            )
            parts.append(middle)
    for row, name in enumerate(rows):
        y = top + TALL * row + TALL / 2 + 4
        parts.append(svg.text(left - 4, y, svg.shortened(name, left - 10), anchor="end"))
    for column, name in enumerate(columns):
        x = left + wide * (column + 0.5)
        if upright:
            turned = f"rotate(-90 {x + 4:.1f} {bottom + 4:.1f})"
            name = svg.shortened(name, LONGEST_NAME)
            parts.append(svg.text(x + 4, bottom + 4, name, anchor="end", transform=turned))
        else:
            parts.append(svg.text(x, bottom + 14, name, anchor="middle"))
    end = bottom + depth + 14
    parts.append(svg.text((left + svg.WIDTH) / 2, end, f"{column_name} →", anchor="middle", class_="label"))
    label = f"{title or 'Matrix'}: {row_name} by {column_name}"
    return svg.drawing(end + 6, label, parts)
