"""The leak bill: what one linear model scores if clips are split at random, and what is left of it on groups
(speakers, songs, sentences) that it has never heard.

The model is standardised mean features with logistic regression, ridge regression for values, and one
classifier per tag. Every division is by cross-validation: each clip is predicted once per repetition, by a
model that has learned from the same number of clips in every division, so that only the choice of the clips
differs.

Scores: of classes the mean recall over the classes (balanced accuracy), of tags the mean ROC AUC, of values
R^2. Intervals are over groups: clips of one group are not independent.

Contents: `bill`, `Bill`, `Price`, `predicted`, `scored`, `short`.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from audiomtl.data.audit.divisions import SEED, Design, Folds, Task
from audiomtl.metrics.intervals import FEWEST_GROUPS, jackknife_interval

REPETITIONS = 10
MOST_FITS = 200  # of one division
STRENGTH = 0.1  # C of the logistic regression
BLOCKS = 60  # of groups, where a jackknife over each would take long
NAMES = {"class": "balanced accuracy", "tags": "mean ROC AUC", "value": "R^2"}
NOT_KNOWN = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Price:
    """The score under one division; 95 % intervals are over groups, NaN under 5 groups."""

    name: str  # "random split", "unseen speaker", "unseen speaker and sentence"
    score: float
    interval: tuple[float, float]
    drop: float  # from the random split
    drop_interval: tuple[float, float]


@dataclass(frozen=True)
class Bill:
    """Scores of one linear model under several divisions."""

    score: str  # its name
    chance: float
    prices: tuple[Price, ...]
    train_clips: int  # that every model has learned from

    def line(self) -> str:
        """All of it in one line."""
        return "; ".join(f"{one.name} {short(one.score)}" for one in self.prices)


def short(score: float) -> str:
    """A score with two digits: .59, 1.00, -.12."""
    return f"{score:.2f}".replace("0.", ".", 1) if -1 < round(score, 2) < 1 else f"{score:.2f}"


def bill(
    rows: np.ndarray,
    design: Design,
    *,
    repetitions: int = REPETITIONS,
    progress: Callable[[str], None] = lambda _: None,
) -> Bill:
    """Score the linear model under every division of a design.

    Parameters
    ----------
    rows : (clips, numbers) of all clips, of which the design keeps some.
    """
    rows = rows[design.kept].astype(np.float64)
    blocks = _blocks(design.units)
    prices: list[Price] = []
    first: list[np.ndarray] = []
    for name, folds in design.divisions:
        progress(f"leak bill: {name}")
        per_round = sum(1 for _ in folds(np.random.default_rng(SEED)))
        outputs = []
        for number in range(max(1, min(repetitions, MOST_FITS // per_round))):
            random = np.random.default_rng([SEED, number])
            outputs.append(predicted(rows, design.task, folds(random), design.train_clips, random))
        first = first or outputs
        score, interval = _jackknife(partial(_mean, design.task, outputs), blocks)
        drop, apart = _jackknife(partial(_apart, design.task, first, outputs), blocks)
        if design.task.kind != "value":
            interval = (
                (max(interval[0], 0.0), min(interval[1], 1.0)) if interval[0] == interval[0] else interval
            )
        prices.append(Price(name, score, interval, drop, apart))
    return Bill(NAMES[design.task.kind], design.task.chance, tuple(prices), design.train_clips)


def _blocks(units: np.ndarray) -> list[np.ndarray]:
    """Masks of the clips that are left when each group, or block of groups, is taken out."""
    names, number = np.unique(units, return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        return []
    if len(names) > BLOCKS:
        number = np.random.default_rng(SEED).permutation(len(names))[number] % BLOCKS
    return [number != block for block in range(min(len(names), BLOCKS))]


def _mean(task: Task, outputs: Sequence[np.ndarray], chosen: np.ndarray | None) -> float:
    return float(np.mean([scored(task, output, chosen) for output in outputs]))


def _apart(
    task: Task, first: Sequence[np.ndarray], second: Sequence[np.ndarray], chosen: np.ndarray | None
) -> float:
    return _mean(task, first, chosen) - _mean(task, second, chosen)


def _jackknife(
    score: Callable[[np.ndarray | None], float], blocks: Sequence[np.ndarray]
) -> tuple[float, tuple[float, float]]:
    whole = score(None)
    if not blocks:
        return whole, NOT_KNOWN
    _, low, high = jackknife_interval(whole, [score(block) for block in blocks])
    return whole, (low, high)


def predicted(
    rows: np.ndarray, task: Task, folds: Folds, size: int, random: np.random.Generator
) -> np.ndarray:
    """Predictions of every clip: class numbers or values (clips,), or scores of tags (clips, classes)."""
    output = np.full(task.target.shape, np.nan)
    for train, test in folds:
        if len(train) > size:
            train = np.sort(random.permutation(train)[:size])
        mean, deviation = rows[train].mean(axis=0), rows[train].std(axis=0)
        scaled = (rows - mean) / np.where(deviation > 1e-9, deviation, 1.0)
        output[test] = _fitted(task, scaled[train], task.target[train], scaled[test])
    return output


def _fitted(task: Task, rows: np.ndarray, target: np.ndarray, asked: np.ndarray) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from threadpoolctl import threadpool_limits

    if task.kind == "value":
        return Ridge(alpha=10.0).fit(rows, target).predict(asked)
    # threads of products this small cost more than they save
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if task.kind == "class":
            if len(set(target.tolist())) == 1:
                return np.full(len(asked), target[0])
            model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=200)
            return model.fit(rows, target).predict(asked)
        output = np.zeros((len(asked), target.shape[1]))
        for number in range(target.shape[1]):
            if 0 < target[:, number].sum() < len(target):
                model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=200)
                output[:, number] = model.fit(rows, target[:, number]).decision_function(asked)
        return output


def scored(task: Task, output: np.ndarray, chosen: np.ndarray | None = None) -> float:
    """The score of the predictions of all clips, or of chosen ones."""
    if chosen is not None:
        task, output = Task(task.kind, task.target[chosen], task.classes), output[chosen]
    if task.kind == "class":
        right = output == task.target
        return float(np.mean([right[task.target == number].mean() for number in set(task.target.tolist())]))
    if task.kind == "value":
        spread = float(np.square(task.target - task.target.mean()).sum())
        return 1 - float(np.square(task.target - output).sum()) / max(spread, 1e-12)
    from sklearn.metrics import roc_auc_score

    areas = [
        roc_auc_score(truth, score)
        for truth, score in zip(task.target.T, output.T, strict=True)
        if 0 < truth.sum() < len(truth)
    ]
    return float(np.mean(areas)) if areas else 0.5
