"""Forced alignment of phones with the outputs of a CTC network, or of one that was trained on frames.

Conventions: class 0 is the blank, which a network trained on frames never says; steps are network frames, and
boundaries are in steps: step t lasts from t - 0.5 to t + 0.5. A pause of the vocabulary may stand before,
between and after the phones, wherever ``breaks`` allows it.

A CTC network says each phone in one or a few steps and blanks between them, so the best path leaves open
where one phone ends and the next begins. That boundary is set where the phones' own probabilities, the blank
left aside, change from the one to the other.

Contents: `Aligned`, `align`, `states_of`, `log_probabilities`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiomtl.metrics import viterbi
from audiomtl.nn import ctc

Mode = Literal["ctc", "frames"]
# longest time that a phone lasts before its first or after its last step on the path, in steps; the rest of
# a longer gap is silence
EXTENSION_SECONDS = 0.15
# weight of label priors, and what is added to a class's mean probability. CTC says the blank in nine of ten
# steps. Divided by its prior (Huang et al., 2024, who train so) 70 % of the boundaries of TIMIT's sample lie
# within 20 ms, and 66 % without (validation)
PRIORS: dict[Mode, tuple[float, float]] = {"ctc": (0.7, 1e-3), "frames": (1.0, 1e-4)}
# least time of a phone of a network trained on frames: on the validation split of TIMIT's sample 84 % of the
# boundaries then lie within 20 ms, and 78 % without
SHORTEST_SECONDS = 0.03
LEAST = 10.0  # nats: one step that does not fit at all counts no more


@dataclass(frozen=True)
class Aligned:
    """Where each phone of one recording is."""

    starts: np.ndarray  # (phones,) steps, rising
    ends: np.ndarray  # (phones,) steps
    confidence: np.ndarray  # (phones,) mean probability of the phone in its steps on the path
    # (phones,) logarithm of how likely the path is beside the likeliest classes: of frames the mean over the
    # phone's steps, of CTC the sum over its steps and half of the steps to its neighbours; from -`LEAST` to 0
    evidence: np.ndarray


def align(
    logits: Sequence[np.ndarray],
    phones: Sequence[np.ndarray],
    *,
    mode: Mode,
    pause: int | None = None,
    breaks: Sequence[np.ndarray] | None = None,
    extension: float = np.inf,
    minimum: int = 1,
) -> list[Aligned]:
    """Align the phones of several recordings with their outputs; no result depends on the others.

    Parameters
    ----------
    logits : of each recording (steps, classes).
    phones : of each recording (phones,) int, the classes of its phones without pauses.
    mode : how the network was trained.
    pause : class of the pause, where the vocabulary has one.
    breaks : of each recording (phones + 1,) bool: before which phones, and after the last, a pause may stand;
        None allows it everywhere.
    extension : the longest time that a phone reaches beyond its own steps on the path, in steps.
    minimum : of a network trained on frames, least number of steps of a phone; fewer where the recording has
        too few for all phones.

    Raises
    ------
    ValueError : more phones than steps.
    """
    some = breaks or [np.ones(len(own) + 1, bool) for own in phones]
    least = [
        max(1, min(minimum, len(one) // max(len(own), 1))) for one, own in zip(logits, phones, strict=True)
    ]
    laid = [
        states_of(own, mode=mode, pause=pause, breaks=where, minimum=steps if mode == "frames" else 1)
        for own, where, steps in zip(phones, some, least, strict=True)
    ]
    logs = [log_probabilities(one, mode) for one in logits]
    # a network trained on frames says how likely a phone is in a step; divided by how often it says it, that
    # is how well the step fits the phone (the scaled likelihoods of Bourlard and Morgan, 1994)
    scores = [_scaled(one, *PRIORS[mode]) for one in logs]
    paths = viterbi.best_paths(scores, [text for text, _ in laid])
    return [
        _aligned(path, log, score, text.classes, phone, len(own), mode, extension)
        for path, log, score, (text, phone), own in zip(paths, logs, scores, laid, phones, strict=True)
    ]


def states_of(
    phones: np.ndarray, *, mode: Mode, pause: int | None, breaks: np.ndarray, minimum: int = 1
) -> tuple[viterbi.Text, np.ndarray]:
    """The states of a text, and the number of the phone that each one is, -1 for blanks and pauses.

    A phone that lasts ``minimum`` steps or more has so many states, of which only the last one lasts.
    """
    blanks = [ctc.BLANK] if mode == "ctc" else []
    classes, number = list(blanks), [-1] * len(blanks)
    for place, phone in enumerate([*phones.tolist(), None]):
        if pause is not None and breaks[place]:
            classes += [pause, *blanks]
            number += [-1] * (1 + len(blanks))
        if phone is not None:
            classes += [phone] * minimum + blanks
            number += [place] * minimum + [-1] * len(blanks)
    symbols, of_phone = np.array(classes, int), np.array(number, int)
    states = len(symbols)
    blank, spoken = symbols == ctc.BLANK, of_phone >= 0
    if mode == "frames":
        blank = np.zeros(states, bool)
    optional = ~spoken  # blanks and pauses may be left out, phones never
    reach = np.zeros((5, states), bool)
    reach[0] = np.append((of_phone[1:] != of_phone[:-1]) | ~spoken[:-1], True)
    for offset in range(1, min(5, states)):
        allowed = np.ones(states - offset, bool)
        for between in range(1, offset):
            allowed &= optional[offset - between : states - between]
        if offset > 1:  # the pause that lies between is left out by staying in the blank before it
            allowed &= ~blank[offset:]
        if mode == "ctc":  # equal symbols need a blank between them
            allowed &= blank[: states - offset] | (symbols[: states - offset] != symbols[offset:])
        reach[offset, offset:] = allowed
    nothing_before = np.array([optional[:state].all() for state in range(min(states, 4))])
    nothing_after = np.array([optional[state + 1 :].all() for state in range(max(0, states - 4), states)])
    first, last = np.zeros(states, bool), np.zeros(states, bool)
    first[: len(nothing_before)] = nothing_before
    last[states - len(nothing_after) :] = nothing_after
    return viterbi.Text(symbols, reach, first, last), of_phone


def log_probabilities(logits: np.ndarray, mode: Mode) -> np.ndarray:  # (steps, classes)
    """Logarithms of the probabilities, float64; those of a network trained on frames are of phones alone."""
    values = np.array(logits, np.float64)
    if mode == "frames":
        values[:, ctc.BLANK] = -np.inf
    values -= values.max(axis=1, keepdims=True)
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def _scaled(logs: np.ndarray, weight: float, rarest: float) -> np.ndarray:
    """Less the logarithm of each class's mean probability in the recording."""
    return logs - weight * np.log(np.exp(logs).mean(axis=0) + rarest)


