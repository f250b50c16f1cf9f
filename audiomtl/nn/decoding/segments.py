"""Segments of each class from scores step by step: median filter, thresholds of their own, hysteresis.

Conventions: scores are (steps, classes) in [0, 1], of one clip. A segment begins where a score rises to its
class' threshold, and lasts as long as the score stays at or above ``release`` times the threshold. Classes do
not influence each other.

Sources: median filters and thresholds per class, as the baselines of DCASE task 4 (Turpault et al., 2019; the
filter per class: Ebbers and Haeb-Umbach, 2021); two thresholds as Kong et al., "Sound event detection of
weakly labelled data with CNN-transformer and automatic threshold optimization", 2020; the clip's own class as
a mask: Kothinti et al., 2019.

Contents: `smoothed`, `weighted`, `active`, `spans`.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import median_filter


def smoothed(scores: np.ndarray, steps: int | Sequence[int]) -> np.ndarray:
    """Running median over ``steps`` steps (odd; 1 changes nothing), for all classes or for each.

    Beyond its ends a clip goes on with its first and last step.

    Raises
    ------
    ValueError : an even number, or one below 1; scores that are not numbers.
    """
    known = _numbers(scores)
    widths = np.broadcast_to(np.atleast_1d(steps), (known.shape[1],))
    if (widths < 1).any() or (widths % 2 == 0).any():
        raise ValueError(f"steps of a median must be odd and at least 1, but got {steps}")
    if not len(known):
        return known
    found = known.copy()
    for width in sorted(set(widths.tolist()) - {1}):
        own = widths == width
        found[:, own] = median_filter(known[:, own], size=(width, 1), mode="nearest")
    return found


def weighted(scores: np.ndarray, clip: np.ndarray, power: float) -> np.ndarray:
    """Scores of steps times the clip's own probabilities (classes,) to a power: 0 changes nothing, 1 is the
    product. What the whole clip says of a class is known better than what a step says.
    """
    whole = np.clip(_numbers(clip).astype(scores.dtype), 0.0, 1.0)
    return scores * whole[None, :] ** scores.dtype.type(power)


def active(
    scores: np.ndarray,
    threshold: float | Sequence[float],
    *,
    release: float = 1.0,
    shortest: int = 1,
    gap: int = 0,
) -> np.ndarray:  # (steps, classes) bool
    """In which steps each class is heard.

    Parameters
    ----------
    threshold : from which on a segment begins, for all classes or for each.
    release : share of the threshold, in (0, 1], below which it ends; 1 is no hysteresis.
    shortest : steps that a segment must have. gap : steps of a pause that is closed, before that.

    Raises
    ------
    ValueError : scores that are not numbers.
    """
    known = _numbers(scores)
    begins = np.broadcast_to(np.atleast_1d(threshold).astype(known.dtype), (known.shape[1],))
    held = known >= begins * known.dtype.type(release)
    found = _reached(held, known >= begins)
    if gap:
        pauses = ~found
        inner = np.logical_or.accumulate(found, axis=0) & np.logical_or.accumulate(found[::-1], axis=0)[::-1]
        found |= pauses & inner & ~_lasting(pauses, gap + 1)
    return _lasting(found, shortest) if shortest > 1 else found


def spans(activity: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of each column of (steps, classes): first step, step after the last, class; sorted."""
    edges = np.diff(np.pad(activity.T.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (classes, steps + 1)
    numbers, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return sorted(zip(starts.tolist(), ends.tolist(), numbers.tolist(), strict=True))


def _numbers(scores: np.ndarray) -> np.ndarray:
    if np.isnan(scores).any():
        raise ValueError("the scores have NaN")
    return np.asarray(scores)


def _reached(held: np.ndarray, reached: np.ndarray) -> np.ndarray:
    """The runs of ``held`` in which ``reached`` is true at least once, from where it is so first."""
    found = np.zeros_like(held)
    for start, end, number in spans(held):
        inside = np.flatnonzero(reached[start:end, number])
        if len(inside):
            found[start + inside[0] : end, number] = True
    return found


def _lasting(activity: np.ndarray, steps: int) -> np.ndarray:
    """The runs that have so many steps."""
    found = activity.copy()
    for start, end, number in spans(activity):
        if end - start < steps:
            found[start:end, number] = False
    return found
