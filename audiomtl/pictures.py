"""Arrays in, PNG files out; the same arrays give the same bytes.

Contents: `learning_curves`, `trajectories`, `confusion`, `posteriors`, `evidence`, `scores_over_time`,
`heard`, `front`, `figure`, `tried`.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PANELS = 5  # of learning curves in a row
MOST_KINDS = 15  # of scores in one figure of learning curves
LONGEST_SECONDS = 12.0  # of a clip that `heard` draws: its beginning
SIDES = (("true", "tab:blue"), ("found", "tab:orange"))
Spans = Sequence[tuple[float, float, Any]]  # start and end in seconds; a label, or a MIDI pitch


@contextmanager
def figure(
    path: Path, rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 4.0
) -> Iterator[Any]:
    """Axes (one, or an array of them) of a figure that is saved to ``path``; sizes in inches.

    Texts are drawn as they are: a dollar sign in a class's name begins no formula.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"text.parse_math": False}):
        canvas = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(canvas)
        yield canvas.subplots(rows, columns)
        _plain_powers(canvas)
        path.parent.mkdir(parents=True, exist_ok=True)
        # no version in the file: byte-identical when drawn again
        canvas.savefig(path, metadata={"Software": None})


def _plain_powers(canvas: Any) -> None:
    """Numbers at logarithmic axes as 1e-02, not as a formula."""
    from matplotlib.ticker import LogFormatter

    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(LogFormatter())
                axis.set_minor_formatter(LogFormatter(labelOnlyBase=False))


