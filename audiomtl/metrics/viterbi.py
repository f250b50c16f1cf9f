"""Viterbi decoding of a text through a recording: the most probable monotonic path through its states.

Conventions: a recording has steps, each with a log score for every class; a text is a row of states, each of
one class. A path has one state per step, begins in a first state, ends in a last one, and enters state s from
s - 0 (it stays), s - 1, s - 2 ... wherever ``reach`` allows it. Of equally good paths the one is taken that
stays longest, seen from the end.

Contents: `Text`, `best_paths`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# of back pointers, one byte per step and state; beyond, the path is found block by block in twice the time
MOST_BYTES = 2**28


@dataclass(frozen=True)
class Text:
    """The states of one text."""

    classes: np.ndarray  # (states,) int: class of each state
    reach: np.ndarray  # (offsets, states) bool: whether the state is entered from offset states before it
    first: np.ndarray  # (states,) bool: where a path may begin
    last: np.ndarray  # (states,) bool: where it may end


def best_paths(scores: Sequence[np.ndarray], texts: Sequence[Text]) -> list[np.ndarray]:
    """The state of each step, for several recordings at once; no result depends on the others.

    Parameters
    ----------
    scores : of each recording log scores (steps, classes); -inf is allowed.
    texts : one for each recording.

    Returns
    -------
    list of arrays (steps,), int

    Raises
    ------
    ValueError : a recording without steps, or through which no path leads, by its number.
    """
    if not scores:
        return []
    lengths = np.array([len(one) for one in scores])
    if not lengths.all():
        raise ValueError(f"recording {int(np.argmin(lengths))} has no steps")
    search = _Search(scores, texts, lengths)
    steps = int(lengths.max())
    size = search.value.size * steps
    block = steps if size <= MOST_BYTES else int(np.ceil(np.sqrt(steps)))
    kept, choices = list[np.ndarray](), list[np.ndarray]()
    for step in range(1, steps):
        if (step - 1) % block == 0:
            kept.append(search.value.copy())
        choice = search.advance(step)
        if block == steps:
            choices.append(choice)
    place = search.end()
    paths = np.empty((len(scores), steps), np.int64)
    paths[:, -1] = place
    rows = np.arange(len(scores))
    for number in range(len(kept) - 1, -1, -1):
        begin, end = number * block + 1, min((number + 1) * block + 1, steps)
        if block < steps:
            search.value = kept[number]
            choices = [search.advance(step) for step in range(begin, end)]
        for step in range(end - 1, begin - 1, -1):
            place = place - choices[step - begin][rows, place]
            paths[:, step - 1] = place
    return [path[:length] for path, length in zip(paths, lengths, strict=True)]


class _Search:
    """Best log score of a path to each state, (recordings, states), step by step."""

    def __init__(self, scores: Sequence[np.ndarray], texts: Sequence[Text], lengths: np.ndarray) -> None:
        count, offsets = max(len(text.classes) for text in texts), max(len(text.reach) for text in texts)
        shape = (len(texts), count)
        self.scores, self.lengths = scores, lengths
        self.classes = [text.classes for text in texts]
        self.penalties = np.full((offsets, *shape), -np.inf)  # 0 where a state may be entered
        self.value, self.last = np.full(shape, -np.inf), np.zeros(shape, bool)
        for row, text in enumerate(texts):
            states = len(text.classes)
            self.penalties[: len(text.reach), row, :states][text.reach] = 0.0
            self.last[row, :states] = text.last
            self.value[row, :states][text.first] = scores[row][0][text.classes][text.first]
        # the values before the first state, from where nothing comes
        self.before = np.full((len(texts), offsets - 1 + count), -np.inf)
        self.offsets = offsets

    def advance(self, step: int) -> np.ndarray:  # (recordings, states) int8
        """Go on by one step; from how many states before each one was entered."""
        count = self.value.shape[1]
        edge = self.offsets - 1
        self.before[:, edge:] = self.value
        best = self.value + self.penalties[0]
        choice = np.zeros(best.shape, np.int8)
        for offset in range(1, self.offsets):
            other = self.before[:, edge - offset : edge - offset + count] + self.penalties[offset]
            better = other > best
            choice[better] = offset
            np.maximum(best, other, out=best)
        for row, (scores, classes) in enumerate(zip(self.scores, self.classes, strict=True)):
            if step < len(scores):
                best[row, : len(classes)] += scores[step][classes]
        over = step >= self.lengths
        best[over], choice[over] = self.value[over], 0
        self.value = best
        return choice

    def end(self) -> np.ndarray:  # (recordings,)
        """The best of the last states, of equal ones the furthest."""
        ended = np.where(self.last, self.value, -np.inf)
        if len(lost := np.flatnonzero(ended.max(axis=1) == -np.inf)):
            raise ValueError(f"no path leads through recording {lost[0]}")
        return ended.shape[1] - 1 - np.argmax(ended[:, ::-1], axis=1)
