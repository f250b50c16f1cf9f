"""SVG elements as text: every text and attribute is escaped here, and nowhere else.

Conventions: lengths are in units of a drawing that is `WIDTH` units wide, as wide as a phone in CSS pixels,
so that its texts can be read there. Colours are classes of the style sheet (``c1`` to ``c4``, ``muted``,
``axis``): they are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), and follow the light or dark
mode.

Contents: `tag`, `text`, `line`, `path`, `title`, `drawing`; `Scale`, `ticks`, `shown`, `horizontal`,
`vertical`, `shortened`, `WIDTH`, `CHARACTER`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 340  # units: a phone of 360 CSS pixels less its margins
CHARACTER = 6.2  # units: mean width of a character of the texts, which are 11 units high


def tag(name: str, *children: str, **attributes: Any) -> str:
    """An element. ``class_`` is the attribute ``class``, other underscores are hyphens; numbers have one
    decimal.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(children)}</{name}>"


def _value(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def text(x: float, y: float, words: str, *, anchor: str = "start", **attributes: Any) -> str:
    """A text on its base line."""
    return tag("text", escape(words), x=float(x), y=float(y), text_anchor=anchor, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str, **attributes: Any) -> str:
    """A straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_, **attributes)


def path(points: Sequence[tuple[float, float]], class_: str, *children: str, **attributes: Any) -> str:
    """A line through points; a child ``title`` is shown when the mouse is on it."""
    route = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("path", *children, d=route, class_=class_, **attributes)


def title(words: str) -> str:
    """What is shown while the mouse is on the element around it."""
    return tag("title", escape(words))


def drawing(height: float, label: str, parts: Iterable[str], *, width: float = WIDTH) -> str:
    """A whole drawing; ``label`` is read out in its place."""
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {_value(float(width))} {_value(float(height))}",
        role="img",
        aria_label=label,
    )


# ---------------------------------------------------------------- axes


@dataclass(frozen=True)
class Scale:
    """From values to places."""

    low: float
    high: float
    start: float  # place of ``low``
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, end: float, *, log: bool = False, margin: float = 0.06
    ) -> "Scale":
        """A scale that holds all finite values, with a margin on both sides."""
        finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(finite), max(finite)
        if log:
            room = (high / low) ** margin if high > low else 1.5
            return cls(low / room, high * room, start, end, log=True)
        room = margin * (high - low) or 0.05 * abs(high) or 0.5
        return cls(low - room, high + room, start, end)


def ticks(scale: Scale, count: int = 5) -> list[float]:
    """Round values on a scale, about ``count`` of them."""
    if scale.log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
        fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        inside = [value for value in fine if scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9)]
        decades = [value for value in inside if f"{value:e}".startswith("1.000000")]
        if len(inside) > count and len(decades) > 1:
            return decades[:: -(-len(decades) // count)]
        if len(inside) > 1:
            return inside
    raw = (scale.high - scale.low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    width = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= 0.7 * raw)
    first = math.ceil(scale.low / width - 1e-9)
    return [width * number for number in range(first, math.floor(scale.high / width + 1e-9) + 1)]


def shown(value: float) -> str:
    """A number of an axis."""
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"


def horizontal(scale: Scale, y: float, label: str, *, whole: bool = False, count: int = 5) -> list[str]:
    """The axis below a drawing, with its label; ``whole``: of whole numbers."""
    parts = [line(scale.start, y, scale.end, y, "axis")]
    for value in ticks(scale, count):
        if whole and abs(value - round(value)) > 1e-9:
            continue
        x = scale(value)
        parts += [line(x, y, x, y + 4, "axis"), text(x, y + 15, shown(value), anchor="middle")]
    return [*parts, text((scale.start + scale.end) / 2, y + 30, label, anchor="middle", class_="label")]


def vertical(scale: Scale, x: float, *, right: float | None = None, count: int = 4) -> list[str]:
    """The axis at the left of a drawing; ``right``: grid lines up to there."""
    parts = [line(x, scale.start, x, scale.end, "axis")]
    for value in ticks(scale, count):
        y = scale(value)
        if right is not None:
            parts.append(line(x, y, right, y, "grid"))
        parts += [line(x - 4, y, x, y, "axis"), text(x - 6, y + 4, shown(value), anchor="end")]
    return parts


def shortened(words: str, room: float) -> str:
    """A text that fits into some units: its middle is left out."""
    most = max(4, int(room / CHARACTER))
    if len(words) <= most:
        return words
    return f"{words[: (most - 1) // 2 + (most - 1) % 2]}…{words[len(words) - (most - 1) // 2 :]}"