def tried(draw: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """Draw, where a picture that fails costs nothing else: its error goes to the log."""
    try:
        draw(*arguments, **options)
    except Exception as error:
        traceback.print_exc()
        name = f"{draw.__module__}.{draw.__name__}"
        print(f"this picture failed and was left out: {name}: {type(error).__name__}: {error}")


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


def posteriors(
    frames: np.ndarray,
    posteriors: np.ndarray,
    names: Sequence[str],
    *,
    seconds: float,
    truth: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """A spectrogram above the class probabilities of the same clip.

    Parameters
    ----------
    frames : (n_frames, n_bands) features before scaling.
    posteriors : (n_network_frames, n_classes) probabilities; ``names`` of the classes. Classes that never
        reach 0.1 are left out.
    seconds : length of the clip.
    """
    shown = [index for index in range(posteriors.shape[1]) if posteriors[:, index].max() >= 0.1] or [
        int(posteriors.max(axis=0).argmax())
    ]
    with figure(path, 2, 1, width=8.0, height=2.5 + 0.16 * len(shown)) as (above, below):
        above.imshow(
            frames.T, origin="lower", aspect="auto", extent=(0, seconds, 0, frames.shape[1]), cmap="magma"
        )
        above.set(title=title, ylabel="band")
        below.imshow(
            posteriors[:, shown].T,
            aspect="auto",
            extent=(0, seconds, len(shown), 0),
            cmap="Blues",
            vmin=0,
            vmax=1,
        )
        below.set_yticks(np.arange(len(shown)) + 0.5, [names[index] for index in shown], fontsize=7)
        below.set(xlabel=f"seconds\ntrue: {' '.join(truth)}", ylabel="class")


def evidence(
    frames: np.ndarray,
    first: np.ndarray,
    length: int,
    *,
    seconds_per_frame: float,
    weights: np.ndarray,
    probabilities: np.ndarray,
    passages: Sequence[tuple[float, float]],
    title: str,
    path: Path,
) -> None:
    """A spectrogram above each window's weight and probability of the true class; known passages are shaded.

    Parameters
    ----------
    frames : (n_frames, n_bands) features before scaling.
    first : (n_windows,) first frame of each window of ``length`` frames.
    weights, probabilities : (n_windows,)
    passages : spans in seconds.
    """
    seconds = len(frames) * seconds_per_frame
    with figure(path, 2, 1, width=9.0, height=4.5) as (above, below):
        # the first cepstral coefficient would drown the rest
        shown = (frames - frames.mean(axis=0)) / np.maximum(frames.std(axis=0), 1e-6)
        low, high = np.percentile(shown, (1, 99))
        above.imshow(
            shown.T,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, frames.shape[1]),
            cmap="magma",
            vmin=low,
            vmax=high,
        )
        above.set(title=title, ylabel="band, each to its own scale")
        for start, end in passages:
            below.axvspan(start, end, color="tab:green", alpha=0.15, linewidth=0)
        middle = (first + length / 2) * seconds_per_frame
        below.plot(middle, probabilities, "o-", markersize=3, label="probability of the true class")
        share = weights / max(float(weights.max()), 1e-9)
        below.plot(middle, share, "s--", markersize=3, label=f"weight (largest {weights.max():.2f} = 1)")
        below.set(
            xlabel="seconds, at the middle of each window" + (" (shaded: passages)" if passages else ""),
            xlim=(0, seconds),
            ylim=(-0.03, 1.05),
        )
        below.legend(frameon=False, fontsize="small", loc="upper right")


def scores_over_time(
    times: np.ndarray, scores: np.ndarray, names: Sequence[str], *, title: str, path: Path
) -> None:
    """Scores of the classes over the patches of one recording, likeliest classes first.

    Parameters
    ----------
    times : (n_patches,) middle of each patch in seconds.
    scores : (n_patches, n_classes) in [0, 1].
    """
    shown = np.argsort(-scores.max(axis=0), kind="stable")[:12]
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.5
    with figure(path, width=8.0, height=1.2 + 0.25 * len(shown)) as axes:
        extent = (times[0] - half, times[-1] + half, len(shown), 0)
        picture = axes.imshow(
            scores[:, shown].T,
            aspect="auto",
            extent=extent,
            cmap="Blues",
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        axes.set_yticks(np.arange(len(shown)) + 0.5, [names[index] for index in shown], fontsize=8)
        axes.set(title=title, xlabel="seconds, at the middle of each patch")
        axes.figure.colorbar(picture, ax=axes, label="score")


def heard(
    frames: np.ndarray,
    *,
    seconds_per_frame: float,
    seconds_per_step: float,
    texts: Mapping[str, tuple[Spans, Spans]],
    notes: Mapping[str, tuple[Spans, Spans]],
    activities: Mapping[str, tuple[np.ndarray | None, np.ndarray, Sequence[str]]],
    title: str,
    path: Path,
) -> None:
    """A spectrogram, and below it the targets and predictions of each head, truth above prediction.

    Parameters
    ----------
    frames : (n_frames, n_bands) features before scaling.
    texts : of each head the true and the found (start, end, label), edge to edge or with gaps.
    notes : of each head the true and the found (start, end, MIDI pitch).
    activities : of each head the true activity (None: not known) and the scores, (n_steps, n_classes), and
        the classes.
    """
    whole = len(frames) * seconds_per_frame
    seconds = min(whole, LONGEST_SECONDS)
    heights = [2.2, *(1.0 for _ in texts)]
    heights += [0.5 + 0.075 * _pitches(*pair)[1] for pair in notes.values()]
    heights += [0.9 + 0.22 * 2 * len(_shown(*own)) for own in activities.values()]
    width = 1.1 + 1.6 * max(seconds, 4.0)
    with figure(path, len(heights), 1, width=width, height=sum(heights) + 0.9) as axes:
        panels = list(np.atleast_1d(axes))
        panels[0].figure.set_layout_engine("none")
        _stacked(panels, heights, width)
        low, high = np.percentile(frames, (5, 99.5))
        panels[0].imshow(
            frames.T,
            origin="lower",
            aspect="auto",
            extent=(0, whole, 0, frames.shape[1]),
            cmap="magma",
            vmin=low,
            vmax=high,
        )
        panels[0].set_title(
            title + (f" (first {seconds:g} of {whole:.1f} s)" if whole > seconds else ""), loc="left"
        )
        panels[0].set_ylabel("band")
        if texts or notes:
            sides = [
                panels[0].plot([], [], color=color, linewidth=5, label=label)[0] for label, color in SIDES
            ]
            panels[0].legend(
                handles=sides,
                frameon=False,
                ncols=2,
                loc="lower right",
                bbox_to_anchor=(1, 0.98),
                borderaxespad=0,
            )
        below = iter(panels[1:])
        for name, (truth, found) in texts.items():
            _draw_text(next(below), name, truth, found, seconds)
            for start, _, _ in truth:
                panels[0].axvline(start, color="white", linewidth=0.5, alpha=0.6)
        for name, (truth, found) in notes.items():
            _draw_notes(next(below), name, truth, found)
        for name, own in activities.items():
            _draw_activity(next(below), name, *own, seconds_per_step)
        for panel in panels:
            panel.set_xlim(0, seconds)
            panel.tick_params(labelbottom=panel is panels[-1])
        panels[-1].set_xlabel("seconds")


def _stacked(panels: Sequence[Any], heights: Sequence[float], width: float) -> None:
    """Place panels below one another by their heights in inches."""
    gap, left, right, top, bottom = 0.12, 0.9, 0.15, 0.35, 0.45
    total = sum(heights) + gap * (len(heights) - 1) + top + bottom
    panels[0].figure.set_size_inches(width, total)
    place = total - top
    for panel, height in zip(panels, heights, strict=True):
        panel.set_position(
            (left / width, (place - height) / total, (width - left - right) / width, height / total)
        )
        place -= height + gap


def _draw_text(panel: Any, name: str, truth: Spans, found: Spans, seconds: float) -> None:
    """Two lanes of labels, the true one above."""
    for lane, spans, (_, color) in zip((1, 0), (truth, found), SIDES, strict=True):
        for number, (start, end, label) in enumerate(spans):
            if start >= seconds:
                break
            panel.axvspan(
                start,
                end,
                ymin=lane / 2,
                ymax=(lane + 1) / 2,
                color=color,
                alpha=0.3 if number % 2 else 0.15,
                linewidth=0,
            )
            panel.axvline(start, ymin=lane / 2, ymax=(lane + 1) / 2, color=color, linewidth=0.8)
            if (start + end) / 2 < seconds:  # short neighbours stand on three heights
                height = lane + (0.22, 0.5, 0.78)[number % 3]
                panel.text(
                    (start + end) / 2, height, str(label), ha="center", va="center", fontsize=7, clip_on=True
                )
    panel.axhline(1, color="black", linewidth=0.6)
    panel.set(ylim=(0, 2))
    panel.set_yticks([1.5, 0.5], ["true", name], fontsize=7)


def _pitches(truth: Spans, found: Spans) -> tuple[int, int]:
    """Lowest pitch that is drawn and how many, an octave at least."""
    pitches = [pitch for _, _, pitch in [*truth, *found]] or [60]
    return min(pitches) - 1, max(max(pitches) - min(pitches) + 3, 12)


def _draw_notes(panel: Any, name: str, truth: Spans, found: Spans) -> None:
    """Bars at their pitch, the true one in the upper half of a key's row."""
    for lower, spans, (_, color) in zip((0.0, -0.5), (truth, found), SIDES, strict=True):
        starts, lengths = [start for start, _, _ in spans], [end - start for start, end, _ in spans]
        panel.barh(
            [pitch + lower for _, _, pitch in spans],
            lengths,
            0.5,
            starts,
            align="edge",
            color=color,
            linewidth=0,
        )
    low, count = _pitches(truth, found)
    panel.set(ylim=(low - 0.5, low + count - 0.5), ylabel=name)
    panel.set_yticks([pitch for pitch in range(low, low + count) if pitch % 12 == 0], minor=False)
    panel.grid(axis="y", color="0.85", linewidth=0.5)
    panel.set_axisbelow(True)


def _shown(truth: np.ndarray | None, scores: np.ndarray, names: Sequence[str]) -> list[int]:
    """Classes that are true or likely somewhere; the likeliest one at least."""
    top = scores.max(axis=0) if truth is None else np.maximum(scores.max(axis=0), truth.max(axis=0))
    return [index for index in range(len(names)) if top[index] >= 0.1] or [int(top.argmax())]


def _draw_activity(
    panel: Any, name: str, truth: np.ndarray | None, scores: np.ndarray, names: Sequence[str], step: float
) -> None:
    """Rows of true activity above rows of scores."""
    shown = _shown(truth, scores, names)
    above = np.full((len(scores), len(shown)), np.nan) if truth is None else truth[:, shown]
    both = np.concatenate([above, scores[:, shown]], axis=1)
    panel.imshow(
        both.T,
        aspect="auto",
        extent=(0, step * len(both), 2 * len(shown), 0),
        cmap="Blues",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    panel.axhline(len(shown), color="black", linewidth=0.8)
    labels = [*(f"true {names[index]}" for index in shown), *(names[index] for index in shown)]
    panel.set_yticks(np.arange(2 * len(shown)) + 0.5, labels, fontsize=7)
    panel.set_ylabel(name)


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