def _aligned(
    path: np.ndarray,
    logs: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    of_phone: np.ndarray,
    count: int,
    mode: Mode,
    extension: float,
) -> Aligned:
    symbol = np.flatnonzero(classes[path] != ctc.BLANK) if mode == "ctc" else np.arange(len(path))
    # runs of one phone, blank or pause, whatever number of states it has
    unit = np.cumsum(np.append(0, (of_phone[1:] != of_phone[:-1]) | (of_phone[1:] < 0)))[path]
    begins = np.flatnonzero(np.diff(unit[symbol], prepend=-1))
    first = symbol[begins]
    last = symbol[np.append(begins[1:], len(symbol)) - 1] if len(symbol) else first
    states = path[first]
    starts, ends = first - 0.5, last + 0.5
    spoken = scores.copy()
    spoken[:, ctc.BLANK] = -np.inf
    spoken -= np.logaddexp.reduce(spoken, axis=1, keepdims=True)
    for run in range(len(first) - 1):  # what lies between two symbols
        gap = slice(last[run] + 1, first[run + 1])
        one, other = spoken[gap, classes[states[run]]], spoken[gap, classes[states[run + 1]]]
        # total if the first k steps of the gap belong to the one, and the rest to the other
        totals = np.append(0.0, np.cumsum(one)) + np.append(np.cumsum(other[::-1])[::-1], 0.0)
        boundary = last[run] + 0.5 + int(np.argmax(totals))
        ends[run] = min(boundary, last[run] + 0.5 + extension)
        starts[run + 1] = max(boundary, first[run + 1] - 0.5 - extension)
    kept = of_phone[states] >= 0
    assert list(of_phone[states[kept]]) == list(range(count))
    steps = list(zip(first[kept], last[kept], classes[states[kept]], strict=True))
    confidence = [np.exp(logs[begin : end + 1, label]).mean() for begin, end, label in steps]
    beside = np.maximum(logs[np.arange(len(path)), classes[path]] - logs.max(axis=1), -LEAST)  # (steps,)
    evidence = np.array([beside[begin : end + 1].mean() for begin, end, _ in steps])
    if mode == "ctc" and count:
        # a phone that is heard beside the text lies in steps that the path calls blank
        edges = np.append(0, (last[kept][:-1] + first[kept][1:] + 1) // 2)[:count]
        evidence = np.maximum(np.add.reduceat(beside, edges), -LEAST)
    return Aligned(starts[kept], ends[kept], np.array(confidence), evidence)
