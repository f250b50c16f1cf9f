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
    longer, between = padded + stay, np.ascontiguousarray(change[:, None, :])
    wide, before = np.empty((classes, count, classes)), np.empty((classes, count, 1))
    for step in range(steps):
        if step:
            before[:, :, 0] = ripe[step - 1].T
            np.add(before, between, out=wide)
            np.maximum.reduce(wide, axis=0, out=entered[step % minimum])
        begun = step - minimum + 1
        if begun < 0:
            continue
        new = np.add(entered[begun % minimum], gathered[step], out=ripe[step])
        if step:
            old = ripe[step - 1] + longer[step]
            np.greater_equal(old, new, out=stayed[step])
            np.maximum(new, old, out=new)
    return _back(ripe, stayed, change, last, minimum, lengths)


def _back(
    ripe: np.ndarray,
    stayed: np.ndarray,
    change: np.ndarray,
    last: np.ndarray,
    minimum: int,
    lengths: np.ndarray,
) -> list[np.ndarray]:
    """The paths of all recordings, from their ends; a recording is at its end in every step behind it."""
    rows = np.arange(len(lengths))
    ended = ripe[lengths - 1, rows] + last
    here = ended.argmax(axis=1)
    if (ended[rows, here] == -np.inf).any():
        raise ValueError("no path: every one has the score -inf")
    into = np.ascontiguousarray(change.T)  # (to, from)
    paths = np.empty((len(ripe), len(lengths)), np.int64)
    # steps until the run here has begun; -1 in a run that is long enough and goes further back
    left = np.full(len(lengths), -1)
    for step in range(len(ripe) - 1, -1, -1):
        paths[step] = here
        inside = step < lengths
        left = np.where(left > 0, left - 1, left)
        begins = inside & (left == -1) & ~stayed[step, rows, here]
        left[begins] = minimum - 1
        changed = left == 0
        if step and changed.any():
            here = np.where(changed, (ripe[step - 1] + into[here]).argmax(axis=1), here)
            left[changed] = -1
    return [path[:length] for path, length in zip(paths.T.copy(), lengths.tolist(), strict=True)]
