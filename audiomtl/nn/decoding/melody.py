"""The notes of one voice from the scores of keys and rest, step by step: a hidden Markov model.

Conventions: posteriors are (steps, keys + 1) of one clip, the last class is rest; onsets (steps, keys) say
whether a key begins. A clip is read as runs of one class, each ``shortest`` steps or more (all of the clip,
where that is shorter). What they score is the sum of the logarithms of their posteriors, less ``change`` for
every run but the first, less ``leap`` for every semitone from one key to the next, and where onsets are given
plus ``weight * log(onset / threshold)`` in the first step of every note. So a key may follow itself: a
repeated note. Of equally good readings the one is taken that has fewer runs at its end, then lower keys.

Sources: Ryynänen and Klapuri, "Transcription of the singing melody in polyphonic music", ISMIR 2006, for the
model of notes and rest; Mauch and Dixon, "pYIN", ICASSP 2014, for its decoding; Felzenszwalb and
Huttenlocher, "Distance transforms of sampled functions", 2012, for changes in time linear in the keys.

Contents: `runs`, `score`, `path`, `from_held`.
"""

from collections.abc import Sequence

import numpy as np

SMALLEST = 1e-6  # added to a posterior before its logarithm
SMALLEST_ONSET = 1e-3  # added to an onset
Runs = list[tuple[int, int, int]]  # first step, step after the last, class; edge to edge


def runs(
    posteriors: Sequence[np.ndarray],
    onsets: Sequence[np.ndarray] | None = None,
    *,
    change: float,
    leap: float = 0.0,
    weight: float = 0.0,
    threshold: float = 0.5,
    shortest: int = 1,
) -> list[Runs]:
    """The best reading of each clip; none depends on the other clips.

    Parameters
    ----------
    posteriors, onsets : of each clip (steps, keys + 1) and (steps, keys). change : above 0. leap, weight : at
        least 0. shortest : steps, at least 1.

    Raises
    ------
    ValueError : posteriors or onsets that are not numbers, naming the clip; numbers outside their range.
    """
    if not (change > 0 and leap >= 0 and weight >= 0 and threshold > 0 and shortest >= 1):
        raise ValueError(
            "change and threshold must be above 0, leap and weight at least 0, shortest at least 1, but are"
            f" {change}, {threshold}, {leap}, {weight}, {shortest}"
        )
    given = [None] * len(posteriors) if onsets is None else onsets
    scores, entries = [], []
    for number, (own, begins) in enumerate(zip(posteriors, given, strict=True)):
        if np.isnan(own).any() or (begins is not None and np.isnan(begins).any()):
            raise ValueError(f"the outputs of clip {number} have NaN")
        scores.append(np.log(np.asarray(own, np.float64) + SMALLEST))
        entries.append(_entries(begins, own.shape, weight, threshold))
    found = list[Runs]([[] for _ in scores])
    groups: dict[int, list[int]] = {}  # clips that are shorter than a run are one run
    for number, logs in enumerate(scores):
        if len(logs):
            groups.setdefault(min(shortest, len(logs)), []).append(number)
    for least, members in sorted(groups.items()):
        of_group = _search([scores[n] for n in members], [entries[n] for n in members], change, leap, least)
        for number, reading in zip(members, of_group, strict=True):
            found[number] = reading
    return found


def score(
    reading: Runs,
    posteriors: np.ndarray,
    onsets: np.ndarray | None = None,
    *,
    change: float,
    leap: float = 0.0,
    weight: float = 0.0,
    threshold: float = 0.5,
) -> float:
    """What runs score, whatever their lengths."""
    logs, rest = np.log(np.asarray(posteriors, np.float64) + SMALLEST), posteriors.shape[1] - 1
    entry = _entries(onsets, posteriors.shape, weight, threshold)
    total, before = -change * (len(reading) - 1), rest
    for start, end, key in reading:
        total += logs[start:end, key].sum() + entry[start, key]
        total -= leap * abs(key - before) if rest not in (key, before) else 0.0
        before = key
    return float(total)


