"""TOML text to plain tables and back: read, flatten to setting paths, override by path, edit in place with
everything else kept.

Contents: `read`, `write`, `flatten`, `override`, `edit`, `as_toml`, `toml_value`.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audiomtl.errors import UserError
from audiomtl.settings.validation import show
from audiomtl.system import replacing


def read(path: Path) -> dict[str, Any]:
    """The document in a file.

    Raises
    ------
    UserError : not readable, not UTF-8, a byte order mark, not valid TOML (with line and column), a number
        that is not finite.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith(b"\xef\xbb\xbf"):
        raise UserError(
            f"{path}: line 1, column 1: starts with a byte order mark: save the file as UTF-8 without one"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        ) from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {_syntax(str(error), text)}") from None
    for place, value in _leaves(document):
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{path}: {place} = {value}: must be a finite number")
    return document


def _syntax(message: str, text: str) -> str:
    """The message of tomllib, preceded by line and column and followed by the line itself."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if not found:
        return f"not valid TOML: {message}"
    what, line, column = found.groups()
    what = re.sub(r"Cannot overwrite a value", "this key is given twice", what)
    what = re.sub(
        r"Cannot declare \((.*?),?\) twice",
        lambda table: f"the table {table[1].replace(chr(39), '')} is given twice",
        what,
    )
    what = what.replace("Invalid value", "invalid value: text needs quotes, true and false are lower case")
    if not line:
        return f"end of the file: not valid TOML: {what}"
    return (
        f"line {line}, column {column}: not valid TOML: {what}:"
        f" {show(text.splitlines()[int(line) - 1].strip())}"
    )


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """(place, value) of everything in a document that is neither table nor list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{index}]")
    else:
        yield place, value


# ---------------------------------------------------------------- setting paths


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables to ``{setting path: value}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def override(raw: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``raw`` with the settings at some paths replaced; lists are shared with ``raw``."""
    copy = {key: override(value, {}) if isinstance(value, Mapping) else value for key, value in raw.items()}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        copy[head] = override(copy.get(head, {}), {rest: value}) if rest else value
    return copy


# ---------------------------------------------------------------- editing


def edit(text: str, values: Mapping[str, Any], table: str = "") -> str:
    """TOML text with the values at some paths replaced and every other character kept.

    Parameters
    ----------
    table : setting paths are read in this table (``ablation.adam``) and, where they are not there yet, added
        to it as dotted keys, one per line; ``""`` stands for the settings themselves.

    Raises
    ------
    UserError : a value cannot be written so that the text reads back as wanted.
    """
    prefix = f"{table}." if table else ""
    for path, value in sorted(values.items()):
        wanted = override(tomllib.loads(text), {f"{prefix}{path}": value})
        candidates = (
            one for make in (_replaced, _inserted) for one in make(text, prefix + path, value, len(prefix))
        )
        new = next((one for one in candidates if _reads_as(one, wanted)), None)
        if new is None:
            raise UserError(
                f"{prefix}{path} = {toml_value(value)}: this line cannot be inserted automatically: add it to"
                " the file by hand"
            )
        text = new
    return text


def _reads_as(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _replaced(text: str, path: str, value: Any, _: int) -> Iterator[str]:
    """The text with the value that stands at ``path`` replaced, if one does."""
    import tomlkit

    document = tomlkit.parse(text)
    *tables, key = path.split(".")
    node: Any = document
    for part in tables:
        node = node.get(part)
        if not isinstance(node, dict):
            return
    if key not in node:
        return
    node[key] = tomlkit.value(toml_value(value))  # tomlkit keeps the line's indent, spacing and comment
    yield tomlkit.dumps(document)


def _inserted(text: str, path: str, value: Any, least: int) -> Iterator[str]:
    """The text with ``path`` as a new line, the best place first: below its siblings, else last in its
    table, innermost table first.
    """
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    headers = [
        index for index, line in enumerate(lines) if re.fullmatch(r"\s*\[[^,]*\]\s*(#.*)?", line.rstrip())
    ]
    parts = path.split(".")
    for split in range(len(parts) - 1, -1, -1):
        wanted, key = ".".join(parts[:split]), ".".join(parts[split:])
        starts = [
            index
            for index in headers
            if re.fullmatch(rf"\s*\[\s*{re.escape(wanted)}\s*\]\s*(#.*)?", lines[index].rstrip())
        ]
        for start in starts if wanted else [-1]:
            stop = next((index for index in headers if index > start), len(lines))
            body = [
                index
                for index in range(start + 1, stop)
                if lines[index].strip() and not lines[index].lstrip().startswith("#")
            ]
            siblings = [
                index
                for index in body
                if "." in key and lines[index].lstrip().startswith(f"{key.rpartition('.')[0]}.")
            ]
            for place in (*siblings[-1:], *body[-1:], start):
                before = lines[: place + 1]
                if before and not before[-1].endswith("\n"):
                    before = [*before[:-1], before[-1] + end]
                yield "".join([*before, f"{key} = {toml_value(value)}{end}", *lines[place + 1 :]])


def toml_value(value: Any) -> str:
    """A value as TOML, floats exact: 1e-6, true, "sgd", [64, 32]."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return re.sub(r"e([+-]?)0*", lambda found: f"e{found[1].replace('+', '')}", repr(float(value)))
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    raise UserError(f"{show(value)}: must be a number, text, true, false, or a list of these")


def write(path: Path, text: str) -> None:
    """Replace a file in one step: it is the old or the new one, never half of either.

    Line ends stay as they are in ``text``.
    """
    with replacing(path, sync=False) as file:
        file.write(text.encode("utf-8"))


def as_toml(raw: Mapping[str, Any], seed: int) -> str:
    """The complete settings of one run as TOML."""
    import tomlkit

    return tomlkit.dumps({**raw, "seeds": [seed]} if raw["study_seed"] != seed else dict(raw))
