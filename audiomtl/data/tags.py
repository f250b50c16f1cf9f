"""Several labels per clip (tags): from cells of a table to tuples of class names, and to rows of 0 and 1.

Conventions: a cell of the clip table is a sorted tuple of different class names; () is a clip without tags.
Classes are sorted; column k of a row of 0 and 1 is class k.

Contents: `of_cells`, `of_columns`, `as_tags`; `classes_of`, `target`, `held`, `THRESHOLD`.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.errors import UserError
from audiomtl.settings.validation import show

THRESHOLD = 0.5  # a tag holds from this probability on
OTHERS = (";", "|", ",", "/", "\t")  # separators that are looked for where the stated one is in no cell
TRUE, FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")
Tags = tuple[str, ...]


# ---------------------------------------------------------------- cells


def as_tags(value: Any) -> Tags:
    """A list of names as a cell of the clip table.

    Raises
    ------
    ValueError : a text, which would be read letter by letter; items that are not names.
    """
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list of names such as ["rain", "wind"]')
    for item in value:
        if type(item) not in (str, int):
            raise ValueError(f"every item must be a name, but one is {show(item)}")
        if not str(item).strip():
            raise ValueError("has an empty name")
    return tuple(sorted({str(item).strip() for item in value}))


def of_cells(column: pd.Series, separator: str, place: str) -> list[Tags | None]:
    """Cells of a column: lists, JSON lists, or text whose names stand between separators. None: a missing
    cell.

    Parameters
    ----------
    separator : "" where there is none: then text must be a JSON list.
    place : file, at the beginning of messages.

    Raises
    ------
    UserError : a cell that is neither, with row and value; a separator that is in no cell while another is.
    """
    cells = column.astype(object).tolist()
    texts = [cell for cell in cells if isinstance(cell, str) and not cell.strip().startswith("[")]
    other = next((one for one in OTHERS if any(one in text for text in texts)), "")
    if separator and other and not any(separator in text for text in texts):
        raise UserError(
            f"{place}: data.label_separator = {show(separator)}: no cell of {column.name} contains it, but"
            f" {sum(other in text for text in texts)} of {len(texts)} contain {show(other)}; set that, or"
            ' write a JSON list such as ["rain", "wind"]'
        )
    found = list[Tags | None]()
    for row, cell in enumerate(cells, start=1):
        try:
            found.append(_tags(cell, separator))
        except ValueError as error:
            raise UserError(f"{place}: row {row}: {column.name} = {show(cell)}: {error}") from None
    return found


def _tags(cell: Any, separator: str) -> Tags | None:
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or cell is pd.NA:
        return None
    if not isinstance(cell, str):
        return as_tags(cell)
    text = cell.strip()
    if not text:
        return None
    if text.startswith("["):
        try:
            return as_tags(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(f'begins with "[", but is no JSON list ({error.msg} at {error.pos})') from None
    if not separator:
        raise ValueError('must be a list such as ["rain", "wind"]; or set data.label_separator, such as ";"')
    return tuple(sorted({part.strip() for part in text.split(separator)} - {""}))


def of_columns(table: pd.DataFrame, columns: Sequence[str], place: str) -> list[Tags | None]:
    """One column of 0 and 1 per class. None: a row in which one of them is missing.

    Raises
    ------
    UserError : another value, with row, column and value.
    """
    holds = np.zeros((len(table), len(columns)), bool)
    lacking = np.zeros(len(table), bool)
    for number, column in enumerate(columns):
        for row, cell in enumerate(table[column].astype(object).tolist()):
            if cell is None or cell is pd.NA or cell != cell or (isinstance(cell, str) and not cell.strip()):
                lacking[row] = True
            elif str(cell).strip() in TRUE:
                holds[row, number] = True
            elif str(cell).strip() not in FALSE:
                raise UserError(
                    f"{place}: row {row + 1}: {column} = {show(cell)}: must be 0 or 1, because data.label"
                    " lists this column"
                )
    names = np.array(columns, object)
    return [None if lacks else tuple(sorted(names[row])) for row, lacks in zip(holds, lacking, strict=True)]


# ---------------------------------------------------------------- classes


def classes_of(column: Iterable[Any]) -> tuple[str, ...]:
    """The sorted classes of a column of classes, or of tuples of them."""
    found = set[str]()
    for value in column:
        found.update(value if isinstance(value, tuple) else (str(value),))
    return tuple(sorted(found))


def target(value: Any, classes: Sequence[str]) -> Any:
    """What a network learns of a cell: the number of its class; of tags (classes,) float32, 0 and 1. A tag
    that is not among the classes has no column.
    """
    if not isinstance(value, tuple):
        return classes.index(str(value))
    return np.array([name in value for name in classes], np.float32)


def held(classes: Sequence[str], values: Any) -> list[str]:
    """Names of the classes whose probability reaches `THRESHOLD`, or that a row of 0 and 1 has."""
    return [name for name, value in zip(classes, values, strict=True) if value >= THRESHOLD]
