"""The clips of a data set that an experiment is about: ``data.subset``, and what of them was recorded.

A published set is often here in part only, and an experiment on a part of it must stay on that part where
somebody has all of it. ``data.subset`` says which: for a column of the clip table the values that are read,
each of which must occur, or how many different values must remain. `recorded` writes the same in
``[expected.recorded.clips]``, and `differences` compares.

Conventions: values are compared as text, so that 1 and "1", true and "True" are one.

Contents: `keeps`, `applied`, `recorded`, `differences`, `other_clips`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet, Subset
from audiomtl.settings.validation import nearest, show

CLIPS = "clip_id"
LISTED = 24  # most values of a column that are recorded one by one
NAMED = 6  # most values that a message names


def keeps(subset: Subset, row: Mapping[str, Any]) -> bool:
    """Whether a clip can be one of the subset, as far as its known columns tell: for readers, which then need
    not read the rest of it.
    """
    return all(
        str(row[column]) in set(map(str, wanted))
        for column, wanted in subset.items()
        if column in row and not isinstance(wanted, int)
    )


def applied(table: pd.DataFrame, data: DataSet, folder: object) -> pd.DataFrame:
    """The clips that ``data.subset`` keeps, in their order.

    Parameters
    ----------
    folder : where the data set was looked for, for messages.

    Raises
    ------
    UserError : the clip table has no such column.
    MissingData : a value has no clip, or another number of values remains: this is not the data set, or not
        the part of it, that the experiment is about.
    """
    if not data.subset:
        return table
    known = list(map(str, table.columns))
    for column in data.subset:
        if column not in known:
            raise UserError(
                f"data.subset.{column}: the clips of {data.dataset} have no such column"
                f"{nearest(column, known)}; they have {', '.join(known)}"
            )
    lists = {column: wanted for column, wanted in data.subset.items() if not isinstance(wanted, int)}
    chosen = pd.Series(True, index=table.index)
    for column, values in lists.items():
        chosen &= table[column].astype(str).isin(set(map(str, values)))
    kept = table[chosen].reset_index(drop=True)
    for column, wanted in data.subset.items():
        if isinstance(wanted, int):
            _counted(table, kept, column, wanted, data, folder)
        elif absent := [value for value in wanted if str(value) not in set(kept[column].astype(str))]:
            raise MissingData(
                f"data.subset.{column}: {data.dataset} in {folder} has no clip with {_some(absent)}"
                f"{_others(table, column)}; add the missing recordings, or change data.subset"
            )
    kept.attrs |= table.attrs
    return kept


def _counted(
    table: pd.DataFrame, kept: pd.DataFrame, column: str, wanted: int, data: DataSet, folder: object
) -> None:
    """Refuse another number of values than the subset names."""
    found = kept[column].astype(str).nunique()
    if found != wanted:
        what = "clips" if column == CLIPS else f"values of {column}"
        named = "" if column == CLIPS or found > LISTED else f" ({_some(_values(kept, column))})"
        remedy = "add the missing recordings" if found < wanted else "name the values that are meant"
        raise MissingData(
            f"data.subset.{column} = {wanted}: {data.dataset} in {folder} has {found} {what}{named};"
            f" {remedy}, or change data.subset"
        )


def _others(table: pd.DataFrame, column: str) -> str:
    values = _values(table, column)
    return f", but {_some(values)}" if 0 < len(values) <= LISTED else ""


# ---------------------------------------------------------------- recorded


def recorded(table: pd.DataFrame, settings: Any) -> dict[str, Any]:
    """What the clips of an experiment are, in the form of ``data.subset``: the number of clips, and the
    values, or if they are many their number, of its label, groups and column of folds.
    """
    data, protocol = settings.data, getattr(settings, "protocol", None)
    asked = (*data.subset, data.label, *data.groups, getattr(protocol, "column", "") or "")
    found: dict[str, Any] = {CLIPS: len(table)}
    for column in sorted({*asked} & {*map(str, table.columns)} - {CLIPS}):
        if table[column].map(lambda cell: isinstance(cell, (list, tuple, dict))).any():
            continue  # tags: several per clip
        values = _values(table, column)
        found[column] = values if len(values) <= LISTED else len(values)
    return found


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of two results of `recorded` differs, one line each: what is lacking now, and what is new."""
    lines = []
    for column in sorted({*then, *now}, key=lambda name: (name != CLIPS, name)):
        was, here = then.get(column), now.get(column)
        if was == here or was is None or here is None:
            continue
        if isinstance(was, int) or isinstance(here, int):
            counts = [value if isinstance(value, int) else len(value) for value in (was, here)]
            what = "clips" if column == CLIPS else f"values of {column}"
            if counts[0] != counts[1]:
                lines.append(f"{counts[1]} {what}, recorded {counts[0]}")
            continue
        lacking = [value for value in was if value not in here]
        new = [value for value in here if value not in was]
        words = [f"without {_some(lacking)}"] * bool(lacking) + [f"and also {_some(new)}"] * bool(new)
        lines.append(f"{column} {' '.join(words)}")
    return lines


def other_clips(expected: Mapping[str, Any], table: pd.DataFrame, settings: Any) -> str:
    """How clips differ from those that an ``[expected]`` was recorded on, as one line; "" where they do not,
    or where none were recorded.
    """
    then = expected.get("recorded", {}).get("clips")
    found = differences(then, recorded(table, settings)) if then else []
    return f"[expected] was recorded on other clips; here: {'; '.join(found)}" if found else ""


def _values(table: pd.DataFrame, column: str) -> list[str]:
    """Different values of a column as text, numbers in their order."""
    values = {str(value) for value in table[column]}
    return sorted(values, key=lambda text: (float(text), text) if _is_number(text) else (0.0, text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _some(values: Sequence[Any]) -> str:
    shown = [value if isinstance(value, str) else show(value) for value in values[:NAMED]]
    return ", ".join(shown) + (f" and {len(values) - NAMED} more" if len(values) > NAMED else "")
