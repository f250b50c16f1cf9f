"""Viterbi decoding of an alignment: the most probable path through all phones of a text in order.

Conventions: a text of n phones has 2 n + 1 *positions*: phone k is position 2 k + 1, the even ones are pauses
that may be left out. Times are seconds; step i stands for the time ``times[i]``, and a boundary lies halfway
between two steps.

Contents: `positions`, `path`, `onsets`, `confidence`.
"""

from collections.abc import Collection, Sequence

import numpy as np

from audiomtl.metrics import viterbi

PAUSE = "_"
SMALLEST = 1e-9  # added to a posterior before its logarithm
RAREST = 1e-4  # least mean posterior of a position


def positions(phones: Sequence[str], pauses: Collection[str] = (PAUSE,)) -> list[str]:
    """The phones with a pause before, between and after them; pauses among them are dropped first."""
    spoken = [phone for phone in phones if phone not in pauses]
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
    reach = np.ones((3, count), bool)
    reach[2] = False
    reach[2, 3::2] = True  # from phone to phone
    places = np.arange(count)
    [found] = viterbi.best_paths([logs], [viterbi.Text(places, reach, places < 2, places >= count - 2)])
    return found


def onsets(path: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end in seconds of every phone of a path (steps,): (phones,) each."""
    half = (times[1] - times[0]) / 2 if len(times) > 1 else 0.0
    phones = np.arange(1, path.max() + 1, 2)
    first, last = np.searchsorted(path, phones), np.searchsorted(path, phones, side="right") - 1
    return times[first] - half, times[last] + half


def confidence(posteriors: np.ndarray, path: np.ndarray) -> np.ndarray:  # (phones,)
    """Mean posterior of every phone over the steps that a path (steps,) gives it."""
    said = posteriors[np.arange(len(path)), path]
    return np.array([said[path == place].mean() for place in range(1, path.max() + 1, 2)])
