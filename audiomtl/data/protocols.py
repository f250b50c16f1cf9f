"""Splits into train, validation and test: by fractions, folds, blocks, or one group value at a time.

Conventions: a clip table as in `splits`; the settings are a `Protocol` and a data table with ``groups``, and
with a ``label`` unless it is "". Whole groups only:
clips that share a value of any group column, directly or through others, form one *cluster* and stay
together. A division is a function of the clip ids, their groups, labels and the seed, not of the order of the
rows. Every division but ``leaky_windows`` is checked at the end: no group value on two sides.

Contents: `divide`, `seed_of`, `leaky_windows`.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from audiomtl.data import splits, stratified, tags
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.protocol import Protocol
from audiomtl.settings.validation import nearest, show

SIDES = splits.SIDES
# of what must be the same for every seed: folds, and which clips are test; the day the question was asked
FIXED_SEED = 20190327


def divide(table: pd.DataFrame, data: DataSet, protocol: Protocol, seed: int) -> splits.Splits:
    """Divide a clip table as ``protocol.kind`` says.

    ``split``: the test side is drawn once, the same for every seed, so that no study has chosen on it; what
    is left is divided into train and validation anew for every seed. ``folds`` that the project makes are the
    same for every seed; seed s tests on fold s mod k and validates on the next, so that k seeds test every
    clip once. ``protocol.split_seed`` takes the place of ``seed``; ``protocol.inner_fold`` lets another fold
    (or draw) validate, with the same test side: see `inner`. ``protocol.train_on`` adds validation, or all
    clips, to the train side at the end, after every check.

    Raises
    ------
    UserError : an absent column (with the nearest right name), a clip without label or with a doubled id, one
        class only, too few clusters, an empty side, a class that train lacks, a group value on two sides (by
        a column of folds), blocks or values left out without groups to take them from.
    """
    _check(table, data)
    seed = seed_of(protocol, seed)
    ordered = table.sort_values("clip_id", ignore_index=True)
    if protocol.kind == "blocks":
        for name, numbers in (
            ("test_values", protocol.test_values),
            ("validation_values", protocol.validation_values),
        ):
            if not data.groups or len(numbers) != len(data.groups) or min(numbers) < 1:
                raise UserError(
                    f"protocol.{name} = {list(numbers)}: blocks need one number >= 1 for each of data.groups"
                    f" = {list(data.groups)}"
                )
        divided = splits.by_groups(ordered, data.groups, protocol, seed)
    elif protocol.kind == "leave_one_out":
        if not data.groups:
            raise UserError(
                "data.groups = []: leave_one_out leaves out values of the first of data.groups; name a column"
                " there"
            )
        what = f"group {data.groups[0]}"
        divided = _rotated(ordered, ordered[data.groups[0]], seed, protocol.inner_fold, what)
    elif protocol.kind == "folds":
        divided = _rotated(
            ordered,
            _folds(ordered, data, protocol),
            seed,
            protocol.inner_fold,
            f"folds of column {protocol.column}" if protocol.column else "folds",
        )
    else:
        if protocol.column:
            splits.check_inner(protocol.inner_fold, 1, f"the column {protocol.column}")
        side = (
            _column_sides(ordered, protocol.column)
            if protocol.column
            else _drawn_sides(ordered, data, protocol, seed)
        )
        divided = _sides(ordered, side)
    splits.check_disjoint(divided, data.groups)
    if data.label:
        _check_classes(divided, data.label)
    if data.label and data.labels == "several":
        stratified.check_tags(divided, data.label)
    return splits.trained_on(divided, ordered, data.groups, protocol)


def seed_of(protocol: Protocol, seed: int) -> int:
    """The seed of the split of a training with ``seed``."""
    return seed if protocol.split_seed is None else protocol.split_seed


def leaky_windows(
    n_windows: Mapping[str, int], shares: Mapping[str, float], seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Distribute single windows over the splits, whatever clip they come from. For demonstration of leakage
    only: NEVER report such a score.

    Parameters
    ----------
    n_windows : clip id -> windows.
    shares : test and validation; train takes the rest.

    Returns
    -------
    dict side -> clip id -> numbers of its windows there, increasing
    """
    every = [(clip, number) for clip in sorted(n_windows) for number in range(n_windows[clip])]
    order = np.random.default_rng((FIXED_SEED, seed)).permutation(len(every))
    first, second = (
        round(share * len(every)) for share in (shares["test"], shares["test"] + shares["validation"])
    )
    dealt: dict[str, dict[str, np.ndarray]] = {}
    for side, some in (
        ("train", order[second:]),
        ("validation", order[first:second]),
        ("test", order[:first]),
    ):
        numbers: dict[str, list[int]] = {}
        for index in sorted(some):
            numbers.setdefault(every[index][0], []).append(every[index][1])
        dealt[side] = {clip: np.array(mine) for clip, mine in numbers.items()}
    if not all(dealt.values()):
        raise UserError(f"split: {len(every)} windows are too few for three splits")
    return dealt


