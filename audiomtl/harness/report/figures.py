"""Figures of the report; the same numbers give the same bytes.

Contents: `draw_curves`, `draw_history`, `draw_front`, `draw_importances`; `trial_points`, `best_so_far`,
`logarithmic`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiomtl import pictures
from audiomtl.harness.record.runs import Swept, outcome


def draw_curves(
    curves: Mapping[int, Mapping[str, Sequence[tuple[int, float]]]],
    best_epochs: Mapping[int, float],
    path: Path,
) -> None:
    """Loss and main score by epoch (from 1), one colour per seed, with the best epoch marked."""
    kinds = list(dict.fromkeys(key.rpartition("/")[2] for histories in curves.values() for key in histories))
    with pictures.figure(path, 1, len(kinds), width=4.2 * len(kinds) + 0.8, height=3.4) as axes:
        panels = [axes] if len(kinds) == 1 else list(axes)
        for panel, kind in zip(panels, kinds, strict=True):
            for index, (seed, histories) in enumerate(curves.items()):
                for side, style in (("train", "--"), ("validation", "-")):
                    points = dict(histories.get(f"{side}/{kind}", ()))
                    label = f"seed {seed}" if side == "validation" else None
                    panel.plot(
                        list(points),
                        list(points.values()),
                        style,
                        color=f"C{index % 10}",
                        linewidth=1.2,
                        label=label,
                    )
                    if side == "validation" and best_epochs.get(seed) in points:
                        epoch = int(best_epochs[seed])
                        panel.plot([epoch], [points[epoch]], "o", color=f"C{index % 10}", markersize=5)
            panel.set(title=kind.replace("_", " "), xlabel="epoch")
        sides = {key.rpartition("/")[0] for histories in curves.values() for key in histories}
        if "train" in sides:
            panels[0].plot([], [], "--", color="0.4", linewidth=1.2, label="train")
        panels[0].plot([], [], "-", color="0.4", linewidth=1.2, label="validation")
        panels[0].plot([], [], "o", color="0.4", markersize=5, label="best epoch")
        panels[0].legend(frameon=False, fontsize="small")


def trial_points(swept: Swept) -> dict[str, dict[int, float]]:
    """Finite scores by outcome and trial: of complete trials, and of pruned ones when they were stopped."""
    points: dict[str, dict[int, float]] = {}
    metric = next(iter(swept.objectives))
    for number, run in swept.trials.items():
        end = outcome(run)
        value = next(iter(swept.scores(number)), None)
        given = value if value is not None else run.data.metrics.get(metric) if end == "pruned" else None
        if given is not None and math.isfinite(given):
            points.setdefault(end, {})[number] = given
    return points


def best_so_far(swept: Swept) -> dict[int, float]:
    """The best score of the trials up to each one that has a score."""
    better = min if next(iter(swept.objectives.values())) == "minimize" else max
    found: dict[int, float] = {}
    for number in swept.trials:
        if scores := swept.scores(number):
            found[number] = better([scores[0], *list(found.values())[-1:]])
    return found


def logarithmic(values: Iterable[float]) -> bool:
    """Whether an axis is logarithmic because some trials diverged: keeps the rest apart."""
    given = list(values)
    return bool(given) and min(given) > 0 and max(given) / min(given) > 50


def draw_history(swept: Swept, path: Path) -> None:
    """The score of each trial, the best so far, and the scores of pruned trials when they were stopped."""
    [metric] = swept.objectives
    points, running = trial_points(swept), best_so_far(swept)
    styles: dict[str, dict[str, Any]] = {
        "complete": {"marker": "o", "color": "C0"},
        "answered": {"marker": "o", "markerfacecolor": "none", "color": "C0"},
        "pruned": {"marker": "x", "color": "0.55", "label": "pruned (score when stopped)"},
    }
    with pictures.figure(path, width=7.0, height=3.6) as axes:
        axes.step(list(running), list(running.values()), where="post", color="C1", label="best so far")
        for end, style in styles.items():
            if end in points:
                axes.plot(
                    list(points[end]), list(points[end].values()), linestyle="none", **{"label": end, **style}
                )
        lost = [number for number, run in swept.trials.items() if outcome(run) == "failed"]
        if lost:
            top = axes.get_xaxis_transform()
            axes.plot(
                lost,
                [0.97] * len(lost),
                linestyle="none",
                marker="v",
                color="C3",
                label="failed",
                transform=top,
            )
        if logarithmic(value for group in points.values() for value in group.values()):
            axes.set_yscale("log")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(title=f"study {swept.name}", xlabel="trial", ylabel=metric.replace("_", " "))
        axes.figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=5)


def draw_front(swept: Swept, path: Path) -> None:
    """The first two scores of every trial that has them, and the Pareto front (over all scores) with trial
    numbers.
    """
    points = {number: values[:2] for number in swept.trials if (values := swept.scores(number))}
    names = [name.replace("_", " ") for name in swept.objectives]
    pictures.front(points, swept.front, path, names=names[:2], title=f"study {swept.name}")


def draw_importances(importances: Mapping[str, float], path: Path) -> None:
    """One bar per swept setting, the largest at the top."""
    names = list(importances)[::-1]
    with pictures.figure(path, width=7.0, height=1.2 + 0.3 * len(names)) as axes:
        bars = axes.barh(names, [importances[name] for name in names], color="C0")
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize="small")
        axes.set(xlim=(0, 1.12 * max(1e-3, *importances.values())), xlabel="importance")
