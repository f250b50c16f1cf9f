"""Intersection-based counts of sound events at every threshold, from which `audiomtl.metrics.events.psds` is
computed.

Conventions: times in seconds; a detection is a run of steps whose scores are at or above the threshold.

Source: Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020, for the
criteria; Ebbers, Serizel and Haeb-Umbach, "Threshold-independent evaluation of sound event detection scores",
ICASSP 2022, for the sums over clips.

Contents: `over_thresholds`, `staircase`.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

# durations are compared rounded to a microsecond: a share that is met exactly counts, whatever its last bit
TIME_DECIMALS = 6
BLOCK_CELLS = 2**22  # thresholds * steps * events compared at once: some 100 MB


def over_thresholds(
    clips: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[np.ndarray]]],
    dtc: float,
    gtc: float,
    cttc: float | None,
) -> np.ndarray:
    """Counts of one class over all clips as the threshold falls, from above every score to below them all.

    Parameters
    ----------
    clips : scores (n_steps,), edges of the steps (n_steps + 1,), true events (n_events, 2) and those of each
        other class
    dtc, gtc, cttc : shares that make a detection relevant, a true event detected, a wrong detection a cross
        trigger (None: not counted)

    Returns
    -------
    (n_thresholds, 2 + n_others): true positives, false positives, cross triggers with each other class. The
    first row is 0.
    """
    thresholds, changes = [], []
    for scores, edges, own, others in clips:
        levels = np.unique(scores[scores > -np.inf])
        n_events = max(len(events) for events in (own, *others))
        blocks = np.array_split(
            levels, math.ceil(len(levels) * len(scores) * (n_events + 1) / BLOCK_CELLS) or 1
        )
        counts = np.concatenate(
            [_counts(*_detections(scores, edges, block), own, others, dtc, gtc, cttc) for block in blocks]
        )
        thresholds.append(levels)
        # as the threshold falls below each level
        changes.append(counts - np.concatenate([counts[1:], np.zeros_like(counts[:1])]))
    levels, which = np.unique(np.concatenate(thresholds), return_inverse=True)
    total = np.zeros((len(levels) + 1, changes[0].shape[1]), dtype=np.int64)
    np.add.at(total, len(levels) - which, np.concatenate(changes))  # highest level first, after a row of 0
    return np.cumsum(total, axis=0)


def _detections(
    scores: np.ndarray, edges: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and offsets of the runs of steps at or above each threshold, (n_thresholds, most runs).

    Without a run both are 0.
    """
    active = np.pad(scores >= thresholds[:, None], ((0, 0), (1, 1)))
    # (n_thresholds, n_steps + 1)
    begins, ends = (
        active[:, 1:] & ~active[:, :-1],
        active[:, :-1] & ~active[:, 1:],
    )
    n_runs = begins.sum(axis=1)
    filled = np.arange(n_runs.max(initial=0)) < n_runs[:, None]
    onsets, offsets = np.zeros(filled.shape), np.zeros(filled.shape)
    onsets[filled], offsets[filled] = edges[np.nonzero(begins)[1]], edges[np.nonzero(ends)[1]]
    return onsets, offsets


def _counts(
    onsets: np.ndarray,
    offsets: np.ndarray,
    own: np.ndarray,
    others: Sequence[np.ndarray],
    dtc: float,
    gtc: float,
    cttc: float | None,
) -> np.ndarray:
    """Intersection-based counts of one class in one clip (Bilen et al., section 2): (n_thresholds, 2 +
    n_others).
    """

    def overlap(events: np.ndarray) -> np.ndarray:  # (n_thresholds, n_detections, n_events) seconds
        shared = np.minimum(offsets[..., None], events[:, 1]) - np.maximum(onsets[..., None], events[:, 0])
        return np.maximum(shared, 0.0)

    found, lengths = offsets > onsets, offsets - onsets
    # every detection is wrong, also when dtc is 0
    if not len(own) and not any(len(events) for events in others):
        return np.pad(found.sum(axis=1)[:, None], ((0, 0), (1, len(others))))
    shared = overlap(own)
    relevant = found & _reaches(shared.sum(axis=-1), dtc * lengths)
    covered = (relevant[..., None] * shared).sum(axis=-2)  # (n_thresholds, n_events)
    true_positives = _reaches(covered, gtc * (own[:, 1] - own[:, 0])).sum(axis=-1)
    columns = [true_positives, found.sum(axis=-1) - relevant.sum(axis=-1)]
    for events in others:
        if cttc is None or not len(events):
            columns.append(np.zeros_like(true_positives))
            continue
        crossing = (~relevant[..., None] * overlap(events)).sum(axis=-1)
        columns.append((found & _reaches(crossing, cttc * lengths)).sum(axis=-1))
    return np.stack(columns, axis=1)


def _reaches(seconds: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.round(seconds, TIME_DECIMALS) >= np.round(wanted, TIME_DECIMALS)


def staircase(rate: np.ndarray, height: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
    """Best height up to each rate: points where it rises, by strictly increasing rate up to ``most``.

    The first is at rate 0.
    """
    order = np.argsort(rate, kind="stable")
    rate, height = rate[order], np.maximum.accumulate(height[order])
    rises = np.append(True, height[1:] > height[:-1])
    rate, height = rate[rises], height[rises]
    last = np.append(rate[1:] > rate[:-1], True) & (rate <= most)
    return rate[last], height[last]