# ---------------------------------------------------------------- kinds


def _drawn_sides(table: pd.DataFrame, data: DataSet, protocol: Protocol, seed: int) -> pd.Series:
    cluster = _clusters(table, data.groups)
    if cluster.nunique() < 3:
        raise UserError(
            f"split: {cluster.nunique()} groups by {list(data.groups)} are too few for three splits: a group"
            " cannot be divided"
        )
    label = _strata(table, data, protocol)
    deal = stratified.deal if protocol.stratified and data.labels == "several" else _deal
    shares = {"test": protocol.test_share, "rest": 1 - protocol.test_share}
    test_first = deal(cluster, label, shares, np.random.default_rng(FIXED_SEED), at_least=(1, 2))
    rest = test_first == "rest"
    share = protocol.validation_share / (1 - protocol.test_share)
    shares = {"validation": share, "train": 1 - share}
    draw = (protocol.inner_fold,) if protocol.inner_fold else ()
    later = deal(cluster[rest], label[rest], shares, np.random.default_rng((FIXED_SEED, seed, *draw)))
    return pd.concat([test_first[~rest], later]).reindex(table.index)


def _strata(table: pd.DataFrame, data: DataSet, protocol: Protocol) -> pd.Series:
    """The class of each clip, of which every side gets a like share; without stratification all are alike."""
    if protocol.stratified and not data.label:
        raise UserError(
            "protocol.stratified = true: it balances the classes of data.label, which is missing; add it, or"
            " set false"
        )
    if not protocol.stratified:
        return pd.Series("", index=table.index)
    return table[data.label] if data.labels == "several" else table[data.label].astype(str)


def _column_sides(table: pd.DataFrame, column: str) -> pd.Series:
    if column not in table.columns:
        raise UserError(
            f'protocol.column = "{column}": the clip table has no such'
            f" column{nearest(column, list(table.columns))}"
        )
    side = table[column].astype(str)
    wrong = ~side.isin(SIDES)
    if wrong.any():
        unknown, clips = ", ".join(sorted(side[wrong].unique())[:5]), ", ".join(table["clip_id"][wrong][:5])
        raise UserError(
            f'protocol.column = "{column}": values must be {", ".join(SIDES)}, but got {unknown} (of {clips})'
        )
    return side


def _folds(table: pd.DataFrame, data: DataSet, protocol: Protocol) -> pd.Series:
    if protocol.column:
        if protocol.column not in table.columns:
            known = list(table.columns)
            raise UserError(
                f'protocol.column = "{protocol.column}": the clip table has no such'
                f" column{nearest(protocol.column, known)}"
            )
        return table[protocol.column]
    cluster = _clusters(table, data.groups)
    if cluster.nunique() < protocol.folds:
        raise UserError(
            f"protocol.folds = {protocol.folds}: must be at most {cluster.nunique()}, the number of groups by"
            f" {list(data.groups)}; use fewer folds"
        )
    label = _strata(table, data, protocol)
    shares = {f"{number:03}": 1 / protocol.folds for number in range(protocol.folds)}
    deal = stratified.deal if protocol.stratified and data.labels == "several" else _deal
    return deal(cluster, label, shares, np.random.default_rng(FIXED_SEED))


