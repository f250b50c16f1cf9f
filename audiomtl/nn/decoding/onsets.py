"""Notes from the scores of onsets and of held keys, step by step.

Conventions: onsets and held are (steps, keys) in [0, 1], of one clip. A note is (onset, offset, key), in
steps; onsets are fractions of a step where ``refined``. A note begins at a peak of its key's onsets that
reaches a threshold. It ends with the first run of more than ``gap`` steps in which the key is not held, with
the next note of its key (a repeated note), or with the clip. Keys do not influence each other.

Source: Hawthorne et al., "Onsets and Frames", ISMIR 2018; the refined onset is the vertex of the parabola
through a peak and its neighbours (as Kong et al., 2021, measure it).

Contents: `peaks`, `refined`, `notes`.
"""

import numpy as np

Found = list[tuple[float, float, int]]


def peaks(onsets: np.ndarray, threshold: float, around: int) -> np.ndarray:  # (steps, keys) bool
    """Where an onset reaches the threshold and none within ``around`` steps of its key is higher; of equal
    neighbours the first.

    Raises
    ------
    ValueError : scores that are not numbers.
    """
    if np.isnan(onsets).any():
        raise ValueError("the scores of onsets have NaN")
    if not len(onsets):
        return np.zeros(onsets.shape, bool)
    padded = np.pad(onsets, ((around, around), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * around + 1, axis=0)
    before = windows[..., :around].max(axis=2) if around else np.full(onsets.shape, -np.inf)
    after = windows[..., around + 1 :].max(axis=2) if around else np.full(onsets.shape, -np.inf)
    return (onsets >= threshold) & (onsets > before) & (onsets >= after)


def refined(onsets: np.ndarray, steps: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Place of each peak (step, key) between the steps, at most half a step away: the vertex of the parabola
    through it and its two neighbours.
    """
    padded = np.pad(onsets.astype(np.float64), ((1, 1), (0, 0)))
    left, here, right = (padded[steps + offset, keys] for offset in (0, 1, 2))
    curve = left - 2 * here + right
    shift = np.where(curve < 0, (left - right) / (2 * np.where(curve < 0, curve, -1.0)), 0.0)
    return steps + np.clip(shift, -0.5, 0.5)


def notes(
    onsets: np.ndarray,
    held: np.ndarray,
    *,
    threshold: float,
    held_threshold: float,
    around: int = 2,
    gap: int = 0,
    shortest: float = 0.0,
    refine: bool = False,
) -> Found:
    """Notes of one clip, sorted.

    Parameters
    ----------
    threshold : least onset of a note. held_threshold : least score of a key that is held.
    around : steps to either side of an onset without a higher one. gap : steps of a pause that ends no note.
    shortest : steps that a note lasts at least; shorter ones are left out.

    Raises
    ------
    ValueError : scores of unlike shapes, or that are not numbers.
    """
    if onsets.shape != held.shape or onsets.ndim != 2:
        raise ValueError(
            f"onsets and held must have one shape (steps, keys), but got {onsets.shape} and {held.shape}"
        )
    if np.isnan(held).any():
        raise ValueError("the scores of held keys have NaN")
    begins = peaks(onsets, threshold, around)
    sounds = held >= held_threshold
    steps, keys = np.nonzero(begins)
    exact = refined(onsets, steps, keys) if refine else steps.astype(np.float64)
    found: Found = []
    for key in np.unique(keys).tolist():
        own = keys == key
        first, places = steps[own], exact[own]
        until = np.append(first[1:], len(onsets))
        for start, place, end in zip(first.tolist(), places.tolist(), until.tolist(), strict=True):
            last = _end(sounds[start + 1 : end, key], gap) + start + 1
            if last - place >= shortest - 1e-6:
                found.append((place, float(last), key))
    return sorted(found)


def _end(sounds: np.ndarray, gap: int) -> int:
    """Steps until the first run of more than ``gap`` steps of silence, or, without one, all of them up to the
    last that sounds, or all where the pause is cut by the next note.
    """
    silent = 0
    for step, sounding in enumerate(sounds.tolist()):
        silent = 0 if sounding else silent + 1
        if silent > gap:
            return step + 1 - silent
    return len(sounds) - silent
