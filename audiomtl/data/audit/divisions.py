"""Which clips a model learns from and which it predicts: at random, or with whole groups held out.

Conventions: labels and groups are numbers (clips,). With several columns of groups that cross each other
(every speaker says every sentence) folds of each are crossed: a model learns from the clips that share
neither speaker nor sentence with the clips that it predicts. Classes with clips of one group only are left
out, since nothing is left to learn them from once that group is held out.

Contents: `Task`, `task_of`, `Design`, `design`, `parts`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from audiomtl.data import tags
from audiomtl.data.audit.duplicates import clusters

FOLDS = 5
CROSSED = {1: FOLDS, 2: 4, 3: 3}  # folds of each of so many columns that are crossed
MOST_CLIPS = 4000  # drawn by whole groups
FEWEST_CLIPS = 20
SEED = 20190327
Folds = Iterator[tuple[np.ndarray, np.ndarray]]  # rows of train and test
Division = tuple[str, Callable[[np.random.Generator], Folds]]  # its name, and its folds by a random order


@dataclass(frozen=True)
class Task:
    """What is learned."""

    kind: str  # "class", "tags" or "value"
    target: np.ndarray  # (clips,) class numbers or values; of tags (clips, classes) 0 and 1
    classes: tuple[str, ...]

    @property
    def chance(self) -> float:
        """What a model without ears scores."""
        return {"class": 1 / max(1, len(self.classes)), "tags": 0.5, "value": 0.0}[self.kind]


@dataclass(frozen=True)
class Design:
    """The clips that are predicted, and the divisions under which they are."""

    kept: np.ndarray  # (n,) rows of the clips
    task: Task  # of these
    groups: dict[str, np.ndarray]  # name of a column -> (n,) numbers
    divisions: tuple[Division, ...]  # the random one, one for each column, and one for all of them
    train_clips: int  # that are left to learn from in the strictest division
    left_out: tuple[str, ...]  # classes and tags that cannot be scored
    remarks: tuple[str, ...]

    @property
    def units(self) -> np.ndarray:  # (n,)
        """Over what an interval is: the column with the fewest groups; clips where there is none."""
        every = np.arange(len(self.kept))
        return min(self.groups.values(), key=lambda values: len(set(values.tolist())), default=every)


def task_of(table: pd.DataFrame, label: str, kind: str) -> Task:
    """What a column of labels asks for."""
    cells = table[label].tolist()
    if kind == "value":
        return Task(kind, np.array(cells, float), ())
    if kind == "tags":
        cells = [cell if isinstance(cell, tuple) else tuple(cell) for cell in cells]
        classes = tags.classes_of(cells)
        return Task(kind, np.array([[name in cell for name in classes] for cell in cells], float), classes)
    names = [str(cell) for cell in cells]
    classes = tuple(sorted(set(names)))
    return Task(kind, np.array([classes.index(name) for name in names]), classes)


def design(task: Task, groups: dict[str, np.ndarray]) -> Design | str:
    """Divide clips.

    Parameters
    ----------
    groups : name of a column -> (clips,) its values.

    Returns
    -------
    the design, or why there is none
    """
    count = len(task.target)
    if count < FEWEST_CLIPS:
        return f"{count} clips are too few; {FEWEST_CLIPS} are needed"
    remarks: list[str] = []
    kept = np.arange(count)
    numbers = {name: pd.factorize(values, sort=True)[0] for name, values in groups.items()}
    for name in [name for name, values in numbers.items() if len(set(values.tolist())) < 2]:
        remarks.append(f"every clip has the same {name}")
        del numbers[name]
    for name in [name for name, values in numbers.items() if len(set(values.tolist())) == count]:
        remarks.append(f"every clip has a {name} of its own: held out by every split")
        del numbers[name]
    left_out: tuple[str, ...] = ()
    if task.kind == "class":
        few = _unscored(task, numbers)
        left_out = tuple(task.classes[number] for number in sorted(few))
        kept = kept[~np.isin(task.target, sorted(few))]
        if len(set(task.target[kept].tolist())) < 2:
            return "fewer than two classes have clips of two groups: no unseen group can be scored"
    elif task.kind == "tags":
        with_it = task.target.sum(axis=0)
        columns = np.flatnonzero((with_it >= 2) & (with_it <= count - 2))
        left_out = tuple(name for number, name in enumerate(task.classes) if number not in columns)
        if not len(columns):
            return "no tag has two clips with it and two without it"
        task = Task(task.kind, task.target[:, columns], tuple(task.classes[number] for number in columns))
    kept = _drawn(kept, numbers, remarks)
    if len(kept) < FEWEST_CLIPS:
        return f"{len(kept)} clips of classes with two groups are too few; {FEWEST_CLIPS} are needed"
    numbers = {name: values[kept] for name, values in numbers.items()}
    task = _of(task, kept)
    divisions = tuple(_divisions(task, numbers))
    size = min(
        int(np.median([len(train) for train, _ in folds(np.random.default_rng(SEED))] or [0]))
        for _, folds in divisions
    )
    if size < FEWEST_CLIPS // 2:
        return f"only {size} clips are left to learn from when all groups are held out"
    return Design(kept, task, numbers, divisions, size, left_out, tuple(remarks))


def _of(task: Task, kept: np.ndarray) -> Task:
    """The task of some of the clips, with the classes that they have."""
    if task.kind != "class":
        return Task(task.kind, task.target[kept], task.classes)
    present, target = np.unique(task.target[kept], return_inverse=True)
    return Task(task.kind, target, tuple(task.classes[number] for number in present))


def _unscored(task: Task, groups: dict[str, np.ndarray]) -> set[int]:
    """Classes with clips of a single group: held out, nothing is left to learn them from."""
    few = {
        number
        for number, count in enumerate(np.bincount(task.target, minlength=len(task.classes)))
        if count < 2
    }
    for values in groups.values():
        for number in range(len(task.classes)):
            if len(set(values[task.target == number].tolist())) < 2:
                few.add(number)
    return few


def _drawn(kept: np.ndarray, groups: dict[str, np.ndarray], remarks: list[str]) -> np.ndarray:
    """At most about `MOST_CLIPS` clips, by whole groups of the column with the most."""
    if len(kept) <= MOST_CLIPS:
        return kept
    remarks.append(f"{MOST_CLIPS} of {len(kept)} clips, drawn by whole groups")
    unit = max(
        (values[kept] for values in groups.values()),
        key=lambda values: len(set(values.tolist())),
        default=kept,
    )
    random = np.random.default_rng(SEED)
    order = random.permutation(np.unique(unit))
    rank = np.empty(int(order.max()) + 1, int)
    rank[order] = np.arange(len(order))
    return np.sort(kept[np.argsort(rank[unit], kind="stable")[:MOST_CLIPS]])


# ---------------------------------------------------------------- divisions


def _divisions(task: Task, groups: dict[str, np.ndarray]) -> Iterator[Division]:
    strata = task.target if task.kind == "class" else np.zeros(len(task.target), int)
    every = np.arange(len(strata))
    yield "random split", partial(parts, [every], strata)
    for name, values in groups.items():
        yield f"unseen {name}", partial(parts, [values], strata)
    if len(groups) > 1:
        whole = _components(list(groups.values()))
        joined = len(set(whole.tolist())) >= 2 * FOLDS
        yield (
            f"unseen {_listed(list(groups))}",
            partial(parts, [whole] if joined else [*groups.values()], strata),
        )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _components(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Clips that share a value of any column, directly or through others."""
    pairs = []
    for values in columns:
        order = np.argsort(values, kind="stable")
        same = values[order][1:] == values[order][:-1]
        pairs += list(zip(order[1:][same].tolist(), order[:-1][same].tolist(), strict=True))
    return clusters(pairs, len(columns[0]))


