"""Arrays in, PNG files out; the same arrays give the same bytes. Contents: `learning_curves`, `confusion`, `posteriors`, `figure`."""

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


def confusion(counts: Mapping[tuple[str, str], int], path: Path) -> None:
    """Rows are true phones, columns predicted ones, each row in shares; ``""`` (nothing) stands for insertion and deletion."""
    symbols = sorted({symbol for pair in counts for symbol in pair} - {""})
    table = np.array([[counts.get((true, guess), 0) for guess in [*symbols, ""]] for true in [*symbols, ""]], float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    size = max(4.0, 0.2 * len(table) + 1.5)
    with figure(path, width=size, height=size) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(table)), [*symbols, "deleted"], rotation=90, fontsize=7)
        axes.set_yticks(range(len(table)), [*symbols, "inserted"], fontsize=7)
        axes.set(xlabel="predicted", ylabel="true", title="share of each true phone")


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
