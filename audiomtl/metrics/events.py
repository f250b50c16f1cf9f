"""Scores of sound events with onsets and offsets: event-based, segment-based and PSDS.

Conventions: an event is ``(clip id, onset, offset, label)``, times in seconds; a list of events is a whole
set of clips, in any order. Counts are summed over the set (micro average), as DCASE does; ``..._macro_f1`` is
the mean over classes.

Contents: `event_based`, `segment_based`, `psds`. They return what sed_eval 0.2.1 and sed_scores_eval 0.0.4
return, stored in ``tests/golden/events.json``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audiomtl.metrics import intersections

if TYPE_CHECKING:
    import pandas as pd

Event = tuple[str, float, float, str]

COLLAR_SECONDS = 0.2
SEGMENT_SECONDS = 1.0


def event_based(
    truth: Sequence[Event], predicted: Sequence[Event], *, offset_share: float = 0.2
) -> dict[str, float]:
    """Match events one to one: same label, onset within 200 ms, offset within 200 ms or a share of the true
    length, whichever is more.

    As sed_eval (Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", 2016). The
    matching is the largest possible (mir_eval). An event left over on both sides, right but for its label, is
    one substitution instead of two errors.

    Parameters
    ----------
    offset_share : of the true event's length, in [0, 1]: 0.2 in DCASE since 2018, 0.5 before.

    Returns
    -------
    dict with ``event_f1``, ``event_precision``, ``event_recall``, ``event_macro_f1`` (over the classes in
    truth or predicted),
        ``event_error_rate`` (substitutions, deletions and insertions by true events: can exceed 1).

    Raises
    ------
    ValueError : no true event, an offset not after its onset, an onset below 0, ``offset_share`` outside [0,
        1].
    """
    from mir_eval.util import match_events

    if not 0 <= offset_share <= 1:
        raise ValueError(f"offset_share must be in [0, 1], but got {offset_share}")
    _check(truth, predicted)
    right: Counter[str] = Counter()
    substitutions = 0
    true_by_clip, predicted_by_clip = _by_clip(truth), _by_clip(predicted)
    for clip in true_by_clip.keys() & predicted_by_clip.keys():
        true, guess = true_by_clip[clip], predicted_by_clip[clip]
        close = _close(true, guess, offset_share)  # (n_true, n_predicted)
        same = np.array([[one[3] == other[3] for other in guess] for one in true])
        miss = ~(close & same)
        pairs = match_events(
            np.arange(len(true)), np.arange(len(guess)), 0, distance=lambda *_, miss=miss: miss
        )
        right.update(true[index][3] for index, _ in pairs)
        left = sorted(set(range(len(guess))) - {index for _, index in pairs})
        for index in sorted(set(range(len(true))) - {index for index, _ in pairs}):
            if other := [one for one in left if close[index, one]]:
                left.remove(other[0])
                substitutions += 1
    return _scores(
        "event",
        Counter(event[3] for event in truth),
        Counter(event[3] for event in predicted),
        right,
        substitutions,
    )


def segment_based(
    truth: Sequence[Event], predicted: Sequence[Event], *, segment_seconds: float = SEGMENT_SECONDS
) -> dict[str, float]:
    """Compare the labels in each segment of a second; an event is in every segment that it touches (sed_eval,
    as `event_based`).

    Returns
    -------
    dict with ``segment_f1``, ``segment_precision``, ``segment_recall``, ``segment_macro_f1``,
    ``segment_error_rate``.

    Raises
    ------
    ValueError : as `event_based`; ``segment_seconds`` not above 0.
    """
    if not segment_seconds > 0:
        raise ValueError(f"segment_seconds must be above 0, but got {segment_seconds}")
    _check(truth, predicted)
    true, guess = _cells(truth, segment_seconds), _cells(predicted, segment_seconds)
    # by clip and segment
    n_true, n_guess, n_right = (Counter(cell[:2] for cell in cells) for cells in (true, guess, true & guess))
    substitutions = sum(min(n_true[segment], n_guess[segment]) - n_right[segment] for segment in n_true)
    true_labels, guess_labels, right_labels = (
        Counter(label for *_, label in cells) for cells in (true, guess, true & guess)
    )
    return _scores("segment", true_labels, guess_labels, right_labels, substitutions)


def psds(
    scores: Mapping[str, "pd.DataFrame"],
    truth: Sequence[Event],
    seconds: Mapping[str, float],
    *,
    dtc_threshold: float = 0.7,
    gtc_threshold: float = 0.7,
    cttc_threshold: float | None = None,
    alpha_ct: float = 0.0,
    alpha_st: float = 1.0,
    max_efpr: float = 100.0,
) -> float:
    """Polyphonic sound detection score: the area under true positives against false ones per hour, over all
    thresholds, in [0, 1].

    Bilen et al., ICASSP 2020, computed exactly as Ebbers, Serizel and Haeb-Umbach, ICASSP 2022: at each
    threshold where a detection begins, ends or merges with its neighbour. The defaults are scenario 1 of
    DCASE 2021 task 4.

    Parameters
    ----------
    scores : clip id -> table with columns ``onset`` and ``offset`` (seconds, each step beginning where the
        last ended) and one for each class, its score in that step
    truth : events of those clips
    seconds : clip id -> length
    dtc_threshold, gtc_threshold : share of a detection that lies in true events, of a true event that lies in
        detections
    cttc_threshold, alpha_ct : share of a detection outside its own class that lies in events of another one
        and makes it a cross trigger, and the weight of their rate (None and 0: cross triggers do not count)
    alpha_st : weight of the deviation between classes, which is subtracted
    max_efpr : false positives per hour where the curve ends

    Raises
    ------
    ValueError : clips that differ between ``scores`` and ``seconds``, tables with other columns or with gaps
        between steps, an event of another clip or class, no true event, a class that has none (its true
        positive rate would be 0 by 0), events of a class that overlap or touch, only one of
        ``cttc_threshold`` and ``alpha_ct``, ``max_efpr`` not above 0.
    """
    _check(truth, ())
    if set(scores) != set(seconds) or not scores:
        odd = sorted(set(scores) ^ set(seconds))
        raise ValueError(f"scores and seconds must be of the same clips, at least one, but differ in {odd}")
    if (cttc_threshold is None) != (alpha_ct == 0):
        raise ValueError(
            f"cttc_threshold and alpha_ct go together, but got cttc_threshold={cttc_threshold} and"
            f" alpha_ct={alpha_ct}"
        )
    if not max_efpr > 0:
        raise ValueError(f"max_efpr must be above 0, but got {max_efpr}")
    classes = {column for table in scores.values() for column in table.columns} - {"onset", "offset"}
    for event in truth:
        if event[0] not in scores or event[3] not in classes:
            raise ValueError(f"truth has the event {tuple(event)}, but scores has no such clip or class")
    if unheard := sorted(classes - {label for *_, label in truth}):
        raise ValueError(
            f"every class of scores needs an event in truth, but {unheard} have none: leave their columns out"
        )
    names, edges = _steps(scores)
    spans = _spans(truth, sorted(scores), names)
    total_seconds = _sum(seconds.values())
    lengths = {
        name: _sum(offset - onset for clip in spans for onset, offset in spans[clip][name]) for name in names
    }
    curves = []
    for name in names:
        others = [other for other in names if other != name] if cttc_threshold is not None else []
        clips = [
            (
                scores[clip][name].to_numpy(np.float64),
                edges[clip],
                spans[clip][name],
                [spans[clip][other] for other in others],
            )
            for clip in spans
        ]
        # (n_thresholds, 2 + n_others)
        counts = intersections.over_thresholds(clips, dtc_threshold, gtc_threshold, cttc_threshold)
        rate = counts[:, 1] / total_seconds
        if others:
            rate = rate + alpha_ct * np.mean(
                [counts[:, 2 + index] / lengths[other] for index, other in enumerate(others)], axis=0
            )
        true_positive_rate = counts[:, 0] / sum(len(spans[clip][name]) for clip in spans)
        curves.append(intersections.staircase(rate * 3600.0, true_positive_rate, max_efpr))
    x = np.unique(np.concatenate([rate for rate, _ in curves]))
    # (n_classes, len(x)); each curve starts at 0
    heights = [height[np.searchsorted(rate, x, side="right") - 1] for rate, height in curves]
    effective = np.maximum(np.mean(heights, axis=0) - alpha_st * np.std(heights, axis=0), 0.0)
    return _sum(effective * np.diff(x, append=max_efpr)) / max_efpr


def _check(truth: Sequence[Event], predicted: Sequence[Event]) -> None:
    """Refuse events that have no score."""
    for name, events in (("truth", truth), ("predicted", predicted)):
        for event in events:
            if not 0 <= event[1] < event[2] < float("inf"):
                raise ValueError(
                    f"{name} has the event (clip, onset, offset, label) = {tuple(event)}: 0 <= onset < offset"
                    " must hold"
                )
    if not truth:
        raise ValueError("truth must have at least one event, but it is empty: there is nothing to find")


def _by_clip(events: Sequence[Event]) -> dict[str, list[Event]]:
    clips: dict[str, list[Event]] = {}
    for event in events:
        clips.setdefault(event[0], []).append(event)
    return clips


def _close(true: Sequence[Event], guess: Sequence[Event], offset_share: float) -> np.ndarray:
    """Whether onsets and offsets of two events are within their collars, label aside: (n_true,
    n_predicted) bool.
    """
    onset, offset = (np.array([event[side] for event in true], dtype=float)[:, None] for side in (1, 2))
    guess_onset, guess_offset = (np.array([event[side] for event in guess], dtype=float) for side in (1, 2))
    offset_collar = np.maximum(COLLAR_SECONDS, offset_share * (offset - onset))
    return (np.abs(onset - guess_onset) <= COLLAR_SECONDS) & (np.abs(offset - guess_offset) <= offset_collar)


def _cells(events: Sequence[Event], segment_seconds: float) -> set[tuple[str, int, str]]:
    """(clip, segment, label) of everything that sounds, at least one for each event."""
    cells = set()
    for clip, onset, offset, label in events:
        first = math.floor(onset / segment_seconds)
        cells |= {
            (clip, segment, label)
            for segment in range(first, max(math.ceil(offset / segment_seconds), first + 1))
        }
    return cells


def _scores(
    prefix: str, true: Counter[str], guess: Counter[str], right: Counter[str], substitutions: int
) -> dict[str, float]:
    """Scores of counts by label. When nothing was predicted, precision is 0."""
    n_true, n_guess, n_right = true.total(), guess.total(), right.total()
    # the latter: deletions, insertions
    errors = (
        substitutions,
        n_true - n_right - substitutions,
        n_guess - n_right - substitutions,
    )
    class_f1 = [
        2 * right[label] / (true[label] + guess[label]) for label in sorted(true.keys() | guess.keys())
    ]
    return {
        f"{prefix}_f1": 2 * n_right / (n_true + n_guess),
        f"{prefix}_precision": n_right / max(n_guess, 1),
        f"{prefix}_recall": n_right / n_true,
        f"{prefix}_macro_f1": _sum(class_f1) / len(class_f1),
        f"{prefix}_error_rate": _sum(count / n_true for count in errors),
    }


def _sum(values: Iterable[float]) -> float:
    """Sum from left to right.

    The built-in `sum` compensates rounding since Python 3.12: a score's last bits would depend on it.
    """
    return float(np.cumsum([0.0, *values])[-1])


def _spans(
    truth: Sequence[Event], clips: Sequence[str], names: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Onsets and offsets of the events of each clip and class, (n_events, 2) seconds, in the order of
    ``clips`` and ``names``.
    """
    spans = {clip: {name: np.empty((0, 2)) for name in names} for clip in clips}
    for clip, events in _by_clip(truth).items():
        for name in {event[3] for event in events}:
            spans[clip][name] = np.array([event[1:3] for event in events if event[3] == name], dtype=float)
            ordered = spans[clip][name][np.argsort(spans[clip][name][:, 0])]
            if (ordered[1:, 0] <= ordered[:-1, 1]).any():
                raise ValueError(
                    f"truth has events {name!r} in clip {clip!r} that overlap or touch: {ordered.tolist()}:"
                    " merge them first"
                )
    return spans


def _steps(scores: Mapping[str, "pd.DataFrame"]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Class columns, the same in every table, and the edges of each clip's steps, (n_steps + 1,) seconds."""
    columns = list(scores[min(scores)].columns)
    edges = {}
    for clip, table in scores.items():
        if list(table.columns) != columns or columns[:2] != ["onset", "offset"] or not len(table):
            rule = "every clip needs the columns onset, offset and the same classes, and at least one step"
            raise ValueError(
                f"scores[{clip!r}] has {len(table)} steps of columns {list(table.columns)}, the first clip"
                f" {columns}: {rule}"
            )
        onset, offset = (table[side].to_numpy(np.float64) for side in ("onset", "offset"))
        if not (onset < offset).all() or not (onset[1:] == offset[:-1]).all():
            raise ValueError(
                f"scores[{clip!r}] has steps without length or with gaps: each must begin where the last one"
                " ended"
            )
        edges[clip] = np.append(onset, offset[-1])
    return columns[2:], edges