def parts(columns: Sequence[np.ndarray], strata: np.ndarray, random: np.random.Generator) -> Folds:
    """Rows of train and test: no value of any column is on both sides; each row is in test once.

    Parameters
    ----------
    columns : (clips,) numbers of the groups, of one or several columns whose folds are crossed.
    strata : (clips,) classes, which every fold should have its share of.
    """
    folds = CROSSED.get(len(columns), 2)
    fold = np.stack(
        [_dealt(values, strata, min(folds, len(set(values.tolist()))), random) for values in columns]
    )
    for cell in np.unique(fold, axis=1).T:
        test = (fold == cell[:, None]).all(axis=0)
        train = (fold != cell[:, None]).all(axis=0)
        if train.any():
            yield np.flatnonzero(train), np.flatnonzero(test)


def _dealt(values: np.ndarray, strata: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """Fold of each clip: whole groups, the largest first, each to the fold that lacks its classes most."""
    _, group = np.unique(values, return_inverse=True)
    count = np.zeros((int(group.max()) + 1, int(strata.max()) + 1))
    np.add.at(count, (group, strata), 1)
    order = random.permutation(len(count))
    order = order[np.argsort(-count[order].sum(axis=1), kind="stable")]
    have = np.zeros((folds, count.shape[1]))
    wanted = np.maximum(count.sum(axis=0) / folds, 1e-9)
    chosen = np.empty(len(count), int)
    tie = random.permutation(folds)
    for number in order:
        cost = ((have + count[number] / 2) * count[number] / wanted).sum(axis=1)
        full = have.sum(axis=1)
        chosen[number] = np.lexsort((tie, full, np.round(cost, 9)))[0]
        have[chosen[number]] += count[number]
    return chosen[group]
