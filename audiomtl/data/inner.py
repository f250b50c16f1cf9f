"""The inner folds of a study: its trials validate on them in turn, and its test fold stays unseen.

A study uses one outer split, that of ``study_seed``. Its test side is never scored and never trained on by a
trial. Inner fold 0 is the validation side of that split; in inner fold k another part of what is left
validates (``protocol.inner_fold = k``), and train is the rest. What a study has seen is therefore every clip
but those of its test side.

Contents: `has_folds`, `inner_folds`, `inner_splits`, `unseen_seeds`.
"""

from collections.abc import Iterable

import pandas as pd

from audiomtl.data import protocols
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.protocol import Protocol

DRAWS = 5  # validation sides of a protocol that draws them, where nothing else is asked for
MOST_TRIED = 100  # draws, some of which may be alike


def has_folds(protocol: Protocol) -> bool:
    """Whether every clip but those of test validates once in the inner folds; else they are draws."""
    if protocol.leaky:
        return False
    return protocol.kind in ("folds", "leave_one_out") or (
        protocol.kind == "blocks" and protocol.rotations > 1
    )


def inner_folds(
    table: pd.DataFrame, data: DataSet, protocol: Protocol, study_seed: int, *, most: int | None = None
) -> dict[int, Splits]:
    """The inner folds by number, which is their ``protocol.inner_fold``.

    Number 0 is what `protocols.divide` makes of the protocol itself. A later one that cannot be made, because
    a side would be empty or train would lack a class, is left out, as is a draw that equals an earlier one.

    Parameters
    ----------
    table : clip table, as of `protocols.divide`.
    most : largest number of them; by default all, of a protocol that draws its sides `DRAWS`.

    Raises
    ------
    UserError : the protocol itself cannot be made.
    """
    draws = protocol.kind == "split" and not protocol.column
    wanted = most if most is not None else DRAWS if draws else count(table, data, protocol)
    found = {0: protocols.divide(table, data, protocol.model_copy(update={"inner_fold": 0}), study_seed)}
    number = 0
    while len(found) < wanted and number < count(table, data, protocol) - 1:
        number += 1
        changed = protocol.model_copy(update={"inner_fold": number})
        try:
            sides = protocols.divide(table, data, changed, study_seed)
        except UserError:
            continue
        if not any(
            sides.validation["clip_id"].equals(other.validation["clip_id"]) for other in found.values()
        ):
            found[number] = sides
    return found


def count(table: pd.DataFrame, data: DataSet, protocol: Protocol) -> int:
    """How many inner folds a protocol has, those that cannot be made among them."""
    if protocol.leaky or (protocol.kind == "split" and protocol.column):
        return 1
    if protocol.kind == "split":
        return MOST_TRIED
    if protocol.kind == "blocks":
        sizes = zip(data.groups, protocol.test_values, protocol.validation_values, strict=True)
        return min((int(table[group].nunique()) - test) // held for group, test, held in sizes)
    if protocol.kind == "folds" and not protocol.column:
        return protocol.folds - 1
    column = protocol.column if protocol.kind == "folds" else data.groups[0]
    return int(table[column].nunique()) - 1


def inner_splits(
    table: pd.DataFrame, data: DataSet, protocol: Protocol, study_seed: int, *, most: int | None = None
) -> list[Splits]:
    """The sides of `inner_folds`, in the order of their numbers."""
    return list(inner_folds(table, data, protocol, study_seed, most=most).values())


def unseen_seeds(
    table: pd.DataFrame, data: DataSet, protocol: Protocol, study_seed: int, seeds: Iterable[int]
) -> list[int]:
    """Those of ``seeds`` whose test clips no trial of the study has trained on or validated on.

    Clips that share a group value with a clip of the study's train or validation sides count as seen.

    Raises
    ------
    UserError : as of `protocols.divide`.
    """
    if protocol.leaky:
        return []
    seen: dict[str, set[object]] = {}
    for divided in inner_splits(table, data, protocol, study_seed):
        for rows in (divided.train, divided.validation):
            for column in ("clip_id", *data.groups):
                seen.setdefault(column, set()).update(rows[column])
    found = []
    for seed in seeds:
        test = protocols.divide(table, data, protocol.model_copy(update={"inner_fold": 0}), seed).test
        if not any(test[column].isin(values).any() for column, values in seen.items()):
            found.append(seed)
    return found
