"""The grid of steps, and what lies on it: spans of time, notes, the positions of a text.

Conventions: times are seconds; a step is ``settings.stride`` frames and stands for the middle of their
centres (`step_times`). A note is (onset, offset, MIDI pitch).

Contents: `step_times`, `middle_frames`, `spoken`, `runs`; `as_notes`, `rolls`, `roll`; `text_tokens`;
`stacked`.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.data import scores
from audiomtl.data.scores import Note
from audiomtl.families.multitask.viterbi import PAUSE, positions

if TYPE_CHECKING:
    from audiomtl.families.multitask.settings import Settings

# an onset is taught in the nearest step and so many to either side, or hardly any step of 100 would have one
ONSET_STEPS = 1
UNKNOWN = 1  # token of a symbol that no train clip has; 0 is padding


def step_times(n_frames: int, settings: "Settings") -> np.ndarray:  # (n_steps,)
    """The time that each step stands for."""
    hop = settings.features.seconds_per_frame
    return (np.arange(-(-n_frames // settings.stride)) * settings.stride + (settings.stride - 1) / 2) * hop


def middle_frames(n_frames: int, settings: "Settings") -> np.ndarray:  # (n_steps,)
    """The frame at each step's middle, of two the later one; the clip's last for a step that it cuts."""
    places = np.arange(-(-n_frames // settings.stride)) * settings.stride + settings.stride // 2
    return np.minimum(places, n_frames - 1)


def spoken(starts: Sequence[float], ends: Sequence[float], times: np.ndarray) -> np.ndarray:  # (n_steps,)
    """Number of the span (in order, edge to edge or with gaps) that holds each time; -1: none."""
    index = np.searchsorted(np.asarray(starts, float), times, side="right") - 1
    return np.where((index >= 0) & (times < np.append(np.asarray(ends, float), 0.0)[index]), index, -1)


def runs(numbers: np.ndarray, times: np.ndarray) -> list[tuple[float, float, int]]:
    """Runs of equal numbers (steps,) as (start, end, number) in seconds.

    Boundaries lie halfway between steps.
    """
    if not len(numbers):
        return []
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1))
    lasts = np.append(firsts[1:] - 1, len(numbers) - 1)
    return [
        (float(times[first] - half), float(times[last] + half), int(numbers[first]))
        for first, last in zip(firsts, lasts, strict=True)
    ]


def rolls(notes: Sequence[Note], times: np.ndarray, clip: str) -> np.ndarray:  # (n_steps, 2 * KEYS)
    """1 where a key begins (the nearest step and `ONSET_STEPS` to either side), then 1 where it is held.

    Raises
    ------
    UserError : notes outside the keys, or two at once on one of them.
    """
    known = scores.checked(f"clip {clip}", notes)
    begins = roll(scores.onset_roll, known, times)
    around = np.pad(begins, ((ONSET_STEPS, ONSET_STEPS), (0, 0)))
    begins = np.lib.stride_tricks.sliding_window_view(around, 2 * ONSET_STEPS + 1, axis=0).max(axis=2)
    return np.concatenate([begins, roll(scores.piano_roll, known, times)], axis=1)


def roll(draw: Callable[..., np.ndarray], notes: Sequence[Note], times: np.ndarray) -> np.ndarray:
    """A roll on the grid of steps, whose first one does not stand for 0 s."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    return draw(
        [(max(onset - times[0], 0.0), offset - times[0], pitch) for onset, offset, pitch in notes],
        len(times),
        step,
    )


def as_notes(value: Sequence[Any]) -> list[Note]:
    """The notes in a cell of a clip table; those of a Parquet file are an array of arrays."""
    return [(float(onset), float(offset), int(pitch)) for onset, offset, pitch in value]


def text_tokens(
    phones: Sequence[str], symbols: Sequence[str], pauses: Collection[str] = (PAUSE,)
) -> np.ndarray:  # (n_positions,)
    """Positions of a text as numbers: 2 and on in ``symbols``, `UNKNOWN` for others."""
    known = {symbol: number for number, symbol in enumerate(symbols, start=2)}
    return np.array([known.get(symbol, UNKNOWN) for symbol in positions(phones, pauses)], np.int32)


def stacked(
    arrays: Sequence[np.ndarray | None], steps: int, *, fill: float = 0.0, columns: int | None = None
) -> np.ndarray:
    """(clips, steps, ...): each array with ``fill`` behind it, None all of it."""
    shape = next(
        (array.shape[1:] for array in arrays if array is not None), () if columns is None else (columns,)
    )
    found = np.full((len(arrays), steps, *shape), fill, np.float32)
    for row, array in zip(found, arrays, strict=True):
        if array is not None:
            row[: len(array)] = array
    return found
