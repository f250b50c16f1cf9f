"""Names for files and cells that are made from other people's text, and names that are taken.

Contents: `safe_name`, `csv_text`, `refuse_existing`.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from audiomtl.errors import UserError

MOST_NAMED = 10  # files that a message names
LONGEST_NAME = 100  # bytes of a file name made from text; file systems allow 255, and endings are added


def safe_name(text: object) -> str:
    """A text, such as a clip's id or a class, as a part of a file name: never a path or a hidden file.

    Letters of any language, digits, spaces and ``._-+=,@`` stay; all else becomes ``_``. A text that had to
    be changed also gets eight characters of its hash, so that two texts never share a file.
    """
    whole = str(text)
    name = re.sub(r"[^\w .+=,@-]", "_", whole)
    name = re.sub(r"^[ .-]+|[ .]+$", lambda match: "_" * len(match[0]), name)
    name = name.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
    if name == whole and name:
        return name
    return f"{name or '_'}-{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def csv_text(text: str) -> str:
    """A text as a cell of a CSV file that a spreadsheet opens: what it would take for a formula gets a ``'``.

    Numbers with a sign, and signs alone, stay as they are.
    """
    formula = re.match(r"[=@\t\r]|[+-](?![\d.]*(?:[eE][+-]?\d+)?$)", text)
    return f"'{text}" if formula else text


def refuse_existing(paths: Iterable[Path], remedy: str) -> None:
    """Refuse to write files that exist, all of them in one message.

    Raises
    ------
    UserError : naming them, and the remedy.
    """
    found = [str(path) for path in paths if path.exists()]
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        verb = "already exists" if len(found) == 1 else "already exist"
        raise UserError(f"{', '.join(found[:MOST_NAMED])}{more}: {verb}; {remedy}")
