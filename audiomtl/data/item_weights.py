"""Weights of items in the loss: a number for each train clip, from a column of the clip table.

Conventions: a weight is a finite number of at least 0. Of weight 2 a clip counts as if it stood there twice,
of weight 0 its loss is left out. Weights multiply with those of classes (`class_weights`); nothing but the
loss of train clips is weighted. Where all weights are 1, nothing is multiplied: a product by 1 may change how
TensorFlow rounds the products around it.

Contents: `check_column`, `weight_of`, `weights_of`, `check_classes`, `of_train`; `of_batch`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest, show


def check_column(column: str, columns: Iterable[Any], place: str) -> None:
    """Refuse a column that the clip table lacks.

    Parameters
    ----------
    place : the setting that names it; "" as a column names none.

    Raises
    ------
    UserError : it is not there.
    """
    known = list(map(str, columns))
    if column and column not in known:
        raise UserError(
            f'{place} = "{column}": the clip table has no such column{nearest(column, known)}; it has'
            f" {', '.join(known)}"
        )


def weight_of(value: Any, clip: Any, place: str) -> float:
    """The weight in a cell.

    Raises
    ------
    UserError : a missing value, a text, or a number below 0 or not finite.
    """
    if not isinstance(value, int | float | np.number) or not 0 <= value < np.inf:
        raise UserError(
            f"{place}: clip {clip} has {show(value) if isinstance(value, str) else value}; a weight must be a"
            " number of at least 0, and finite; correct the column, or leave the clip out"
        )
    return float(value)


def weights_of(table: pd.DataFrame, column: str, place: str = "item_weight") -> dict[str, float]:
    """The weight of each clip, by clip id; empty without a column.

    Raises
    ------
    UserError : what `check_column` and `weight_of` refuse.
    """
    check_column(column, table.columns, place)
    if not column:
        return {}
    cells = table[column].astype(object)
    return {clip: weight_of(cell, clip, place) for clip, cell in zip(table["clip_id"], cells, strict=True)}


def check_classes(train: pd.DataFrame, label: str, column: str) -> None:
    """Refuse weights of which nothing, or a class not, can be learned.

    Parameters
    ----------
    train : clips of the train split, with valid weights. label : column of classes, or of tuples of tags.

    Raises
    ------
    UserError : all train clips, or all of a class, have weight 0.
    """
    if not column:
        return
    kept = train[train[column] > 0]
    if kept.empty:
        raise UserError(
            f'item_weight = "{column}": all {len(train)} clips of the train split have weight 0; give some of'
            " them a weight above 0"
        )
    if isinstance(train[label].iloc[0], tuple):
        return  # tags: a clip without one is an example of it as well
    if absent := sorted(set(train[label].astype(str)) - set(kept[label].astype(str))):
        raise UserError(
            f'item_weight = "{column}": all train clips of {label} {absent[0]} have weight 0, so that the'
            " class cannot be learned; give one of them a weight above 0, or leave the class out"
        )


def of_train(table: pd.DataFrame, train: pd.DataFrame, column: str, label: str) -> dict[str, float]:
    """The weight of each train clip, by clip id; empty without a column, and where all are 1.

    Parameters
    ----------
    table : all clips. train : those of the train split. label : column of classes, or of tuples of tags.

    Raises
    ------
    UserError : what `weights_of` refuses in any clip, and `check_classes`.
    """
    weights = weights_of(table, column)
    check_classes(train, label, column)
    own = {clip: weights[clip] for clip in train["clip_id"]} if column else {}
    return own if set(own.values()) != {1.0} else {}


def of_batch(weights: Sequence[float] | np.ndarray) -> np.ndarray:  # (clips,) float32
    """Weights of the clips of a batch over their mean: the mean of losses that they multiply is the weighted
    mean. All 0 where every weight is.
    """
    given = np.asarray(weights, np.float64)
    mean = given.mean()
    return (given / mean if mean > 0 else np.zeros_like(given)).astype(np.float32)
