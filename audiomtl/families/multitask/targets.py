"""What each head of a multi-task network learns of a clip, on the grid of steps.

Conventions: times are seconds; a step is ``settings.stride`` frames and stands for the middle of their centres (`step_times`). A target is
an array with a number or a row for each step, or one number for the clip; None where the clip lacks the label. Classes are numbers; -1 is
a step, or a clip, without one. A note is (onset, offset, MIDI pitch), a passage (onset, offset).

Contents: `REST`, `step_times`, `activity`, `spoken`, `melody`, `rolls`, `text_tokens`, `vocabulary`, `target`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import scores
from audiomtl.data.scores import KEYS, Note
from audiomtl.errors import UserError
from audiomtl.families.multitask.settings import Head, Settings
from audiomtl.families.multitask.viterbi import PAUSE, positions

REST = KEYS  # class of a melody's silence
ONSET_STEPS = 1  # an onset is taught in the nearest step and so many to either side, or hardly any step of 100 would have one
UNKNOWN = 1  # token of a symbol that no train clip has; 0 is padding


def step_times(n_frames: int, settings: Settings) -> np.ndarray:  # (n_steps,)
    """The time that each step stands for."""
    hop = settings.features.hop_samples / settings.features.sample_rate
    return (np.arange(-(-n_frames // settings.stride)) * settings.stride + (settings.stride - 1) / 2) * hop


def activity(passages: Sequence[tuple[float, float]], label: int, n_frames: int, classes: int, settings: Settings) -> np.ndarray:
    """(n_steps, classes): 1 for the clip's class in steps of which at least half lies in a passage."""
    starts = settings.step_seconds * np.arange(-(-n_frames // settings.stride))
    ends = starts + settings.step_seconds
    inside = sum((np.clip(np.minimum(ends, end) - np.maximum(starts, start), 0, None) for start, end in passages), 0 * starts)
    found = np.zeros((len(starts), classes), np.float32)
    found[:, label] = inside >= 0.5 * settings.step_seconds
    return found


def spoken(starts: Sequence[float], ends: Sequence[float], times: np.ndarray) -> np.ndarray:  # (n_steps,)
    """Number of the span (in order, edge to edge or with gaps) that holds each time; -1: none."""
    index = np.searchsorted(np.asarray(starts, float), times, side="right") - 1
    return np.where((index >= 0) & (times < np.append(np.asarray(ends, float), 0.0)[index]), index, -1)


def melody(notes: Sequence[Note], times: np.ndarray, clip: str) -> np.ndarray:  # (n_steps,)
    """Key that is sung at each time, 0 to 87, or `REST`.

    Raises
    ------
    UserError : notes outside the keys, or two at once: a melody has one at a time.
    """
    roll = _roll(scores.piano_roll, scores.monophonic(f"clip {clip}", notes), times)
    return np.where(roll.any(axis=1), roll.argmax(axis=1), REST)


def _keys(name: str, value: np.ndarray, n_frames: int, clip: str) -> np.ndarray:  # (n_frames,)
    """A melody that is there frame by frame already: keys 0 to 87, `REST`."""
    if value.shape != (n_frames,) or not np.isin(value, np.arange(REST + 1)).all():
        raise UserError(
            f"heads.{name}: clip {clip} has {n_frames} frames and an array of shape {value.shape}, values {value.min()} to {value.max()}: "
            f"one key a frame is needed, 0 to {REST}, the last one rest"
        )
    return value.astype(int)


def rolls(notes: Sequence[Note], times: np.ndarray, clip: str) -> np.ndarray:  # (n_steps, 2 * KEYS)
    """1 where a key begins (the nearest step and `ONSET_STEPS` to either side), then 1 where it is held.

    Raises
    ------
    UserError : notes outside the keys, or two at once on one of them.
    """
    known = scores.checked(f"clip {clip}", notes)
    begins = _roll(scores.onset_roll, known, times)
    around = np.pad(begins, ((ONSET_STEPS, ONSET_STEPS), (0, 0)))
    begins = np.lib.stride_tricks.sliding_window_view(around, 2 * ONSET_STEPS + 1, axis=0).max(axis=2)
    return np.concatenate([begins, _roll(scores.piano_roll, known, times)], axis=1)


def _roll(draw: Callable[..., np.ndarray], notes: Sequence[Note], times: np.ndarray) -> np.ndarray:
    """A roll on the grid of steps, whose first one does not stand for 0 s."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    return draw([(max(onset - times[0], 0.0), offset - times[0], pitch) for onset, offset, pitch in notes], len(times), step)


def text_tokens(phones: Sequence[str], symbols: Sequence[str]) -> np.ndarray:  # (n_positions,)
    """Positions of a text as numbers: 2 and on in ``symbols``, `UNKNOWN` for others."""
    known = {symbol: number for number, symbol in enumerate(symbols, start=2)}
    return np.array([known.get(symbol, UNKNOWN) for symbol in positions(phones)], np.int32)


def vocabulary(name: str, head: Head, train: pd.DataFrame, settings: Settings) -> tuple[str, ...]:
    """What a head's classes are called, sorted, from the train side alone; empty for heads without classes.

    Raises
    ------
    UserError : the column is not in the clip table; one class only.
    """
    column = head.reads(settings.data.label)
    needed = {"phones": (column, "starts", "ends"), "alignment": (column, "starts", "ends", settings.inputs.text)}.get(head.kind, (column,))
    for wanted in needed:
        if wanted not in train.columns:
            raise UserError(
                f'heads.{name}: kind {head.kind} needs a column {wanted}, which data.dataset = "{settings.data.dataset}" has not; '
                f"it has {', '.join(train.columns)}"
            )
    if head.kind == "phones":
        return tuple(sorted({phone for phones in train[column].dropna() for phone in phones}))
    if head.kind in ("clip_class", "segments"):
        classes = tuple(sorted(train[column if head.kind == "clip_class" else settings.data.label].dropna().astype(str).unique()))
        if len(classes) < 2:
            raise UserError(f"heads.{name}: every clip has the same class ({', '.join(classes)}); two are needed")
        return classes
    return ()


def target(name: str, head: Head, row: Mapping[str, Any], n_frames: int, names: Sequence[str], settings: Settings) -> np.ndarray | None:
    """What one head learns of one clip; a head of kind mel gets its frames elsewhere.

    Raises
    ------
    UserError : naming clip, value and rule.
    """
    value, clip = row[head.reads(settings.data.label)], str(row["clip_id"])
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    times = step_times(n_frames, settings)
    if head.kind == "clip_class":
        return np.array(names.index(str(value)) if str(value) in names else -1, np.int32)
    if head.kind == "value":
        if not isinstance(value, int | float | np.number):
            raise UserError(f"heads.{name}: clip {clip} has {head.column} = {value!r}; a head of kind value learns a number")
        return np.array(value, np.float32)
    if head.kind == "segments":
        if str(row[settings.data.label]) not in names:
            raise UserError(
                f"heads.{name}: clip {clip} is of the class {row[settings.data.label]}, which no train clip has; "
                f"there are {', '.join(names)}: raise train_share, or leave the clip out"
            )
        return activity(value, names.index(str(row[settings.data.label])), n_frames, len(names), settings)
    if head.kind == "melody":
        return _keys(name, value, n_frames, clip)[:: settings.stride] if isinstance(value, np.ndarray) else melody(value, times, clip)
    if head.kind == "notes":
        return rolls(value, times, clip)
    index = spoken(row["starts"], row["ends"], times)
    if head.kind == "phones":
        numbers = np.array([names.index(phone) if phone in names else -1 for phone in value] + [-1])
        return numbers[index]
    return _positions(name, row, value, index, settings) if row[settings.inputs.text] is not None else None


def _positions(name: str, row: Mapping[str, Any], phones: Sequence[str], index: np.ndarray, settings: Settings) -> np.ndarray:
    """Position in the given text of each step; what lies in no phone is the pause before the next one."""
    given = [phone for phone in row[settings.inputs.text] if phone != PAUSE]
    if given != [phone for phone in phones if phone != PAUSE]:
        raise UserError(f'heads.{name}: clip {row["clip_id"]}: the text of inputs.text = "{settings.inputs.text}" is not what is labelled')
    if len(given) > len(index):
        raise UserError(
            f"heads.{name}: clip {row['clip_id']}: a text of {len(given)} phones is longer than the sound of {len(index)} steps "
            f"({settings.step_seconds:.3f} s each); shorten features.hop_seconds or encoder.pool_frames, or leave the clip out"
        )
    places, said = [], 0
    for phone in phones:
        places.append(2 * said + (phone != PAUSE))
        said += phone != PAUSE
    return np.array([*places, 2 * said])[np.where(index >= 0, index, len(places))]
