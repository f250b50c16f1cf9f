"""Viterbi decoding of frames: the best sequence of classes, of which each lasts a least number of steps.

Conventions: a recording has steps, each with a log score for every class. A path has one class per step. Its
score is the sum of the scores of its classes, plus ``transitions[i, i]`` for every further step in class i
and ``transitions[i, j]`` for every change from i to j. A run of one class lasts ``minimum`` steps or more;
a recording that is shorter is one run. Scores of -inf are allowed, NaN is not. Of equally good paths the one
is taken whose last runs are longest, then the one whose classes come first.

Source: Viterbi (1967), "Error bounds for convolutional codes". Least durations by states that are repeated:
Rabiner (1989), section IV D.

Contents: `best_paths`, `path_score`.
"""

from collections.abc import Sequence

import numpy as np


def best_paths(
    scores: Sequence[np.ndarray],
    transitions: np.ndarray | float = 0.0,
    *,
    first: np.ndarray | None = None,
    last: np.ndarray | None = None,
    minimum: int = 1,
) -> list[np.ndarray]:
    """The class of each step, for several recordings at once; no result depends on the others.

    Parameters
    ----------
    scores : of each recording (steps, classes). transitions : (classes, classes) from row to column, or one
        number: the score of every change, where to stay costs nothing.
    first, last : (classes,) score of a path that begins, or ends, in each class.
    minimum : least number of steps of a run.

    Returns
    -------
    list of arrays (steps,), int; empty for a recording without steps

    Raises
    ------
    ValueError : NaN, by the number of the recording; scores of different classes; no path.
    """
    if not scores:
        return []
    classes = scores[0].shape[1]
    for number, one in enumerate(scores):
        if one.ndim != 2 or one.shape[1] != classes:
            raise ValueError(f"recording {number}: scores must be (steps, {classes}), but are {one.shape}")
        if np.isnan(one).any():
            raise ValueError(f"recording {number}: the scores have NaN")
    matrix = np.array(np.broadcast_to(transitions, (classes, classes)), float)
    if np.ndim(transitions) == 0:
        np.fill_diagonal(matrix, 0.0)
    begin = np.zeros(classes) if first is None else first
    end = np.zeros(classes) if last is None else last
    # recordings that are shorter than a run are one run; the others are searched together
    found: dict[int, np.ndarray] = {}
    groups: dict[int, list[int]] = {}
    for number, one in enumerate(scores):
        if len(one):
            groups.setdefault(min(minimum, len(one)), []).append(number)
        else:
            found[number] = np.zeros(0, np.int64)
    for shortest, members in sorted(groups.items()):
        paths = _search([scores[number] for number in members], matrix, begin, end, shortest)
        found |= dict(zip(members, paths, strict=True))
    return [found[number] for number in range(len(scores))]


def path_score(
    path: np.ndarray,
    scores: np.ndarray,
    transitions: np.ndarray,
    first: np.ndarray | None = None,
    last: np.ndarray | None = None,
) -> float:
    """Score of a path (steps,), however long its runs are."""
    total = float(scores[np.arange(len(path)), path].sum() + transitions[path[:-1], path[1:]].sum())
    total += 0.0 if first is None or not len(path) else float(first[path[0]])
    return total + (0.0 if last is None or not len(path) else float(last[path[-1]]))


def _search(
    scores: Sequence[np.ndarray], matrix: np.ndarray, first: np.ndarray, last: np.ndarray, minimum: int
) -> list[np.ndarray]:
    """Paths of recordings with ``minimum`` steps or more each."""
    lengths = np.array([len(one) for one in scores])
    steps, count, classes = int(lengths.max()), len(scores), matrix.shape[0]
    stay = np.diag(matrix).copy()
    change = matrix.astype(float).copy()
    np.fill_diagonal(change, -np.inf)
    padded = np.zeros((steps, count, classes))
    for number, one in enumerate(scores):
        padded[: len(one), number] = one
    # best score of a path whose run of each class has lasted `minimum` steps or more, for every step
    ripe = np.full((steps, count, classes), -np.inf)
    stayed = np.zeros((steps, count, classes), bool)  # whether the run had lasted as long a step before
    # a run that is ripe now was begun `minimum - 1` steps ago: the score of its entry, by step modulo that
    entered = np.full((minimum, count, classes), -np.inf)
    entered[0] = first
    gathered = padded.copy()  # and of its steps since
    for back in range(1, minimum):
        gathered[back:] += padded[:-back] + stay
    wide, before = np.empty((classes, count, classes)), np.empty((classes, count, 1))
    for step in range(steps):
        if step:
            before[:, :, 0] = ripe[step - 1].T
            np.add(before, change[:, None, :], out=wide)
            entered[step % minimum] = wide.max(axis=0)
        begun = step - minimum + 1
        if begun < 0:
            continue
        new = entered[begun % minimum] + gathered[step]
        if step:
            old = ripe[step - 1] + stay + padded[step]
            stayed[step] = old >= new
            np.maximum(new, old, out=new)
        ripe[step] = new
    return [
        _back(ripe[:length, number], stayed[:length, number], change, last, minimum)
        for number, length in enumerate(lengths.tolist())
    ]


def _back(
    ripe: np.ndarray, stayed: np.ndarray, change: np.ndarray, last: np.ndarray, minimum: int
) -> np.ndarray:
    """The path of one recording, from its end."""
    step = len(ripe) - 1
    ended = ripe[step] + last
    here = int(ended.argmax())
    if ended[here] == -np.inf:
        raise ValueError("no path: every one has the score -inf")
    path = np.empty(step + 1, np.int64)
    while True:
        end = step
        while stayed[step, here]:
            step -= 1
        begun = step - minimum + 1
        path[begun : end + 1] = here
        if begun == 0:
            return path
        step = begun - 1
        here = int((ripe[step] + change[:, here]).argmax())
