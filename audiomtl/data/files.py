"""Files by their bytes. Contents: `digest`."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from audiomtl.errors import UserError


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
