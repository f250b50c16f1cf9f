"""How well a head of a multi-task network does, and what it heard.

Conventions as in `targets`; scores are over all clips that have the head's label.

=========== ============================================================================================================
alignment   median_ms, mean_ms, within_50_ms ... (onsets of phones: `metrics.alignment.onsets`), boundary_mean_ms ...
phones      frame_accuracy, of steps in which a phone lies; error_rate: runs of the likeliest phone against the phones, no pauses
melody      frame_accuracy; onset_f1, offset_f1 ... (`metrics.notes.transcription`), raw_pitch_accuracy ... (`metrics.notes.melody`)
notes       onset_f1, offset_f1 ... (`metrics.notes.transcription`), frame_f1
mel         l1, in the scaled features' units
clip_class  accuracy, balanced_accuracy, macro_f1
segments    step_f1: of all pairs of step and class; with every score event_f1, segment_f1 ... and psds (`metrics.events`)
value       absolute_error
=========== ============================================================================================================

Contents: `Judged`, `scores`, `heard`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiomtl.data.scores import KEYS, LOWEST
from audiomtl.families.multitask import tasks
from audiomtl.families.multitask import viterbi as alignment
from audiomtl.families.multitask.settings import Head, Settings
from audiomtl.families.multitask.targets import REST, spoken, step_times
from audiomtl.families.multitask.viterbi import PAUSE
from audiomtl.metrics import alignment as timing
from audiomtl.metrics import events, labels, notes
from audiomtl.metrics.sequences import error_rate

Heard = list[tuple[float, float, Any]]  # start, end, phone or MIDI pitch or class


@dataclass(frozen=True, eq=False)
class Judged:
    """One clip: its row of the clip table, a head's target and output, and its frames."""

    clip_id: str
    row: Mapping[str, Any]
    target: np.ndarray
    output: np.ndarray
    n_frames: int


def heard(head: Head, output: np.ndarray, text: Sequence[str], names: Sequence[str], n_frames: int, settings: Settings) -> Heard:
    """What an output says was heard, in order: phones, notes, or passages of a class.

    Parameters
    ----------
    output : (n_steps, ...), of one clip. text : the given phones, for kind alignment. names : of the head's classes.

    Raises
    ------
    ValueError : a text that is longer than the sound.
    """
    times = step_times(n_frames, settings)
    if head.kind == "alignment":
        phones = [phone for phone in text if phone != PAUSE]
        starts, ends = alignment.onsets(alignment.way(output), times)
        return list(zip(starts.tolist(), ends.tolist(), phones, strict=True))
    if head.kind == "phones":
        return [(start, end, names[number]) for start, end, number in tasks.runs(output.argmax(axis=1), times)]
    if head.kind == "melody":
        return tasks.melody_notes(output, times)
    if head.kind == "notes":
        return tasks.held_notes(output, times, head.threshold)
    found = []
    for number, name in enumerate(names):
        found += [
            (max(start, 0.0), end, name) for start, end, on in tasks.runs((output[:, number] >= head.threshold).astype(int), times) if on
        ]
    return sorted(found)


