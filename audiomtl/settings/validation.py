"""Validation messages: pydantic's errors as one line with path, value, rule and the closest valid name.

A *setting path* is the dotted name of one setting (``optimizer.clipnorm``); items of lists are ``seeds[0]``.

Contents: `first_error`, `error_paths`, `nearest`, `show`.
"""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from audiomtl.settings.fields import plain

OF_A_LIST = ("too_short", "float_type", "int_type")  # rules that those of a list's items say better
SHOWN = 80  # characters of a value in a message
RULES = {  # pydantic's name of a rule -> the rule in plain words
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "list_type": "must be a list in square brackets",
    "missing": "is missing; add it: a setting that is used has no default",
    "model_attributes_type": "must be a table",
    "model_type": "must be a table",
    "string_type": "must be text in quotes",
    "too_short": "must have a length of at least {min_length}",
    "tuple_type": "must be a list in square brackets",
}


def first_error(error: ValidationError, schema: Any) -> str:
    """The first error to fix as one line, and the number of further errors.

    Parameters
    ----------
    schema : the class that refused the table.
    """
    # path -> (error, class of the table it stands in); a later one is the wider rule
    faults: dict[str, tuple[dict[str, Any], Any]] = {}
    for one in error.errors():
        parts, table = _trace(one["loc"], schema)
        if one["type"] == "needed":
            parts = [*parts, one["ctx"]["path"]]
        if one["type"] == "tuple_type" and _join(parts) in faults:
            continue  # one value or a list of them: what is wrong with the one value says more
        faults[_join(parts)] = (dict(one), table)
    inner = [
        path
        for path in faults
        if faults[path][0]["type"] not in OF_A_LIST or not any(p.startswith(f"{path}[") for p in faults)
    ]
    unknown = [path for path in inner if faults[path][0]["type"] == "extra_forbidden"]
    path = (unknown or inner)[0]
    # a misspelt name is missing under its right name, too: that is one fault
    more = len(unknown or inner) - 1
    return _words(path, *faults[path], schema) + (f" (and {more} more)" if more else "")


def error_paths(error: ValidationError, schema: Any) -> list[str]:
    """Setting paths that pydantic's errors name; ``""`` is the whole file."""
    return sorted({_join(_trace(one["loc"], schema)[0]) for one in error.errors()})


def _words(path: str, fault: dict[str, Any], table: Any, schema: Any) -> str:
    kind, value, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "missing":
        return f"{path} {RULES[kind]}"
    if kind == "needed":
        return f"{path} is missing: {fault['msg']}; add it"
    given = f"{path} = {show(value)}" if not isinstance(value, dict) else path
    if kind == "extra_forbidden":
        return f"{given}: no such setting{_instead(path, table, schema)}"
    if kind == "literal_error":
        known = _quoted(context["expected"])
        return f"{given}: must be one of {_list(known)}{nearest(str(value), known)}"
    rule = (
        RULES[kind].format_map(context)
        if kind in RULES
        else fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    )
    return f"{given}: {rule}" if path else rule  # a rule over the whole file names its settings itself


def _instead(path: str, table: Any, schema: Any) -> str:
    """The closest valid name for an unknown one: a close match in its table, an exact match in another
    table, or a weaker match in its table.
    """
    parent, _, key = path.rpartition(".")
    names = {name: f"{parent}.{name}".removeprefix(".") for name in table.model_fields}
    elsewhere = [name for name in _leaves(schema) if name.rpartition(".")[2] == key]
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.8 if elsewhere else 0.5)
    if close:
        return f"; did you mean {names[close[0]]}?"
    return f"; did you mean {elsewhere[0]}?" if elsewhere else ""


# ---------------------------------------------------------------- where


def _trace(loc: tuple[int | str, ...], schema: Any) -> tuple[list[int | str], Any]:
    """Parts of a setting path without the names of types that pydantic puts between, and the class of the
    table that holds the last.
    """
    parts: list[int | str] = []
    here, table = schema, schema
    for part in loc:
        here = plain(here)
        if get_origin(here) in (Union, UnionType):
            here = next((one for one in get_args(here) if getattr(one, "__name__", "") == part), None)
            continue
        parts.append(part)
        if hasattr(here, "model_fields"):
            table, field = here, here.model_fields.get(part)
            here = field.annotation if field else None
        else:
            here = next(iter(get_args(here)[::-1] if get_origin(here) is dict else get_args(here)), None)
    return parts, table


def _join(parts: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _leaves(schema: Any, prefix: str = "") -> Iterator[str]:
    """Setting paths of a schema, in every table of a union."""
    for name, field in schema.model_fields.items():
        annotation = plain(field.annotation)
        tables = [one for one in (annotation, *get_args(annotation)) if hasattr(one, "model_fields")]
        if not tables:
            yield f"{prefix}{name}"
        for table in tables if get_origin(annotation) is not dict else []:
            yield from _leaves(table, f"{prefix}{name}.")


# ---------------------------------------------------------------- words


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` for the closest of some names, or nothing when none is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def show(value: Any) -> str:
    """A value as written in the file, truncated to a readable length."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