def _rotated(table: pd.DataFrame, fold: pd.Series, seed: int, inner: int, what: str) -> splits.Splits:
    if fold.isna().any():
        raise UserError(f"split: {what}: no value for {', '.join(table['clip_id'][fold.isna()][:5])}")
    # a CSV may mix 1 and "1a"
    values = sorted(fold.unique(), key=lambda value: (isinstance(value, str), value))
    if len(values) < 3:
        raise UserError(
            f"split: {what}: {len(values)} values, but one each for test, validation and train are needed"
        )
    splits.check_inner(inner, len(values) - 1, what)
    test, validation = values[seed % len(values)], values[(seed + 1 + inner) % len(values)]
    side = (
        pd.Series("train", index=table.index)
        .mask(fold == test, "test")
        .mask(fold == validation, "validation")
    )
    return _sides(table, side)


def _sides(table: pd.DataFrame, side: pd.Series) -> splits.Splits:
    tables = {name: table[side == name].reset_index(drop=True) for name in SIDES}
    if empty := [name for name, rows in tables.items() if rows.empty]:
        raise UserError(
            f"split: the {empty[0]} split is empty: {len(table)} clips are too few, or their groups too large"
        )
    return splits.Splits(**tables, dropped=0)


# ---------------------------------------------------------------- clusters


