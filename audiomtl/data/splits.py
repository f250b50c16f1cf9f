"""Splits by group, before anything else is done: no song, speaker or sentence is in more than one split.

Conventions: a clip table is a DataFrame with one row per recording (``clip_id``, group columns, labels such
as ``phones``); the sides are called train, validation and test. Nothing is drawn at random: a split is a
function of the group values and the seed.

Contents: `Splits`, `by_groups`, `check_inner`, `check_disjoint`, `check_phones`, `trained_on`, `describe`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from audiomtl.errors import UserError
from audiomtl.settings.protocol import Protocol

SIDES = ("train", "validation", "test")
NAMED = 5  # how many clips an error names


@dataclass(frozen=True)
class Splits:
    """The three sides, each a clip table with an index of its own, and the number of clips that are on
    none.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    dropped: int

    def sides(self) -> dict[str, pd.DataFrame]:
        """The tables by name, in the order of `SIDES`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def by_groups(table: pd.DataFrame, groups: Sequence[str], protocol: Protocol, seed: int) -> Splits:
    """Split by whole values of every group column.

    The sorted values of group ``i`` are turned by ``(seed % rotations) * test_values[i]``; the first
    ``test_values[i]`` go to test, the next ``validation_values[i]`` to validation, the rest to train. With
    ``inner_fold`` k the k-th such part of what is left after test validates. A clip whose groups disagree on
    the side is dropped and counted.

    Parameters
    ----------
    table : DataFrame
        Clip table with ``clip_id`` and every column of ``groups``.
    groups : sequence of str
        Names of group columns.
    protocol : Protocol
        Of kind blocks: ``test_values`` and ``validation_values`` have one number for each group.
    seed : int
        Chooses the rotation, nothing else.

    Returns
    -------
    Splits
        Sides in the order of the table.

    Raises
    ------
    UserError
        On an absent group column, a missing group value, a clip id used twice, too few values, or an empty
        side.
    """
    absent = [name for name in ("clip_id", *groups) if name not in table.columns]
    if absent:
        raise UserError(
            f"split: the clip table has no column {_listed(absent)}; data.groups must be among"
            f" {_listed(table.columns)}"
        )
    twice = table["clip_id"][table["clip_id"].duplicated()].unique()
    if len(twice):
        raise UserError(f"split: every clip_id must be unique, but there are duplicates: {_some(twice)}")
    side = pd.DataFrame(index=table.index)
    for name, n_test, n_validation in zip(
        groups, protocol.test_values, protocol.validation_values, strict=True
    ):
        if table[name].isna().any():
            raise UserError(
                f"split: group {name} has no value for {_some(table['clip_id'][table[name].isna()])}"
            )
        values = sorted(table[name].unique())
        if len(values) < n_test + n_validation + 1:
            raise UserError(
                f"split: group {name} has {len(values)} values, but test_values + validation_values + 1 = "
                f"{n_test} + {n_validation} + 1 are needed"
            )
        turn = (seed % protocol.rotations) * n_test % len(values)
        turned = values[turn:] + values[:turn]
        check_inner(protocol.inner_fold, (len(values) - n_test) // n_validation, f"group {name}")
        names = ["test"] * n_test + ["train"] * (len(values) - n_test)
        first = n_test + protocol.inner_fold * n_validation
        names[first : first + n_validation] = ["validation"] * n_validation
        side[name] = table[name].map(dict(zip(turned, names, strict=True)))
    agreed = side.eq(side.iloc[:, 0], axis=0).all(axis=1)  # (clips,)
    tables = {name: table[agreed & (side.iloc[:, 0] == name)].reset_index(drop=True) for name in SIDES}
    for name, clips in tables.items():
        if clips.empty:
            raise UserError(
                f"split: the {name} split is empty: no clip has all of {_listed(groups)} in it at seed {seed}"
                f" ({int((~agreed).sum())} of {len(table)} clips dropped); change test_values,"
                " validation_values or rotations"
            )
    return Splits(**tables, dropped=int((~agreed).sum()))


def check_inner(inner: int, count: int, what: str) -> None:
    """Raise an error for a ``protocol.inner_fold`` that a split has not, of ``count`` in all."""
    if inner >= count:
        raise UserError(
            f"protocol.inner_fold = {inner}: must be below {count}, the number of inner folds by {what}"
        )


def check_disjoint(splits: Splits, groups: Sequence[str]) -> None:
    """Refuse a split in which a clip, or a value of a group column, stands on two sides; for splits from
    anywhere.

    Parameters
    ----------
    splits : Splits
        Any split, such as one by a column of folds.
    groups : sequence of str
        Columns whose values must not be shared; ``clip_id`` is always among them.

    Raises
    ------
    UserError
        Naming group, values and both sides, or a group column that is absent.
    """
    for group in ("clip_id", *groups):
        for (one, first), (other, second) in combinations(splits.sides().items(), 2):
            for name, table in ((one, first), (other, second)):
                if group not in table.columns:
                    raise UserError(
                        f"split: the {name} split has no column {group}; its columns are"
                        f" {_listed(table.columns)}"
                    )
            shared = sorted(set(first[group]) & set(second[group]))
            if shared:
                raise UserError(
                    f"split: {group} {_some(shared)} is in both {one} and {other}; a group must stay in one"
                    " split"
                )


def check_phones(splits: Splits) -> None:
    """Refuse a phone of validation or test that train never shows: it cannot be learned, and its errors say
    nothing.

    Raises
    ------
    UserError
        Naming each such phone and side, the number of clips that have it, and the first of them.
    """
    known = _types(splits.train["phones"])
    faults = []
    for name in ("validation", "test"):
        table = splits.sides()[name]
        for phone in sorted(_types(table["phones"]) - known):
            clips = [
                clip
                for clip, phones in zip(table["clip_id"], table["phones"], strict=True)
                if phone in phones
            ]
            faults.append(f'"{phone}" of {name} ({len(clips)} clips: {_some(clips)})')
    if faults:
        raise UserError(
            f"split: phones absent from train: {'; '.join(faults)}; merge them with others, or assign more"
            " values to train"
        )


def trained_on(divided: Splits, table: pd.DataFrame, groups: Sequence[str], protocol: Protocol) -> Splits:
    """The division with the train side that ``protocol.train_on`` asks for.

    Validation and test keep their clips. Where blocks drop clips, those come back that share no group with
    test.
    """
    if protocol.train_on == "train":
        return divided
    if protocol.train_on == "all":
        return replace(divided, train=table.reset_index(drop=True), dropped=0)
    kept = table["clip_id"].isin([*divided.train["clip_id"], *divided.validation["clip_id"]])
    if protocol.kind == "blocks":
        of_test = [table[group].isin(set(divided.test[group])) for group in groups]
        kept |= ~np.any(of_test, axis=0)
    return replace(
        divided,
        train=table[kept].reset_index(drop=True),
        dropped=len(table) - int(kept.sum()) - len(divided.test),
    )


def describe(splits: Splits, groups: Sequence[str]) -> dict[str, float | int]:
    """Numbers of a split, to be printed and logged.

    Returns
    -------
    dict
        ``SIDE/clips``, ``SIDE/GROUP`` (different values of the group on that side), ``dropped``, and where
        the tables have a column ``words`` (lists of str) ``test/unseen_words_share``: the share in [0, 1] of
        the different words of test that train has not.
    """
    numbers: dict[str, float | int] = {"dropped": splits.dropped}
    for name, table in splits.sides().items():
        numbers[f"{name}/clips"] = len(table)
        for group in groups:
            numbers[f"{name}/{group}"] = int(table[group].nunique())
    if "words" in splits.train.columns and "words" in splits.test.columns:
        words = _types(splits.test["words"])
        numbers["test/unseen_words_share"] = (
            len(words - _types(splits.train["words"])) / len(words) if words else 0.0
        )
    return numbers


def _types(lists: Iterable[Iterable[str] | None]) -> set[str]:
    """The different items of lists; a missing one (None, NaN) has none."""
    return {item for items in lists if isinstance(items, Iterable) for item in items}


def _listed(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name in names)


def _some(names: Iterable[object]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return _listed(names[:NAMED]) + more
