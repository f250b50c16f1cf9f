"""One clip over time: its spectrogram, and below it what is true and what the network said.

Contents: `Spans`, `Lines`, `drawing`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from audiomtl.harness.report.html import svg

LEFT, TALL = 44.0, 118.0  # units: room for the axis of frequencies, height of the spectrogram
LANE, ROLL, CHART = 16.0, 56.0, 62.0  # units: height of a row of spans, of notes, of lines
APART = 11.0  # units between the labels of two frequencies
HERTZ = (100, 200, 500, 1000, 2000, 4000, 8000)
COLOURS = ("c1", "c2", "c3", "c4")


@dataclass(frozen=True)
class Spans:
    """Labels over time: phones, classes; notes where all labels are numbers (MIDI pitches)."""

    name: str
    spans: Sequence[tuple[float, float, str]]  # start and end in seconds, label
    true: bool  # or predicted


@dataclass(frozen=True)
class Lines:
    """Numbers from 0 to 1 over time, of windows or steps."""

    name: str
    windows: Sequence[tuple[float, float]]  # start and end in seconds
    values: Mapping[str, Sequence[float]]  # a line each
    bars: bool = False  # bars in place of lines


def drawing(
    picture: str,
    rate: int,
    seconds: float,
    lanes: Sequence[Spans | Lines],
    place: Callable[[float, int], float],
) -> str:
    """The drawing of ``seconds`` seconds.

    Parameters
    ----------
    picture : data URI of the spectrogram; "" without one. place : of a frequency in the spectrogram, from 0
        to 1.
    """
    across = svg.Scale(0.0, seconds, LEFT, svg.WIDTH - 4)
    parts, y = list[str](), 12.0
    if picture:
        parts.append(svg.text(LEFT - 6, 9, "Hz", anchor="end", class_="label"))
        y += 6
        parts += _spectrogram(picture, rate, across, y, place)
        y += TALL + 8
    for lane in lanes:
        drawn, height = _spans(lane, across, y) if isinstance(lane, Spans) else _lines(lane, across, y)
        parts += drawn
        y += height + 8
    parts += svg.horizontal(across, y, "seconds", count=6)
    head = svg.line(
        LEFT, 10, LEFT, y, "head", data_start=across.start, data_end=across.end, data_seconds=seconds
    )
    return svg.drawing(y + 34, "Spectrogram, truth and prediction over time", [*parts, head])


def _spectrogram(
    picture: str, rate: int, across: svg.Scale, y: float, place: Callable[[float, int], float]
) -> list[str]:
    parts = [
        svg.tag(
            "image",
            href=picture,
            x=across.start,
            y=y,
            width=across.end - across.start,
            height=TALL,
            preserveAspectRatio="none",
        )
    ]
    above = y - APART
    for hertz in HERTZ[::-1]:
        at = y + TALL * (1 - place(hertz, rate))
        if hertz <= rate / 2 and above + APART <= at <= y + TALL:
            above = at
            parts.append(svg.line(LEFT - 4, at, LEFT, at, "axis"))
            parts.append(svg.text(LEFT - 6, at + 4, str(hertz), anchor="end"))
    return parts


def _spans(lane: Spans, across: svg.Scale, y: float) -> tuple[list[str], float]:
    """The elements of a lane, and its height."""
    shown = [(max(start, 0.0), min(end, across.high), label) for start, end, label in lane.spans]
    shown = [span for span in shown if span[1] > span[0]]
    colour = "c3" if lane.true else "c1"
    pitches = [float(label) for _, _, label in shown if _number(label)]
    roll = bool(shown) and len(pitches) == len(shown)
    height = ROLL if roll else LANE
    parts = [svg.text(0, y + height / 2 + 4, svg.shortened(lane.name, LEFT), class_="label")]
    if roll:
        up = svg.Scale(min(pitches) - 1, max(pitches) + 1, y + height, y)
    for index, (start, end, label) in enumerate(shown):
        left, right = across(start), across(end)
        hint = svg.title(f"{label}, {start:.2f} to {end:.2f} s")
        if roll:
            at = up(float(label))
            parts.append(
                svg.tag(
                    "rect",
                    hint,
                    x=left,
                    y=at - 2.5,
                    width=max(1.0, right - left),
                    height=5,
                    class_=f"bar {colour}",
                )
            )
            continue
        shade = f"span {colour}{' odd' if index % 2 else ''}"
        parts.append(
            svg.tag(
                "rect", hint, x=left, y=y, width=max(0.8, right - left - 0.6), height=height, class_=shade
            )
        )
        if len(label) * 5.5 <= right - left:
            middle = (left + right) / 2
            parts.append(svg.text(middle, y + 12, label, anchor="middle", font_size=10, class_="on"))
    return parts, height


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(lane: Lines, across: svg.Scale, y: float) -> tuple[list[str], float]:
    """The elements of a lane, and its height."""
    drawn = list(zip(COLOURS, lane.values.items(), strict=False))
    legend, rows = _legend(lane, drawn, y + 10)
    top = y + 14 * rows + 2
    up = svg.Scale(0.0, 1.0, top + CHART, top)
    parts = [*legend, *svg.vertical(up, LEFT, right=across.end, count=2)]
    for colour, (name, values) in drawn:
        points = []
        for (start, end), value in zip(lane.windows, values, strict=True):
            left, right = across(max(0.0, start)), across(min(end, across.high))
            if right <= left:
                continue
            hint = svg.title(f"{name} {value:.3f}, {start:.2f} to {end:.2f} s")
            middle = (left + right) / 2
            points.append((middle, up(value)))
            if lane.bars:
                wide = max(1.5, min(right - left, (across.end - across.start) / len(lane.windows)) - 1)
                parts.append(
                    svg.tag(
                        "rect", hint, x=middle - wide / 2, y=up(value), width=wide, height=up(0) - up(value),
                        class_=f"bar {colour}",
                    )
                )  # fmt: skip
            elif len(lane.windows) <= 40:
                parts.append(svg.tag("circle", hint, cx=middle, cy=up(value), r=2.2, class_=f"mark {colour}"))
        if points and not lane.bars:
            parts.append(svg.path(points, f"curve {colour}"))
    return parts, top + CHART - y


def _legend(
    lane: Lines, drawn: Sequence[tuple[str, tuple[str, Sequence[float]]]], y: float
) -> tuple[list[str], int]:
    """The name of a lane and of its lines, and how many rows they take."""
    parts, rows = [svg.text(LEFT, y, lane.name, class_="label")], 1
    x = LEFT + (len(lane.name) + 2) * svg.CHARACTER
    for colour, (name, _) in [] if lane.bars else drawn:
        label = svg.shortened(name, svg.WIDTH - LEFT - 20)
        wide = 20 + len(label) * svg.CHARACTER
        if x + wide > svg.WIDTH:
            x, rows = LEFT, rows + 1
        at = y + 14 * (rows - 1)
        parts += [svg.line(x, at - 4, x + 12, at - 4, f"curve {colour}"), svg.text(x + 15, at, label)]
        x += wide + 6
    return parts, rows
