"""Pictures of one clip: its spectrogram, and what a network says of it over time.

Contents: `posteriors`, `evidence`, `scores_over_time`, `heard`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.pictures.canvas import figure

LONGEST_SECONDS = 12.0  # of a clip that `heard` draws: its beginning
SIDES = (("true", "tab:blue"), ("found", "tab:orange"))
Spans = Sequence[tuple[float, float, Any]]  # start and end in seconds; a label, or a MIDI pitch


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
