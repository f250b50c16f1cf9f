"""The base of every settings table, the types of its fields, and fields that only some kinds use.

Conventions: every table is frozen, forbids unknown keys and converts nothing ("1" is no number). A key that
the chosen kinds use has no default, so that a file is the whole record; one that they do not use may be left
out, and is None then. Units stand in the names: ``_seconds``, ``_hz``, ``_db``. A count of samples or frames
says so.

Contents: `Table`, `used_when`, `conditions_of`, `uses`, `used_values`, `ABOVE_0`; the types `Strings`,
`Integers`, `Count`, `Positive`, `NotNegative`, `Share`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Strings = Annotated[tuple[str, ...], Strict(False)]
Integers = Annotated[tuple[int, ...], Strict(False)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

ABOVE_0 = "above 0"  # in a condition of `used_when`: any number above 0

Condition = Mapping[str, Any]  # setting of the same table -> its value, or a tuple of values


def used_when(*conditions: Condition, description: str) -> Any:
    """A field that is used when one of some conditions holds, and may be left out of the file otherwise.

    Parameters
    ----------
    conditions : each ``{setting: value}`` or ``{setting: (value, value)}``; all settings in one must have
        such a value. A setting is one of the field's own table (``"name"``), or with its whole path one of
        another (``"head.kind"``).
    """
    return Field(None, description=description, json_schema_extra={"used_when": list(conditions)})  # type: ignore[arg-type]


def conditions_of(field: FieldInfo) -> list[Condition]:
    """Conditions under which a field is used; none where it always is."""
    extra = field.json_schema_extra
    return extra.get("used_when", []) if isinstance(extra, dict) else []  # type: ignore[return-value]


def uses(table: BaseModel, name: str, whole: BaseModel) -> str:
    """Why the field ``name`` of a table is used, such as ``name = "sgd"``; nothing where it is not.

    Parameters
    ----------
    whole : the settings of which the table is a part.
    """
    for condition in conditions_of(type(table).model_fields[name]):
        values = {
            path: _value(table if path in type(table).model_fields else whole, path) for path in condition
        }
        if all(_meets(values[path], wanted) for path, wanted in condition.items()):
            return ", ".join(f"{path} = {json.dumps(value)}" for path, value in values.items())
    return ""


def _value(table: Any, path: str) -> Any:
    for part in path.split("."):
        table = getattr(table, part, None)
    return table


def _meets(value: Any, wanted: Any) -> bool:
    if wanted == ABOVE_0:
        return value is not None and value > 0
    return value in wanted if isinstance(wanted, tuple) else value == wanted


class Table(BaseModel):
    """One table of a settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _used_keys_are_given(self) -> Self:
        for path, table, name in _fields(self):
            if getattr(table, name) is None and (reason := uses(table, name, self)):
                raise PydanticCustomError(
                    "needed", "it is needed with {reason}", {"path": path, "reason": reason}
                )
        return self


def _fields(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, BaseModel, str]]:
    """(path, table that has it, its name there) of every field of a table and of the tables in it."""
    for name in type(table).model_fields:
        yield f"{prefix}{name}", table, name
        value = getattr(table, name)
        tables = (
            {f"{name}.{key}": inner for key, inner in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        for place, inner in tables.items():
            if isinstance(inner, Table):
                yield from _fields(inner, f"{prefix}{place}.")


def used_values(table: Table) -> dict[str, Any]:
    """Values of a table without those that its kind does not use."""
    fields = type(table).model_fields
    kept = {name for name, field in fields.items() if not conditions_of(field) or uses(table, name, table)}
    return table.model_dump(include=kept)
