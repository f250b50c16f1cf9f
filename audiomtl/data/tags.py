"""Several labels per clip (tags): from cells of a table to tuples of class names, and to rows of 0 and 1.

Conventions: a cell of the clip table is a sorted tuple of different class names; () is a clip without tags.
Classes are sorted; column k of a row of 0 and 1 is class k.

Contents: `labelled`, `of_cells`, `of_columns`, `as_tags`; `classes_of`, `target`, `held`, `THRESHOLD`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import cells, identity
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest, show

THRESHOLD = 0.5  # a tag holds from this probability on
OTHERS = (";", "|", ",", "/", "\t")  # separators that are looked for where the stated one is in no cell
TRUE, FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")
Tags = tuple[str, ...]


# ---------------------------------------------------------------- cells


def labelled(table: pd.DataFrame, data: Any, place: str, names: Sequence[str] = ()) -> pd.DataFrame:
    """A table as a person wrote it, with a tuple of classes in each cell of the label's column where clips
    have several labels, None where it is missing.

    Parameters
    ----------
    data : `Tagged` settings. place : what messages begin with. names : how they call rows; () is "row 1" ...

    Raises
    ------
    UserError : a cell or column that is not of this form, a list where each clip has one class, an unknown
        column or class.
    """
    columns = list(map(str, table.columns))
    if data.labels == "one":
        if data.label in columns:
            _one_class_each(table[data.label], place, names)
        return table
    for column in data.label_columns or (data.label,):
        if column not in columns:
            raise UserError(
                f'{place}: data.label = "{column}": no such column{nearest(column, columns)}; it has'
                f" {', '.join(columns)}"
            )
    if data.label_columns and data.label in columns:
        raise UserError(
            f'{place}: has a column "{data.label}" already, which would be made of {len(data.label_columns)}'
            " columns of data.label; rename it"
        )
    if data.label_columns:
        cells_of = of_columns(table, data.label_columns, place, names)
    else:
        cells_of = of_cells(table[data.label], data.label_separator, place, names)
    if data.labels_left_out:
        known = classes_of(cell for cell in cells_of if cell is not None)
        for name in data.labels_left_out:
            if name not in known and (hint := nearest(name, known)):  # without one: another table has it
                raise UserError(f'{place}: data.labels_left_out: no clip has the class "{name}"{hint}')
        left_out = set(data.labels_left_out)
        cells_of = [
            None if cell is None else tuple(x for x in cell if x not in left_out) for cell in cells_of
        ]
    attrs, table = dict(table.attrs), table.copy()
    table[data.label] = pd.Series(cells_of, index=table.index, dtype=object)
    table.attrs = attrs
    return table


def _one_class_each(column: pd.Series, place: str, names: Sequence[str]) -> None:
    """Refuse lists where one class is meant."""
    for row, cell in enumerate(column):
        if isinstance(cell, list | tuple | np.ndarray):
            raise UserError(
                f'{place}: {_row(row, names)}: {column.name} is a list, but data.labels = "one"; set'
                ' data.labels = "several" to learn several labels per clip'
            )


def _row(row: int, names: Sequence[str]) -> str:
    return names[row] if names else f"row {row + 1}"


def as_tags(value: Any) -> Tags:
    """A list of names, or a JSON list, as a cell of the clip table.

    Raises
    ------
    ValueError : a text, which would be read letter by letter; items that are no names.
    """
    return tuple(sorted({identity.clean(name) for name in cells.read(value, "labels")}))


def of_cells(column: pd.Series, separator: str, place: str, names: Sequence[str] = ()) -> list[Tags | None]:
    """Cells of a column: lists, JSON lists, or text whose names stand between separators. None: a missing
    cell.

    Parameters
    ----------
    separator : "" where there is none: then text must be a JSON list.

    Raises
    ------
    UserError : a cell that is neither, with row and value; a separator that is in no cell while another is.
    """
    values = column.astype(object).tolist()
    texts = [cell for cell in values if isinstance(cell, str) and not cell.strip().startswith("[")]
    other = next((one for one in OTHERS if any(one in text for text in texts)), "")
    if separator and other and not any(separator in text for text in texts):
        raise UserError(
            f"{place}: data.label_separator = {show(separator)}: no cell of {column.name} contains it, but"
            f" {sum(other in text for text in texts)} of {len(texts)} contain {show(other)}; set that, or"
            ' write a JSON list such as ["rain", "wind"]'
        )
    found = list[Tags | None]()
    for row, cell in enumerate(values):
        try:
            found.append(_tags(cell, separator))
        except ValueError as error:
            raise UserError(f"{place}: {_row(row, names)}: {column.name}: {error}") from None
    return found


def _missing(cell: Any) -> bool:
    if isinstance(cell, list | tuple | np.ndarray):
        return False
    return not cell.strip() if isinstance(cell, str) else bool(pd.isna(cell))


def _tags(cell: Any, separator: str) -> Tags | None:
    if _missing(cell):
        return None
    if not isinstance(cell, str) or cell.strip().startswith("["):
        return as_tags(cell)
    if not separator:
        raise ValueError(
            f'{show(cell)}: must be a list such as ["rain", "wind"]; or set data.label_separator, such as ";"'
        )
    return tuple(sorted({identity.clean(part) for part in cell.split(separator)} - {""}))


def of_columns(
    table: pd.DataFrame, columns: Sequence[str], place: str, names: Sequence[str] = ()
) -> list[Tags | None]:
    """One column of 0 and 1 per class. None: a row in which one of them is missing.

    Raises
    ------
    UserError : another value, with row, column and value.
    """
    holds = np.zeros((len(table), len(columns)), bool)
    lacking = np.zeros(len(table), bool)
    for number, column in enumerate(columns):
        for row, cell in enumerate(table[column].astype(object).tolist()):
            if _missing(cell):
                lacking[row] = True
            elif str(cell).strip() in TRUE:
                holds[row, number] = True
            elif str(cell).strip() not in FALSE:
                raise UserError(
                    f"{place}: {_row(row, names)}: {column} = {show(cell)}: must be 0 or 1, because"
                    " data.label lists this column"
                )
    classes = np.array([identity.clean(column) for column in columns], object)
    return [None if lacks else tuple(sorted(classes[row])) for row, lacks in zip(holds, lacking, strict=True)]


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
