"""Arrays in, PNG files out; the same arrays give the same bytes.

Contents: `learning_curves`, `confusion`, `posteriors`, `evidence`, `scores_over_time`, `front`, `figure`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def figure(path: Path, rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 4.0) -> Iterator[Any]:
    """Axes (one, or an array of them) of a figure that is saved to ``path``; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(canvas)
    yield canvas.subplots(rows, columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={"Software": None})  # no version in the file: byte-identical when drawn again


def learning_curves(history: Sequence[Mapping[str, float]], path: Path, *, best_epoch: int) -> None:
    """One panel per kind of score (loss, phone_error_rate ...), a line per side, the best epoch marked."""
    kinds = sorted({name.rpartition("/")[2] for scores in history for name in scores} - {"learning_rate"})
    with figure(path, 1, max(1, len(kinds)), width=3.2 * max(1, len(kinds)), height=3.0) as axes:
        for panel, kind in zip(np.atleast_1d(axes), kinds, strict=False):
            for name in sorted({name for scores in history for name in scores if name.rpartition("/")[2] == kind}):
                panel.plot(range(len(history)), [scores.get(name, np.nan) for scores in history], label=name.rpartition("/")[0])
            if best_epoch >= 0:
                panel.axvline(best_epoch, color="0.7", linewidth=1, zorder=0)
            panel.set(title=kind.replace("_", " "), xlabel="epoch")
            panel.legend(frameon=False, fontsize="small")


def confusion(counts: Mapping[tuple[str, str], int], path: Path, *, edits: bool = True) -> None:
    """Rows are true symbols, columns predicted ones, each row in shares.

    ``edits``: symbols of sequences, where ``""`` (nothing) stands for insertion and deletion; otherwise classes.
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
        axes.set(xlabel="predicted", ylabel="true", title=f"share of each true {'phone' if edits else 'class'}")


def posteriors(
    frames: np.ndarray, shares: np.ndarray, names: Sequence[str], *, seconds: float, truth: Sequence[str], title: str, path: Path
) -> None:
    """A spectrogram above the class probabilities of the same clip.

    Parameters
    ----------
    frames : (n_frames, n_bands) features before scaling.
    shares : (n_network_frames, n_classes) probabilities; ``names`` of the classes. Classes that never reach 0.1 are left out.
    seconds : length of the clip.
    """
    shown = [index for index in range(shares.shape[1]) if shares[:, index].max() >= 0.1]
    with figure(path, 2, 1, width=8.0, height=2.5 + 0.16 * len(shown)) as (above, below):
        above.imshow(frames.T, origin="lower", aspect="auto", extent=(0, seconds, 0, frames.shape[1]), cmap="magma")
        above.set(title=title, ylabel="band")
        below.imshow(shares[:, shown].T, aspect="auto", extent=(0, seconds, len(shown), 0), cmap="Blues", vmin=0, vmax=1)
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
        shown = (frames - frames.mean(axis=0)) / np.maximum(frames.std(axis=0), 1e-6)  # the first cepstral coefficient would drown the rest
        low, high = np.percentile(shown, (1, 99))
        above.imshow(shown.T, origin="lower", aspect="auto", extent=(0, seconds, 0, frames.shape[1]), cmap="magma", vmin=low, vmax=high)
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


def scores_over_time(times: np.ndarray, scores: np.ndarray, names: Sequence[str], *, title: str, path: Path) -> None:
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
        picture = axes.imshow(scores[:, shown].T, aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_yticks(np.arange(len(shown)) + 0.5, [names[index] for index in shown], fontsize=8)
        axes.set(title=title, xlabel="seconds, at the middle of each patch")
        axes.figure.colorbar(picture, ax=axes, label="score")


def front(points: Mapping[int, Sequence[float]], chosen: Sequence[int], path: Path, *, names: Sequence[str], title: str) -> None:
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
                *zip(*(drawn[number] for number in marked), strict=True), "o--", color="C1", linewidth=1, markersize=7, label="Pareto front"
            )
        for number in marked:
            axes.annotate(f"trial {number}", drawn[number], xytext=(6, 6), textcoords="offset points", fontsize="small")
        axes.margins(0.12)
        axes.set(title=title, xlabel=names[0], ylabel=names[1])
        axes.figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=2)
