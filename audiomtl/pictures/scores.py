"""Pictures of scores: of a training's epochs, of classes, of a study's trials.

Contents: `learning_curves`, `trajectories`, `confusion`, `average_precisions`, `front`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from audiomtl.metrics import tags
from audiomtl.pictures.canvas import figure

PANELS = 5  # of learning curves in a row
MOST_BARS = 40  # of classes at each end
MOST_KINDS = 15  # of scores in one figure of learning curves


def learning_curves(
    history: Sequence[Mapping[str, float]], path: Path, *, best_epoch: int, before: Sequence[str] = ()
) -> None:
    """One panel per kind of score (loss, phone_error_rate ...), a line per side, the best epoch marked; five
    panels to a row.

    Of many kinds the most telling are shown, `MOST_KINDS` of them: those of both sides, then losses, then
    those named by ``before``, then others of validation.
    """
    names = list(dict.fromkeys(name for scores in history for name in scores))
    kinds = sorted({name.rpartition("/")[2] for name in names} - {"learning_rate"})
    left_out = 0
    if len(kinds) > PANELS:
        kinds = _most_telling(names, before)
        left_out, kinds = len(kinds) - len(kinds[:MOST_KINDS]), kinds[:MOST_KINDS]
    rows, columns = max(1, -(-len(kinds) // PANELS)), max(1, min(len(kinds), PANELS))
    with figure(path, rows, columns, width=3.2 * columns, height=3.0 * rows) as axes:
        panels = np.atleast_1d(axes).ravel()
        for panel, kind in zip(panels, kinds, strict=False):
            for name in sorted(name for name in names if name.rpartition("/")[2] == kind):
                panel.plot(
                    range(len(history)),
                    [scores.get(name, np.nan) for scores in history],
                    label=name.rpartition("/")[0],
                )
            if best_epoch >= 0:
                panel.axvline(best_epoch, color="0.7", linewidth=1, zorder=0)
            panel.set(title=kind.replace("_", " "), xlabel="epoch")
            panel.legend(frameon=False, fontsize="small")
        for panel in panels[max(1, len(kinds)) :]:
            panel.set_axis_off()
        if left_out:
            panels[0].figure.suptitle(f"{len(kinds)} scores; the other {left_out} are in history.json")


def _most_telling(names: Sequence[str], before: Sequence[str]) -> list[str]:
    """Kinds of scores, the most telling first; else in the order given."""
    sides: dict[str, set[str]] = {}
    for name in [*(f"validation/{kind}" for kind in before if f"validation/{kind}" in names), *names]:
        sides.setdefault(name.rpartition("/")[2], set()).add(name.rpartition("/")[0])
    sides.pop("learning_rate", None)

    def rank(kind: str) -> int:
        if sides[kind] >= {"train", "validation"}:
            return 0
        return 1 if kind.endswith("loss") else 2 if "validation" in sides[kind] else 3

    return sorted(sides, key=rank)


def trajectories(history: Sequence[Mapping[str, float]], tasks: Sequence[str], path: Path) -> None:
    """The weight that each task's loss had (``train/TASK_weight``) beside the loss itself
    (``train/TASK_loss``), epoch by epoch.
    """
    with figure(path, 1, 2, width=9.0, height=3.6) as (left, right):
        for panel, kind in ((left, "weight"), (right, "loss")):
            for number, task in enumerate(tasks):
                values = [scores.get(f"train/{task}_{kind}", np.nan) for scores in history]
                # dashes of different length show lines that lie on one another
                panel.plot(
                    range(len(history)),
                    values,
                    color=f"C{number % 10}",
                    dashes=(3 + 2 * number, number),
                    label=task,
                )
            panel.set(title=f"{kind} of each task", xlabel="epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
        if any(scores.get(f"train/{task}_loss", 0.0) > 0 for scores in history for task in tasks):
            right.set_yscale("log")
        left.legend(frameon=False, fontsize="small")


def confusion(counts: Mapping[tuple[str, str], int], path: Path, *, edits: bool = True) -> None:
    """Rows are true symbols, columns predicted ones; each row sums to 1.

    ``edits``: symbols of sequences, where ``""`` (nothing) stands for insertion and deletion; otherwise
    classes.
    """
    symbols = sorted({symbol for pair in counts for symbol in pair} - {""})
    every = [*symbols, ""] if edits else symbols
    table = np.array([[counts.get((true, guess), 0) for guess in every] for true in every], float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    size = max(4.0, 0.2 * len(table) + 1.5)
    with figure(path, width=size, height=size) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(table)), [*symbols, "deleted"][: len(table)], rotation=90, fontsize=7)
        axes.set_yticks(range(len(table)), [*symbols, "inserted"][: len(table)], fontsize=7)
        axes.set(
            xlabel="predicted", ylabel="true", title=f"share of each true {'phone' if edits else 'class'}"
        )


def average_precisions(truth: np.ndarray, scores: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """A bar per class that can be scored, the best at the top, and a mark where a ranking by chance would
    stand: the share of clips that have the class.

    Parameters
    ----------
    truth, scores : (clips, classes), 0 and 1, and higher where the class is more likely.
    """
    found = {name: one["average_precision"] for name, one in tags.by_class(truth, scores, classes).items()}
    names = sorted(found, key=lambda name: (found[name], name))
    if left_out := max(0, len(names) - 2 * MOST_BARS):
        names = [*names[:MOST_BARS], *names[-MOST_BARS:]]
    with figure(path, width=6.0, height=max(2.0, 0.22 * len(names) + 1.2)) as axes:
        axes.barh(range(len(names)), [found[name] for name in names], color="C0", height=0.7)
        chance = [float(np.mean(truth[:, classes.index(name)])) for name in names]
        axes.plot(chance, range(len(names)), "|", color="C1", markersize=9)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        more = f"; {left_out} classes between the best and the worst are not shown" if left_out else ""
        axes.set(xlim=(0, 1), xlabel=f"average precision (mark: by chance){more}")


def front(
    points: Mapping[int, Sequence[float]],
    chosen: Sequence[int],
    path: Path,
    *,
    names: Sequence[str],
    title: str,
) -> None:
    """Trials by two of their scores; those of a Pareto front joined and numbered.

    Parameters
    ----------
    points : {trial: two scores}; those that are not finite are left out.
    chosen : the trials on the front.
    names : of the two scores.
    """
    drawn = {number: values for number, values in points.items() if np.isfinite(values).all()}
    marked = sorted((number for number in chosen if number in drawn), key=lambda number: tuple(drawn[number]))
    others = [values for number, values in drawn.items() if number not in chosen]
    with figure(path, width=6.0, height=4.5) as axes:
        if others:
            axes.plot(*zip(*others, strict=True), "o", color="0.6", markersize=5, label="other trials")
        if marked:
            axes.plot(
                *zip(*(drawn[number] for number in marked), strict=True),
                "o--",
                color="C1",
                linewidth=1,
                markersize=7,
                label="Pareto front",
            )
        for number in marked:
            axes.annotate(
                f"trial {number}", drawn[number], xytext=(6, 6), textcoords="offset points", fontsize="small"
            )
        axes.margins(0.12)
        axes.set(title=title, xlabel=names[0], ylabel=names[1])
        axes.figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=2)
