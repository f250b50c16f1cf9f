"""Files by their bytes, and names for files that are made from other people's text.

Contents: `digest`, `safe_name`, `csv_text`.
"""

import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

from audiomtl.errors import UserError

LONGEST_NAME = 100  # bytes of a file name made from text; file systems allow 255, and endings are added


def digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; read once per process as long as size, times and inode stay
    the same.

    Raises
    ------
    UserError : the file is missing or cannot be read.
    """
    try:
        state = os.stat(path)
        return _digest(
            os.path.abspath(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino
        )
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


@lru_cache(maxsize=2**20)
def _digest(path: str, *_state: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