def _clusters(table: pd.DataFrame, groups: Sequence[str]) -> pd.Series:
    """A number per clip.

    Clips that share a value of any group column, directly or through others, have the same.
    """
    parent = list(range(len(table)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for column in groups:
        first: dict[object, int] = {}
        for index, value in enumerate(table[column]):
            low, high = sorted((root(first.setdefault(value, index)), root(index)))
            parent[high] = low
    return pd.Series([root(index) for index in range(len(table))], index=table.index)


def _deal(
    cluster: pd.Series,
    label: pd.Series,
    shares: Mapping[str, float],
    random: np.random.Generator,
    at_least: Sequence[int] = (),
) -> pd.Series:
    """Whole clusters to bins, so that every bin comes near to its share of every class.

    Largest first, equal sizes in random order; each goes where it leaves the smallest sum of squared
    distances between what the bins have of each class and what they should. A bin ends with ``at_least`` so
    many clusters (1), however small its share: the last ones go where they are lacking.
    """
    row, clusters = pd.factorize(cluster, sort=True)
    column, labels = pd.factorize(label, sort=True)
    shape, names = (len(clusters), len(labels)), list(shares)
    cells = np.bincount(row * len(labels) + column, minlength=len(clusters) * len(labels))
    classes = cells.reshape(shape).astype(np.float64)  # how many clips, (clusters, classes)
    wanted = np.outer(list(shares.values()), classes.sum(axis=0))  # (bins, classes)
    have = np.zeros_like(wanted)
    order = random.permutation(len(classes))
    order = order[np.argsort(-classes[order].sum(axis=1), kind="stable")]
    chosen = np.empty(len(classes), int)
    scale = 1 / np.maximum(wanted, 1e-9)
    lacking = list(at_least or [1] * len(names))
    sizes, of_all = classes.sum(axis=1).tolist(), wanted.sum(axis=1).tolist()
    full = [0.0] * len(names)  # clips of each bin
    # Plain numbers take a tenth of the time of arrays this small, and give the same bits: numpy adds fewer
    # than 8 numbers in their order, and zeros change no sum.
    present: list[list[tuple[int, float]]] = [
        [] for _ in range(len(classes))
    ]  # (class, clips) of each cluster
    for cluster_row, kind in zip(*(part.tolist() for part in np.nonzero(classes)), strict=True):
        present[cluster_row].append((kind, classes.item(cluster_row, kind)))
    for left, index in zip(range(len(order), 0, -1), order.tolist(), strict=True):
        last = left <= sum(lacking)
        # how full each bin would be, relative to its share; the class sums and the total both count
        if (len(labels) < 8 or len(present[index]) < 3) and min(of_all) > 0:
            places = []
            for bin_ in range(len(names)):
                cost = 0.0
                for kind, size in present[index]:
                    lead = 2 * (have.item(bin_, kind) - wanted.item(bin_, kind)) + size
                    cost += lead * size * scale.item(bin_, kind)
                cost = round(cost * 1e9) / 1e9  # as np.round does it
                places.append((math.inf if last and not lacking[bin_] else cost, full[bin_] / of_all[bin_]))
            best = places.index(min(places))
        else:
            costs = ((2 * (have - wanted) + classes[index]) * classes[index] * scale).sum(axis=1)
            if last:
                costs = np.where(np.array(lacking) > 0, costs, np.inf)
            total = np.array(full) / np.array(of_all)
            best = int(np.lexsort((total, np.round(costs, 9)))[0])
        for kind, size in present[index]:
            have[best, kind] += size
        chosen[index] = best
        full[best] += sizes[index]
        lacking[best] = max(lacking[best] - 1, 0)
    return pd.Series([names[number] for number in chosen[row].tolist()], index=cluster.index)


# ---------------------------------------------------------------- checks


def _check(table: pd.DataFrame, data: DataSet) -> None:
    known = list(map(str, table.columns))
    if "clip_id" not in known:
        raise UserError(f"split: the clip table has no column clip_id; it has {', '.join(known)}")
    labels = [("label", data.label)] if data.label else []
    for setting, column in [*labels, *(("groups", group) for group in data.groups)]:
        if column not in known:
            raise UserError(
                f'data.{setting} = "{column}": the clip table has no such column{nearest(column, known)}; it'
                f" has {', '.join(known)}"
            )
        blank = [value for value in table[column].unique() if not str(value).strip()]
        missing = table["clip_id"][table[column].isna() | table[column].isin(blank)]
        if len(missing):
            raise UserError(
                f"split: {len(missing)} clips have no {column}: {', '.join(map(str, missing[:5]))}"
            )
    twice = table["clip_id"][table["clip_id"].duplicated()].unique()
    if len(twice):
        raise UserError(
            f"split: every clip_id must be unique, but there are duplicates: {', '.join(map(str, twice[:5]))}"
        )
    if data.label and data.labels == "several":
        _check_tags(table, data)
        return
    classes = sorted(table[data.label].astype(str).unique()) if data.label else []
    if data.label and len(classes) < 2:
        raise UserError(
            f'data.label = "{data.label}": every clip has the same class'
            f" ({classes[0] if classes else 'none'}); at least two are needed"
        )


def _check_tags(table: pd.DataFrame, data: DataSet) -> None:
    for clip, cell in zip(table["clip_id"], table[data.label], strict=True):
        if not isinstance(cell, tuple):
            raise UserError(
                f'data.labels = "several": column {data.label} of data.dataset = "{data.dataset}" must hold'
                f" tuples of classes, but clip {clip} has {show(cell)}"
            )
    if not tags.classes_of(table[data.label]):
        raise UserError(f'data.label = "{data.label}": no clip has a tag; at least one is needed')


def _check_classes(divided: splits.Splits, label: str) -> None:
    """A class of validation or test that train never shows cannot be learned, and its errors say nothing."""
    known = set(tags.classes_of(divided.train[label]))
    for name in ("validation", "test"):
        rows = divided.sides()[name]
        absent = rows[[not known.issuperset(tags.classes_of([cell])) for cell in rows[label]]]
        if len(absent):
            classes = ", ".join(name for name in tags.classes_of(absent[label]) if name not in known)
            clips = ", ".join(map(str, absent["clip_id"][:5]))
            hint = " (data.labels_left_out)" if isinstance(absent[label].iloc[0], tuple) else ""
            raise UserError(
                f"split: {label} {classes} of {name} ({len(absent)} clips: {clips}) is absent from train;"
                f" assign more groups to train, or leave the class out{hint}"
            )
