"""Ablations as a forest plot: paired differences to the best runs with their intervals.

Contents: `figure`.
"""

import math
from collections.abc import Sequence

from audiomtl.harness.effects import Effects
from audiomtl.harness.record.runs import Arm
from audiomtl.harness.report import tables
from audiomtl.harness.report.blocks import Figure
from audiomtl.harness.report.html import svg

ROW, HEADING = 34.0, 24.0  # units


def figure(arms: Sequence[Arm], found: Effects, score: str, direction: str) -> list[Figure]:
    """One row per ablation that was compared, largest effect first within its question; exploratory ones
    last.
    """
    compared = [arm for arm in arms if arm.name in found.of and math.isfinite(found.of[arm.name].value)]
    if not compared:
        return []
    groups: dict[str, list[str]] = {}
    for arm in sorted(compared, key=lambda arm: (-abs(found.of[arm.name].value), arm.name)):
        groups.setdefault(found.of[arm.name].question, []).append(arm.name)
    asked = sorted(
        (question for question in groups if question),
        key=lambda question: -abs(found.of[groups[question][0]].value),
    )
    every = [found.of[arm.name] for arm in compared]
    reach = [value for one in every for value in (one.low, one.value, one.high)]
    scale = svg.Scale.over([0.0, *reach], 6, svg.WIDTH - 6)
    parts, y = [], 0.0
    for question in [*asked, *([""] if "" in groups else [])]:
        heading = question or f"{tables.EXPLORATORY}: no question was asked before"
        for words in _folded(heading, svg.WIDTH - 4):
            parts.append(svg.text(0, y + 14, words, class_="label"))
            y += 15
        y += HEADING - 15
        for name in groups[question]:
            parts.append(svg.line(scale(0.0), y + 12, scale(0.0), y + ROW - 4, "zero"))  # not through names
            parts += _row(name, found, scale, y)
            y += ROW
        y += 6
    better = "◂ better" if direction == "minimize" else "better ▸"
    worse = "worse ▸" if direction == "minimize" else "◂ worse"
    left, right = (better, worse) if direction == "minimize" else (worse, better)
    parts += svg.horizontal(scale, y, f"difference in {score}")
    y += 48
    parts += [
        svg.text(0, y, left, class_="muted"),
        svg.text(svg.WIDTH, y, right, anchor="end", class_="muted"),
    ]
    note = (
        f"Each ablation less the best run, whose {score} is {tables.number(found.best)}: paired differences"
        " with 95 % intervals; 0 (line) is no difference. Filled: the interval of an ablation that answers a"
        " question excludes 0."
    )
    return [
        Figure("Effects of the ablations", drawings=[svg.drawing(y + 6, "Forest plot", parts)], note=note)
    ]


def _row(name: str, found: Effects, scale: svg.Scale, y: float) -> list[str]:
    one = found.of[name]
    limits = tables.interval(one.low, one.high, "+.4f")
    value = f"{one.value:+.4f}{' *' if one.significant else ''}"
    numbers = f"{value} {limits}".strip()
    room = svg.WIDTH - len(numbers) * svg.CHARACTER - 10
    parts = [
        svg.text(0, y + 8, svg.shortened(name, room)),
        svg.text(svg.WIDTH, y + 8, numbers, anchor="end", class_="muted number"),
    ]
    middle, colour = y + 19, "c1" if one.question else "c4"
    if math.isfinite(one.low):
        low, high = scale(one.low), scale(one.high)
        parts.append(svg.line(low, middle, high, middle, f"whisker {colour}"))
        parts += [svg.line(x, middle - 4, x, middle + 4, f"whisker {colour}") for x in (low, high)]
    mark = f"{colour}{' filled' if one.significant else ' open'}"
    hint = svg.title(f"{name}: {numbers}")
    x = scale(one.value)
    if one.question:
        parts.append(
            svg.tag("rect", hint, x=x - 4.5, y=middle - 4.5, width=9, height=9, class_=f"mark {mark}")
        )
    else:
        parts.append(svg.tag("circle", hint, cx=x, cy=middle, r=4.5, class_=f"mark {mark}"))
    return parts


def _folded(words: str, room: float) -> list[str]:
    """A text as lines of some units, at most three."""
    most, lines = int(room / (svg.CHARACTER + 0.3)), [""]
    for word in words.split():
        if len(lines[-1]) + len(word) >= most and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    lines = lines if len(lines) <= 3 else [*lines[:2], f"{lines[2]} …"]
    return [svg.shortened(line, room) for line in lines]
