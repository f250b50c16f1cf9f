"""Test scores between their floors, ceilings and published figures. Contents: `figure`."""

import math
from collections.abc import Mapping

from audiomtl.config import ExperimentFile
from audiomtl.harness import experiment, replicates
from audiomtl.harness.report import tables
from audiomtl.harness.report.blocks import Figure
from audiomtl.harness.report.floors import Beside
from audiomtl.harness.report.group_intervals import Headline
from audiomtl.harness.report.html import svg

ROW = 19.0  # units


def figure(
    file: ExperimentFile,
    scores: Mapping[str, Mapping[int, float]],
    folds: Mapping[int, int] | None,
    headline: Headline | None,
    floors: Mapping[str, Beside],
) -> list[Figure]:
    """A drawing for each reported test score: the best runs with their interval, and what stands beside
    them.
    """
    drawings = []
    for key, values in scores.items():
        side, _, name = key.partition("/")
        if side != "test" or name not in experiment.family_scores(file):
            continue
        rows: list[tuple[str, float, float, float, str]] = []  # name, value, low, high, class
        if headline and name in headline.scores:
            one = headline.scores[name]
            rows.append(("all folds, new groups", one.value, one.low, one.high, "c1 filled"))
        found = replicates.replicated(key, values, folds)
        if found:
            several = folds is not None and len(set(folds.values())) > 1
            rows.append(
                (f"mean over {'folds' if several else 'seeds'}", found.mean, found.low, found.high, "c1 open")
            )
        rows += [(f"seed {seed}", value, math.nan, math.nan, "c1 dot") for seed, value in values.items()]
        if beside := floors.get(key):
            rows.append((f"floor: {beside.by or 'no network'}", beside.floor, math.nan, math.nan, "c2 stop"))
            rows += [
                (f"ceiling: {label}", value, math.nan, math.nan, "c3 stop")
                for label, value in sorted(beside.ceilings.items())
            ]
        rows += [
            (
                f"published: {one.source}",
                one.number,
                math.nan,
                math.nan,
                "c4 open" if one.comparable else "muted open",
            )
            for one in file.references
            if one.score in (key, name)
        ]
        rows = [row for row in rows if math.isfinite(row[1])]
        if rows:
            drawings.append(_drawing(key, experiment.family_scores(file)[name], rows))
    if not drawings:
        return []
    note = (
        "Bars are 95 % intervals. A floor is what can be had without the network, a ceiling what an oracle"
        " reaches; a published figure in grey was found under other conditions. The tables below have the"
        " numbers."
    )
    return [Figure("Test scores beside floors, ceilings and published figures", drawings=drawings, note=note)]


def _drawing(key: str, direction: str, rows: list[tuple[str, float, float, float, str]]) -> str:
    seeds = [row for row in rows if row[4].endswith("dot")]
    others = [row for row in rows if not row[4].endswith("dot")]
    finite = [value for row in rows for value in row[1:4] if math.isfinite(value)]
    scale = svg.Scale.over(finite, 8, svg.WIDTH - 8)
    arrow = "lower is better" if direction == "minimize" else "higher is better"
    name = key.replace("_", " ")
    parts, y = [svg.text(0, 12, f"{name} ({arrow})", class_="label")], 20.0
    for words, value, low, high, class_ in others:
        parts += _row(words, value, low, high, class_, scale, y)
        y += ROW + 12
    if len(seeds) > 1:
        parts.append(svg.text(0, y + 9, f"each of the {len(seeds)} seeds", class_="muted"))
        for words, value, *_ in seeds:
            hint = svg.title(f"{words}: {tables.number(value)}")
            parts.append(svg.tag("circle", hint, cx=scale(value), cy=y + 18, r=3.0, class_="mark c1 seed"))
        y += ROW + 12
    parts += svg.horizontal(scale, y, name)
    return svg.drawing(y + 36, f"{name}: best runs, floor, ceiling, published figures", parts)


def _row(
    words: str, value: float, low: float, high: float, class_: str, scale: svg.Scale, y: float
) -> list[str]:
    numbers = f"{tables.number(value)} {tables.interval(low, high)}".strip()
    room = svg.WIDTH - len(numbers) * svg.CHARACTER - 8
    parts = [
        svg.text(0, y + 9, svg.shortened(words, room)),
        svg.text(svg.WIDTH, y + 9, numbers, anchor="end", class_="muted number"),
    ]
    middle, x, colour = y + 18, scale(value), class_.split()[0]
    hint = svg.title(f"{words}: {numbers}")
    if math.isfinite(low):
        parts.append(svg.line(scale(low), middle, scale(high), middle, f"whisker {colour}"))
        parts += [
            svg.line(end, middle - 4, end, middle + 4, f"whisker {colour}") for end in map(scale, (low, high))
        ]
    if class_.endswith("stop"):
        return [*parts, svg.line(x, middle - 6, x, middle + 6, f"whisker thick {colour}")]
    return [*parts, svg.tag("circle", hint, cx=x, cy=middle, r=4.5, class_=f"mark {class_}")]
