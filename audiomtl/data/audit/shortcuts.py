"""Shortcuts: how well a label follows from a recording's length, level, bandwidth, silence or file format
alone.

A probe is a small decision tree on one kind of measure, cross-validated with whole groups held out like the
strictest division of the leak bill, and compared with chance by permuting the labels. It is a *shortcut* if
it is clearly above chance and reaches at least half of what the linear model reaches above chance: then a
network may learn it instead of the sound.

Contents: `probes`, `Probe`, `PROBES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from audiomtl.data.audit.divisions import SEED, Design, Task
from audiomtl.data.audit.leak_bill import scored
from audiomtl.data.audit.measures import Measures

# name -> what of the measures it sees, and the remedy
PROBES: dict[str, tuple[tuple[str, ...], str]] = {
    "length": (("seconds",), "cut or pad all clips to one length, or take windows of one length"),
    "level": (("rms_db", "peak_db"), "normalise the level of every clip, or scale features per clip"),
    "bandwidth": (("bandwidth_hz",), "low-pass all clips at the lowest bandwidth: a lower features.high_hz"),
    "silence": (
        ("start_seconds", "end_seconds", "silent"),
        "trim silence in the same way from all clips, or take windows from inside",
    ),
    "noise floor": (
        ("floor_db",),
        "record all classes with each device, or add noise of one level to all clips",
    ),
    "offset": (("offset",), "subtract the mean of every waveform, or use features without 0 Hz"),
    "file format": (
        ("sample_rate", "channels", "coding"),
        "convert all clips to one format from the same kind of source, and split by source",
    ),
}
DEPTH = 4  # of a tree
LEAF = 3  # clips in a leaf, at least
DIGITS = 3  # of a measure: a smaller difference is not heard
ROUNDS = 3  # of cross-validation
PERMUTATIONS = 49
SURE = 0.02  # largest p-value
LEAST = 0.1  # of the way from chance to 1
HALF = 0.5  # of what the linear model reaches above chance
PURE = 0.9  # share of a group's clips with its most frequent class, from which labels are permuted by group


@dataclass(frozen=True)
class Probe:
    """What one kind of measure says of the label."""

    name: str  # of `PROBES`
    score: float
    chance: float
    share: float  # of what the linear model reaches above chance; NaN where that reaches nothing
    p: float  # of as good a score by chance; NaN where it was not needed
    shortcut: bool
    remedy: str


def probes(
    measures: Sequence[Measures],
    design: Design,
    linear: float,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Probe]:
    """Score every probe that has something to see.

    Parameters
    ----------
    measures : of all clips, of which the design keeps some. linear : score of the linear model in the
        strictest division.
    """
    progress("shortcuts")
    found = []
    chance = design.task.chance
    reached = linear - chance
    for name, (columns, remedy) in PROBES.items():
        seen = _numbers(measures, columns)[design.kept]
        if not len(seen) or not (np.abs(seen - seen[0]) > 1e-9).any():
            continue
        score = _score(seen, design, design.task, ROUNDS)
        share = (score - chance) / reached if reached > 0.02 else float("nan")
        p = float("nan")
        if score - chance >= max(LEAST * (1 - chance), HALF * reached):
            p = _p_value(seen, design, score)
        found.append(Probe(name, score, chance, share, p, p <= SURE, remedy))
    return found


def _numbers(measures: Sequence[Measures], columns: Sequence[str]) -> np.ndarray:  # (clips, numbers)
    parts = []
    for column in columns:
        values = [getattr(one, column) for one in measures]
        if column in ("coding", "sample_rate", "channels"):  # no order: a column for each
            parts += [np.array([value == kind for value in values], float) for kind in sorted(set(values))]
        else:
            parts.append(np.array(values, float))
    return np.round(np.stack(parts, axis=1), DIGITS).astype(np.float32)


def _score(seen: np.ndarray, design: Design, task: Task, rounds: int) -> float:
    _, folds = design.divisions[-1]
    scores = []
    for number in range(rounds):
        output = np.zeros(task.target.shape)
        for train, test in folds(np.random.default_rng([SEED, number])):
            output[test] = _tree(task, seen[train], task.target[train], seen[test])
        scores.append(scored(task, output))
    return float(np.mean(scores))


def _tree(task: Task, seen: np.ndarray, target: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predictions (n_asked,), of tags (n_asked, classes), of a tree that learned from ``seen`` (n, numbers).

    The variance of columns of 0 and 1 is the Gini impurity of the classes: one kind of tree for every task.
    """
    from sklearn.tree import DecisionTreeRegressor

    weight = np.ones(len(target))
    truth = target
    if task.kind == "class":
        counts = np.bincount(target, minlength=len(task.classes))
        weight = 1 / counts[target]  # every class has the same part
        truth = np.eye(len(task.classes))[target]
    truth = np.ascontiguousarray(truth.reshape(len(truth), -1), np.float64)
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=SEED)
    tree.fit(seen, truth, sample_weight=weight, check_input=False)
    said = tree.predict(asked, check_input=False).reshape(len(asked), -1)
    return np.asarray(
        said.argmax(axis=1) if task.kind == "class" else said if task.kind == "tags" else said[:, 0]
    )


def _p_value(seen: np.ndarray, design: Design, score: float) -> float:
    """Share of permutations of the labels that score as well; of whole groups where each has one label."""
    task, units = design.task, design.units
    _, number = np.unique(units, return_inverse=True)
    whole = task.kind == "class" and _purity(task.target, number) >= PURE
    random = np.random.default_rng(SEED)
    better = 1
    for _ in range(PERMUTATIONS):
        if whole:
            first = np.array(
                [np.bincount(task.target[number == unit]).argmax() for unit in range(number.max() + 1)]
            )
            target = random.permutation(first)[number]
        else:
            target = task.target[random.permutation(len(task.target))]
        better += _score(seen, design, Task(task.kind, target, task.classes), 1) >= score
    return better / (PERMUTATIONS + 1)


def _purity(target: np.ndarray, number: np.ndarray) -> float:
    most = sum(int(np.bincount(target[number == unit]).max()) for unit in range(number.max() + 1))
    return most / len(target)
