"""A corpus that the project makes itself: made once into a folder, whole or not at all, only read later. Contents: `rows`."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

INDEX = "index.jsonl"


def rows(place: Path, make: Callable[[Path], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of the corpus in ``place``, sorted by their first key; made when it is not there, or not whole.

    Parameters
    ----------
    make : writes ``CLIP_ID.wav`` (16-bit mono) for each row that it gives back into the folder it is handed. A row has ``clip_id`` first,
        and ``samples``. Two processes that want the same corpus at once wait for one another.

    Returns
    -------
    list of dict, with ``path`` (absolute) added
    """
    found = _read(place)
    if found is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _lock(place.with_name(f".{place.name}.lock")):
            found = _read(place)  # another process may have made it meanwhile
            if found is None:
                _make(place, make)
                found = _read(place)
                assert found is not None
    return [{"path": str(place / f"{row['clip_id']}.wav"), **row} for row in found]


def _make(place: Path, make: Callable[[Path], Iterable[dict[str, Any]]]) -> None:
    temporary = place.with_name(f".{place.name}.making")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        lines = []
        for row in make(temporary):
            recording = (temporary / f"{row['clip_id']}.wav").read_bytes()
            lines.append(json.dumps(row | {"sha256": hashlib.sha256(recording).hexdigest()}, ensure_ascii=False))
        (temporary / INDEX).write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        os.replace(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(place: Path) -> list[dict[str, Any]] | None:
    """Rows of the index, or None when there is no whole corpus."""
    if not (place / INDEX).is_file():
        return None
    try:
        found = [json.loads(line) for line in (place / INDEX).read_text(encoding="utf-8").splitlines()]
    except ValueError:  # torn
        return None
    if not found or len(found) != len(list(place.glob("*.wav"))):
        return None
    for row in found:
        path = place / f"{row['clip_id']}.wav"
        if not path.is_file() or path.stat().st_size != 44 + 2 * row["samples"]:  # 44 bytes of header
            return None
    return found


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