def scores(head: Head, clips: Sequence[Judged], names: Sequence[str], settings: Settings, *, every_score: bool) -> dict[str, float]:
    """Scores of one head, as above; ``every_score`` = False leaves out those that take long."""
    if head.kind == "clip_class":
        truth, said = [int(clip.target) for clip in clips], [int(clip.output.argmax()) for clip in clips]
        kinds = (labels.accuracy, labels.balanced_accuracy, labels.macro_f1)
        return {kind.__name__: kind(truth, said) for kind in kinds}
    if head.kind == "value":
        return {"absolute_error": float(np.mean([abs(float(clip.output[0]) - float(clip.target)) for clip in clips]))}
    if head.kind == "mel":
        return {"l1": float(np.mean(np.concatenate([np.abs(clip.output - clip.target).mean(axis=1) for clip in clips])))}
    if head.kind == "segments":
        return _segments(head, clips, names, settings, every_score)
    text = settings.inputs.text
    found = [heard(head, clip.output, clip.row[text] if text else (), names, clip.n_frames, settings) for clip in clips]
    if head.kind == "alignment":
        truth_starts, truth_ends = zip(*(_spoken(clip.row, head.reads("")) for clip in clips), strict=True)
        starts, ends = ([[one[side] for one in phones] for phones in found] for side in (0, 1))
        both = [[*one, *other] for one, other in zip(truth_starts, truth_ends, strict=True)]
        return timing.onsets(truth_starts, [np.maximum(one, 0) for one in starts]) | timing.boundaries(
            [sorted(one) for one in both], [sorted(np.maximum([*one, *other], 0)) for one, other in zip(starts, ends, strict=True)]
        )
    if head.kind == "phones":
        within = [spoken(clip.row["starts"], clip.row["ends"], step_times(clip.n_frames, settings)) >= 0 for clip in clips]
        right = np.concatenate([(clip.target == clip.output.argmax(axis=1))[own] for clip, own in zip(clips, within, strict=True)])
        texts = [[phone for _, _, phone in phones if phone != PAUSE] for phones in found]
        sung = [[phone for phone in clip.row[head.reads("")] if phone != PAUSE] for clip in clips]
        return {"frame_accuracy": float(right.mean()), "error_rate": error_rate(sung, texts)}
    written = [_notes(clip, head.reads(""), settings) for clip in clips]
    total = notes.transcription(written, found) if any(map(len, written)) or any(map(len, found)) else {}
    if head.kind == "notes":
        held = np.concatenate([clip.target[:, KEYS:] for clip in clips])
        return total | _frame_f1(held, np.concatenate([clip.output[:, KEYS:] for clip in clips]))
    truth_keys = np.concatenate([clip.target for clip in clips])
    said_keys = np.concatenate([clip.output.argmax(axis=1) for clip in clips])
    total["frame_accuracy"] = float(np.mean(truth_keys == said_keys))
    if (truth_keys != REST).any():
        midi = [np.where(keys == REST, 0, keys + LOWEST) for keys in (truth_keys, said_keys)]
        total |= notes.melody(*midi)
    return total


def _notes(clip: Judged, column: str, settings: Settings) -> list[tuple[float, float, int]]:
    """A clip's true notes; of a melody that is given frame by frame the runs of its keys."""
    if not isinstance(clip.row[column], np.ndarray):
        return list(clip.row[column])
    runs = tasks.runs(clip.target, step_times(clip.n_frames, settings))
    return [(max(start, 0.0), end, key + LOWEST) for start, end, key in runs if key != REST]


def _spoken(row: Mapping[str, Any], column: str) -> tuple[list[float], list[float]]:
    """Starts and ends of a clip's phones, pauses left out."""
    kept = [(start, end) for phone, start, end in zip(row[column], row["starts"], row["ends"], strict=True) if phone != PAUSE]
    return [start for start, _ in kept], [end for _, end in kept]


def _frame_f1(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    said, true = found >= 0.5, truth > 0
    return {"frame_f1": 2 * float((said & true).sum()) / max(int(said.sum() + true.sum()), 1)}


def _segments(head: Head, clips: Sequence[Judged], names: Sequence[str], settings: Settings, every_score: bool) -> dict[str, float]:
    import pandas as pd

    said = np.concatenate([clip.output >= head.threshold for clip in clips])
    true = np.concatenate([clip.target > 0 for clip in clips])
    found = {"step_f1": 2 * float((said & true).sum()) / max(int(said.sum() + true.sum()), 1)}
    column = head.reads("")
    truth = [(clip.clip_id, *span, str(clip.row[settings.data.label])) for clip in clips for span in clip.row[column]]
    if not every_score or not truth:
        return found
    predicted = [(clip.clip_id, *one) for clip in clips for one in heard(head, clip.output, (), names, clip.n_frames, settings)]
    based = events.event_based(truth, predicted) | events.segment_based(truth, predicted)
    tables = {}
    for clip in clips:
        edges = settings.step_seconds * np.arange(len(clip.output) + 1)
        tables[clip.clip_id] = pd.DataFrame({"onset": edges[:-1], "offset": edges[1:]} | dict(zip(names, clip.output.T, strict=True)))
    heard_of = [name for name in names if name in {label for *_, label in truth}]
    tables = {clip_id: table[["onset", "offset", *heard_of]] for clip_id, table in tables.items()}
    psds = events.psds(tables, truth, {clip_id: float(table["offset"].iloc[-1]) for clip_id, table in tables.items()})
    wanted = ("event_f1", "event_macro_f1", "segment_f1", "segment_error_rate")
    return found | {name: based[name] for name in wanted} | {"psds": psds}