def path(reading: Runs) -> np.ndarray:  # (steps,)
    """The class of each step."""
    return np.concatenate([np.full(end - start, key) for start, end, key in reading] or [np.zeros(0, int)])


def from_held(held: np.ndarray) -> np.ndarray:  # (steps, keys + 1)
    """Posteriors of keys and rest from the probability that each key is held, by their odds: of one voice at
    most one key is.
    """
    kept = np.clip(np.asarray(held, np.float64), SMALLEST, 1 - SMALLEST)
    odds = np.concatenate([kept / (1 - kept), np.ones((len(kept), 1))], axis=1)
    return odds / odds.sum(axis=1, keepdims=True)


def _entries(
    onsets: np.ndarray | None, shape: tuple[int, ...], weight: float, threshold: float
) -> np.ndarray:  # (steps, keys + 1)
    """What a run scores for beginning in each step: nothing for rest."""
    found = np.zeros(shape)
    if onsets is not None:
        found[:, :-1] = weight * np.log((np.asarray(onsets, np.float64) + SMALLEST_ONSET) / threshold)
    return found


def _changed(values: np.ndarray, change: float, leap: float) -> np.ndarray:  # (clips, keys + 1)
    """Best score of a run of each class after the runs that score ``values``: a key after any class, itself
    too, rest after any key.
    """
    keys = values.shape[1] - 1
    sung, slope = values[:, :keys], leap * np.arange(keys)
    below = np.maximum.accumulate(sung + slope, axis=1) - slope
    above = np.maximum.accumulate((sung - slope)[:, ::-1], axis=1)[:, ::-1] + slope
    best = np.empty_like(values)
    np.maximum(np.maximum(below, above), values[:, keys:], out=best[:, :keys])
    best[:, keys] = sung.max(axis=1)
    return best - change


def _search(
    scores: Sequence[np.ndarray], entries: Sequence[np.ndarray], change: float, leap: float, least: int
) -> list[Runs]:
    """The best readings of clips that have ``least`` steps or more."""
    lengths = [len(own) for own in scores]
    steps, classes = max(lengths), scores[0].shape[1]
    gathered = np.zeros((steps + 1, len(scores), classes))  # scores summed up to each step
    entry = np.zeros((steps, len(scores), classes))
    for number, (own, begins) in enumerate(zip(scores, entries, strict=True)):
        np.cumsum(own, axis=0, out=gathered[1 : len(own) + 1, number])
        entry[: len(own), number] = begins
    # best score of a reading whose last run has lasted `least` steps or more; whether it had a step before
    ripe = np.full((steps, len(scores), classes), -np.inf)
    stayed = np.zeros(ripe.shape, bool)
    ripe[least - 1] = gathered[least] + entry[0]
    for step in range(least, steps):
        begun = step - least + 1  # the first step of a run that has lasted just long enough
        new = _changed(ripe[begun - 1], change, leap) + entry[begun] + gathered[step + 1] - gathered[begun]
        old = ripe[step - 1] + (gathered[step + 1] - gathered[step])
        stayed[step] = old >= new
        np.maximum(old, new, out=ripe[step])
    return [
        _back(ripe[:length, number], stayed[:length, number], change, leap, least)
        for number, length in enumerate(lengths)
    ]


def _back(ripe: np.ndarray, stayed: np.ndarray, change: float, leap: float, least: int) -> Runs:
    """The runs of one clip, from its end."""
    rest, found = ripe.shape[1] - 1, Runs()
    step, here = len(ripe) - 1, int(ripe[-1].argmax())
    while True:
        end = step + 1
        while stayed[step, here]:
            step -= 1
        begun = step - least + 1
        found.append((begun, end, here))
        if begun == 0:
            return found[::-1]
        step = begun - 1
        cost = np.full(rest + 1, float(change))
        if here == rest:
            cost[rest] = np.inf
        else:
            cost[:rest] += leap * np.abs(np.arange(rest) - here)
        here = int((ripe[step] - cost).argmax())
