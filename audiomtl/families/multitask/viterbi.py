"""Viterbi decoding of an alignment: the most probable path through all phones of a text in order.

Conventions: a text of n phones has 2 n + 1 *positions*: phone k is position 2 k + 1, the even ones are pauses
that may be left out. Times are seconds; step i stands for the time ``times[i]``, and a boundary lies halfway
between two steps.

Contents: `positions`, `path`, `onsets`.
"""

from collections.abc import Sequence

import numpy as np

PAUSE = "_"
SMALLEST = 1e-9  # added to a posterior before its logarithm
RAREST = 1e-4  # least mean posterior of a position


def positions(phones: Sequence[str]) -> list[str]:
    """The phones with a pause before, between and after them; pauses among them are dropped first."""
    spoken = [phone for phone in phones if phone != PAUSE]
    return [PAUSE, *(symbol for phone in spoken for symbol in (phone, PAUSE))]


def path(posteriors: np.ndarray) -> np.ndarray:  # (steps,)
    """The likeliest monotonic path (Viterbi) through (steps, positions): position of each step.

    A posterior is divided by its position's mean, which is how long a position lasts: what is left says how
    well it fits the sound (the scaled likelihoods of Bourlard and Morgan, 1994). Otherwise long vowels would
    take the time of the consonants beside them.

    The path begins in one of the first two positions and ends in one of the last two, stays, goes on by one,
    or by two over a pause.

    Raises
    ------
    ValueError : fewer steps than phones: no such path.
    """
    steps, count = posteriors.shape
    if steps < (count - 1) // 2:
        raise ValueError(f"{(count - 1) // 2} phones in {steps} steps")
    logs = np.log(posteriors / np.maximum(posteriors.mean(axis=0), RAREST) + SMALLEST)
    best = np.full(count, -np.inf)
    best[:2] = logs[0, :2]
    back = np.zeros((steps, count), np.int8)
    over = np.zeros(count, bool)
    over[3::2] = True  # from phone to phone
    for step in range(1, steps):
        one = np.concatenate([[-np.inf], best[:-1]])
        two = np.where(over, np.concatenate([[-np.inf, -np.inf], best[:-2]])[:count], -np.inf)
        choices = np.stack([best, one, two])
        back[step] = choices.argmax(axis=0)
        best = choices.max(axis=0) + logs[step]
    place = count - 1 if count == 1 or best[-1] >= best[-2] else count - 2
    path = np.empty(steps, int)
    for step in range(steps - 1, -1, -1):
        path[step] = place
        place -= back[step, place]
    return path


def onsets(path: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in seconds of every phone of a path (steps,): (phones,) each."""
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    phones = np.arange(1, path.max() + 1, 2)
    first, last = np.searchsorted(path, phones), np.searchsorted(path, phones, side="right") - 1
    return times[first] - half, times[last] + half
