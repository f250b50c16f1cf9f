"""Trials of a study: history, importances, Pareto front, parallel coordinates and slices.

Everything that belongs to a trial has the attribute ``data-trial``, by which the page's script highlights it
in all drawings of the study.

Contents: `history`, `importances`, `front`, `parallel_and_slices`; `HISTORY_NOTE`, `FRONT_NOTE`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiomtl.harness.record.runs import Swept, outcome, parsed, shown
from audiomtl.harness.report import figures
from audiomtl.harness.report.blocks import Figure
from audiomtl.harness.report.html import svg

HISTORY_NOTE = (
    "One mark per trial; the line is the best score so far. Point at a trial to highlight it below."
)
FRONT_NOTE = "One mark per complete trial; the trials of the front are joined."
LINES_NOTE = (
    "One line per trial with a score, from its settings (above, the most important first) to its score"
    " (below). Thick: the best trial; blue: the best quarter. A line skips a setting that its trial does not"
    " use."
)
SLICES_NOTE = "The score of each trial by one setting."
PRUNED_NOTE = "Crosses: pruned, with the score when it was stopped."
HEIGHT, LEFT, TOP = 210.0, 48.0, 24.0
FEW = 6  # values of a setting that are shown side by side, like names
GAP = 52.0  # units between two axes of parallel coordinates
NAMES = {"complete": "complete", "answered": "copied", "pruned": "pruned", "failed": "failed"}


def history(swept: Swept) -> str:
    """The score of each trial, the best so far, and the scores of pruned trials when they were stopped."""
    points, running = figures.trial_points(swept), figures.best_so_far(swept)
    lost = [number for number, run in swept.trials.items() if outcome(run) == "failed"]
    values = [value for some in points.values() for value in some.values()]
    up = svg.Scale.over(values, HEIGHT - 40, TOP + 28, log=figures.logarithmic(values))
    across = svg.Scale(-0.5, max(swept.trials) + 0.5, LEFT, svg.WIDTH - 6)
    metric = next(iter(swept.objectives)).replace("_", " ")
    parts = [svg.text(LEFT, 13, metric + (" (log scale)" if up.log else ""), class_="label")]
    parts += _legend([*points, *(["failed"] if lost else [])])
    parts += svg.horizontal(across, HEIGHT - 40, "trial", whole=True) + svg.vertical(
        up, LEFT, right=svg.WIDTH - 6
    )
    steps = list[tuple[float, float]]()
    for number, value in running.items():
        steps += [*([(across(number), steps[-1][1])] if steps else []), (across(number), up(value))]
    if steps:
        parts.append(svg.path([*steps, (across.end, steps[-1][1])], "curve c2", svg.title("best so far")))
    for end, some in points.items():
        parts += [_mark(swept, number, end, across(number), up(value)) for number, value in some.items()]
    parts += [_mark(swept, number, "failed", across(number), TOP + 20) for number in lost]
    return svg.drawing(HEIGHT, f"{metric} by trial", parts)


def importances(found: Mapping[str, float]) -> str:
    """One bar per swept setting, the largest at the top."""
    row, largest = 30.0, max(1e-3, *found.values())
    parts = list[str]()
    for number, (path, share) in enumerate(found.items()):
        y = row * number
        parts += [
            svg.text(0, y + 12, svg.shortened(path, svg.WIDTH - 50)),
            svg.text(svg.WIDTH, y + 12, f"{share:.3f}", anchor="end", class_="number"),
            svg.tag(
                "rect", x=0, y=y + 16, width=(svg.WIDTH - 2) * share / largest, height=7, class_="bar c1"
            ),
        ]
    end = row * len(found) + 12
    parts.append(svg.text(0, end, "importance: a share, all together are 1", class_="muted"))
    return svg.drawing(end + 6, "Importance of each swept setting", parts)


def front(swept: Swept, numbers: Sequence[int]) -> str:
    """Complete trials by their first two scores, and the Pareto front over all."""
    points = {
        number: values[:2]
        for number in swept.trials
        if (values := swept.scores(number)) and all(map(math.isfinite, values[:2]))
    }
    names = [name.replace("_", " ") for name in swept.objectives][:2]
    across = svg.Scale.over([one[0] for one in points.values()], LEFT, svg.WIDTH - 6)
    up = svg.Scale.over([one[1] for one in points.values()], HEIGHT - 40, TOP)
    parts = [svg.text(LEFT, 13, names[1], class_="label")]
    parts += svg.horizontal(across, HEIGHT - 40, names[0], count=4)
    parts += svg.vertical(up, LEFT, right=svg.WIDTH - 6)
    ordered = sorted((number for number in numbers if number in points), key=lambda number: points[number])
    if ordered:
        joined = [(across(points[number][0]), up(points[number][1])) for number in ordered]
        parts.append(svg.path(joined, "curve c2"))
    for number, (x, y) in points.items():
        parts.append(_mark(swept, number, "complete", across(x), up(y)))
    for number in ordered:
        x, y = across(points[number][0]), up(points[number][1])
        right = x > svg.WIDTH - 30
        parts.append(
            svg.text(x - 7 if right else x + 7, y - 5, str(number), anchor="end" if right else "start")
        )
    return svg.drawing(HEIGHT, f"{names[1]} by {names[0]}", parts)


# ---------------------------------------------------------------- by setting


@dataclass(frozen=True)
class _Axis:
    """Values of one setting, from 0 to 1."""

    path: str
    places: Mapping[int, float]  # of each trial that uses it
    marks: Sequence[tuple[float, str]]  # ticks with their labels
    log: bool = False


def _axis(swept: Swept, path: str, trials: Sequence[int]) -> _Axis:
    values: dict[int, Any] = {}
    for number in trials:
        if swept.value(number, path) != "-":
            values[number] = parsed(swept.trials[number].data.params.get(path, "null"))
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values())
    if numeric and len(set(values.values())) > FEW:
        log = path in swept.logarithmic
        scale = svg.Scale(min(values.values()), max(values.values()), 0.0, 1.0, log)
        marks = [(scale(value), svg.shown(value)) for value in svg.ticks(scale, 4)]
        return _Axis(path, {number: scale(value) for number, value in values.items()}, marks, log)
    known = sorted(set(values.values()) if numeric else {shown(value) for value in values.values()})
    names = [shown(value) if numeric else str(value) for value in known]
    own = {number: value if numeric else shown(value) for number, value in values.items()}
    at = {value: (index + 0.5) / len(known) for index, value in enumerate(known)}
    labels = [(at[value], name.strip('"')) for value, name in zip(known, names, strict=True)]
    return _Axis(path, {number: at[value] for number, value in own.items()}, labels)


def parallel_and_slices(swept: Swept, paths: Sequence[str]) -> list[Figure]:
    """Figures of a study with one score; [] where no trial has one."""
    scored = {number: values[0] for number in swept.trials if (values := swept.scores(number))}
    scored = {number: value for number, value in scored.items() if math.isfinite(value)}
    if len(scored) < 2 or not paths:
        return []
    pruned = figures.trial_points(swept).get("pruned", {})
    lines = _parallel(swept, [_axis(swept, path, list(scored)) for path in paths], scored)
    slices = [_slice(swept, _axis(swept, path, [*scored, *pruned]), scored, pruned) for path in paths]
    return [
        Figure(f"Settings and scores of study {swept.name}", drawings=[lines], note=LINES_NOTE),
        Figure(
            f"Score by setting of study {swept.name}",
            drawings=slices,
            note=f"{SLICES_NOTE} {PRUNED_NOTE}" if pruned else SLICES_NOTE,
        ),
    ]


def _parallel(swept: Swept, axes: Sequence[_Axis], scored: Mapping[int, float]) -> str:
    [(metric, direction)] = swept.objectives.items()
    sign = 1 if direction == "minimize" else -1
    ranked = sorted(scored, key=lambda number: (sign * scored[number], number))
    values = list(scored.values())
    start, end = 10.0, svg.WIDTH - 10
    score = svg.Scale.over(values, start, end, log=figures.logarithmic(values))
    levels = [24.0 + GAP * index for index in range(len(axes) + 1)]
    bottom, parts = levels[-1], list[str]()
    best = set(ranked[: max(1, len(ranked) // 4)])
    for number in reversed(ranked):
        points = [
            (start + axis.places[number] * (end - start), y)
            for axis, y in zip(axes, levels, strict=False)
            if number in axis.places
        ]
        points.append((score(scored[number]), bottom))
        class_ = "first c2" if number == ranked[0] else "good c1" if number in best else "other"
        hint = svg.title(_told(swept, number))
        parts.append(svg.path(points, f"strand {class_}", hint, data_trial=number))
    for axis, y in zip(axes, levels, strict=False):
        parts += [
            svg.line(start, y, end, y, "axis"),
            svg.text(
                start,
                y - 12,
                svg.shortened(axis.path + (" (log scale)" if axis.log else ""), end),
                class_="label",
            ),
        ]
        room = (end - start) / max(1, len(axis.marks))
        for place, name in axis.marks:
            x = start + place * (end - start)
            anchor = "start" if x < 30 else "end" if x > end - 20 else "middle"
            parts += [
                svg.line(x, y - 3, x, y + 3, "axis"),
                svg.text(x, y + 14, svg.shortened(name, room), anchor=anchor),
            ]
    parts += svg.horizontal(score, bottom, metric.replace("_", " ") + (" (log scale)" if score.log else ""))
    return svg.drawing(bottom + 38, "Parallel coordinates: settings and score of each trial", parts)


def _slice(swept: Swept, axis: _Axis, scored: Mapping[int, float], pruned: Mapping[int, float]) -> str:
    values = [*scored.values(), *pruned.values()]
    up = svg.Scale.over(values, HEIGHT - 40, TOP, log=figures.logarithmic(values))
    start, end, y = LEFT + 6, svg.WIDTH - 12, HEIGHT - 40
    metric = next(iter(swept.objectives)).replace("_", " ")
    parts = [svg.text(LEFT, 13, metric + (" (log scale)" if up.log else ""), class_="label")]
    parts += svg.vertical(up, LEFT, right=svg.WIDTH - 6)
    parts.append(svg.line(LEFT, y, svg.WIDTH - 6, y, "axis"))
    room = (end - start) / max(1, len(axis.marks))
    for place, name in axis.marks:
        x = start + place * (end - start)
        parts += [
            svg.line(x, y, x, y + 4, "axis"),
            svg.text(x, y + 15, svg.shortened(name, room), anchor="middle"),
        ]
    label = svg.shortened(axis.path + (" (log scale)" if axis.log else ""), svg.WIDTH - LEFT)
    parts.append(svg.text((start + end) / 2, y + 30, label, anchor="middle", class_="label"))
    for end_, some in (("pruned", pruned), ("complete", scored)):
        for number, value in some.items():
            if number in axis.places:
                x = start + axis.places[number] * (end - start)
                parts.append(_mark(swept, number, end_, x, up(value)))
    return svg.drawing(HEIGHT, f"{metric} by {axis.path}", parts)


# ---------------------------------------------------------------- marks


def _mark(swept: Swept, number: int, end: str, x: float, y: float) -> str:
    hint = svg.title(_told(swept, number))
    given: dict[str, Any] = {"data_trial": number}
    if end == "pruned":
        return svg.tag(
            "path", hint, d=f"M{x - 3:.1f},{y - 3:.1f}l6,6m0,-6l-6,6", class_="cross trial", **given
        )
    if end == "failed":
        return svg.tag("path", hint, d=f"M{x - 4:.1f},{y - 4:.1f}h8l-4,7z", class_="failed trial", **given)
    class_ = "mark c1 open trial" if end == "answered" else "mark c1 dotted trial"
    return svg.tag("circle", hint, cx=x, cy=y, r=3.5, class_=class_, **given)


def _legend(ends: Sequence[str]) -> list[str]:
    x, y, parts = LEFT, TOP + 6, []
    for end in ends:
        name = NAMES.get(end, end)
        if end == "pruned":
            parts.append(svg.tag("path", d=f"M{x:.1f},{y - 7:.1f}l6,6m0,-6l-6,6", class_="cross"))
        elif end == "failed":
            parts.append(svg.tag("path", d=f"M{x:.1f},{y - 7:.1f}h8l-4,7z", class_="failed"))
        else:
            mark = "open" if end == "answered" else "dotted"
            parts.append(svg.tag("circle", cx=x + 3, cy=y - 4, r=3.5, class_=f"mark c1 {mark}"))
        parts.append(svg.text(x + 12, y, name))
        x += 26 + len(name) * svg.CHARACTER
    return parts


def _told(swept: Swept, number: int) -> str:
    """A trial in words: outcome, score, settings."""
    run = swept.trials[number]
    scores = swept.scores(number)
    metric = next(iter(swept.objectives))
    value = scores[0] if scores else run.data.metrics.get(metric)
    end = NAMES.get(outcome(run), outcome(run))
    score = f", {metric} {value:.4f}" if value is not None and math.isfinite(value) else ""
    settings = [
        f"{path} = {text}" for path in sorted(swept.paths) if (text := swept.value(number, path)) != "-"
    ]
    return f"trial {number} ({end}{score}): {', '.join(settings)}"
