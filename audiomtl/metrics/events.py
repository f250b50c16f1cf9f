"""Scores of sound events with onsets and offsets: event-based, segment-based and PSDS.

Conventions: an event is ``(clip id, onset, offset, label)``, times in seconds; a list of events is a whole set of clips, in any
order. Counts are summed over the set (micro average), as DCASE does; ``..._macro_f1`` is the mean over classes.

Contents: `event_based`, `segment_based`, `psds`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Event = tuple[str, float, float, str]

COLLAR_SECONDS = 0.2
SEGMENT_SECONDS = 1.0


def event_based(truth: Sequence[Event], predicted: Sequence[Event], *, offset_share: float = 0.2) -> dict[str, float]:
    """Events found: same label, onset within 200 ms, offset within 200 ms or a share of the true length, whichever is more.

    By sed_eval (Mesaros, Heittola and Virtanen, "Metrics for polyphonic sound event detection", 2016), pairs matched so that the most
    come out.

    Parameters
    ----------
    offset_share : of the true event's length: 0.2 in DCASE since 2018, 0.5 before.

    Returns
    -------
    dict with ``event_f1``, ``event_precision``, ``event_recall``, ``event_macro_f1`` (over the classes in truth or predicted),
        ``event_error_rate`` (substitutions, deletions and insertions by true events: can exceed 1).

    Raises
    ------
    ValueError : no true event, an offset not after its onset, an onset below 0.
    """
    from sed_eval.sound_event import EventBasedMetrics

    labels = _labels(truth, predicted)
    metric = EventBasedMetrics(labels, t_collar=COLLAR_SECONDS, percentage_of_length=offset_share)
    return {f"event_{name}": value for name, value in _scores(metric, truth, predicted).items()}


def segment_based(truth: Sequence[Event], predicted: Sequence[Event], *, segment_seconds: float = SEGMENT_SECONDS) -> dict[str, float]:
    """Labels right in each segment of a second, which an event fills when it touches it (sed_eval, as `event_based`).

    Returns
    -------
    dict with ``segment_f1``, ``segment_precision``, ``segment_recall``, ``segment_macro_f1``, ``segment_error_rate``.

    Raises
    ------
    ValueError : as `event_based`.
    """
    from sed_eval.sound_event import SegmentBasedMetrics

    metric = SegmentBasedMetrics(_labels(truth, predicted), time_resolution=segment_seconds)
    return {f"segment_{name}": value for name, value in _scores(metric, truth, predicted).items()}


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
    """Polyphonic sound detection score: the area under true positives against false ones per hour, over all thresholds, in [0, 1].

    Bilen et al., ICASSP 2020, computed exactly as Ebbers, Serizel and Haeb-Umbach, ICASSP 2022 (sed_scores_eval). The defaults are
    scenario 1 of DCASE 2021 task 4.

    Parameters
    ----------
    scores : clip id -> table with columns ``onset`` and ``offset`` (seconds, each step beginning where the last ended) and one for
        each class, its score in that step
    truth : events of those clips
    seconds : clip id -> length
    dtc_threshold, gtc_threshold : share of a detection that lies in true events, of a true event that lies in detections
    cttc_threshold, alpha_ct : share that makes a detection a cross trigger, and its weight (None and 0: cross triggers do not count)
    alpha_st : weight of the deviation between classes, which is subtracted
    max_efpr : false positives per hour where the curve ends

    Raises
    ------
    ValueError : clips that differ between ``scores`` and ``seconds``, an event of another clip or class, no true event, a class that
        has none (its true positive rate would be 0 by 0).
    """
    from sed_scores_eval import intersection_based

    _labels(truth, ())
    if set(scores) != set(seconds) or not scores:
        odd = sorted(set(scores) ^ set(seconds))
        raise ValueError(f"scores and seconds must be of the same clips, at least one, but differ in {odd}")
    classes = {column for table in scores.values() for column in table.columns} - {"onset", "offset"}
    events: dict[str, list[tuple[float, float, str]]] = {clip: [] for clip in sorted(scores)}
    for clip, onset, offset, label in truth:
        if clip not in events or label not in classes:
            raise ValueError(f"truth has the event {(clip, onset, offset, label)}, but scores has no such clip or class")
        events[clip].append((onset, offset, label))
    if unheard := sorted(classes - {label for *_, label in truth}):
        raise ValueError(f"every class of scores needs an event in truth, but {unheard} have none: leave their columns out")
    options: dict[str, Any] = {"cttc_threshold": cttc_threshold, "alpha_ct": alpha_ct, "alpha_st": alpha_st, "max_efpr": max_efpr}
    value, *_ = intersection_based.psds(
        dict(scores), events, dict(seconds), dtc_threshold=dtc_threshold, gtc_threshold=gtc_threshold, unit_of_time="hour", **options
    )
    return float(value)


def _labels(truth: Sequence[Event], predicted: Sequence[Event]) -> list[str]:
    """Sorted labels of both sides; refuses events that have no score."""
    for name, events in (("truth", truth), ("predicted", predicted)):
        for event in events:
            if not 0 <= event[1] < event[2] < float("inf"):
                raise ValueError(f"{name} has the event (clip, onset, offset, label) = {tuple(event)}: 0 <= onset < offset must hold")
    if not truth:
        raise ValueError("truth must have at least one event, but it is empty: there is nothing to find")
    return sorted({event[3] for event in [*truth, *predicted]})


def _scores(metric: Any, truth: Sequence[Event], predicted: Sequence[Event]) -> dict[str, float]:
    """Counts of every clip gathered in the metric, and the scores of their sums. Where nothing was said, precision is 0."""
    for clip in sorted({event[0] for event in [*truth, *predicted]}):
        sides = [
            [
                {"file": clip, "event_onset": float(on), "event_offset": float(off), "event_label": label}
                for one, on, off, label in side
                if one == clip
            ]
            for side in (truth, predicted)
        ]
        metric.evaluate(reference_event_list=sides[0], estimated_event_list=sides[1])
    total = metric.overall
    return {
        "f1": 2 * total["Ntp"] / (total["Nref"] + total["Nsys"]),
        "precision": total["Ntp"] / max(total["Nsys"], 1),
        "recall": total["Ntp"] / total["Nref"],
        "macro_f1": sum(2 * one["Ntp"] / (one["Nref"] + one["Nsys"]) for one in metric.class_wise.values()) / len(metric.class_wise),
        "error_rate": float(metric.overall_error_rate()["error_rate"]),
    }
