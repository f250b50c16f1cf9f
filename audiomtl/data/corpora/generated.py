"""A generated corpus: written once into a folder, completely or not at all, and only read later.

Contents: `rows`, `READ_ONLY`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from audiomtl.system import locked

INDEX = "index.jsonl"
# settings of every data set that say how clips are read: no part of what is generated
READ_ONLY = {"label", "groups", "subset", "pauses"}


def rows(
    place: Path, make: Callable[[Path], Iterable[dict[str, Any]]], *, ending: str = ".wav"
) -> list[dict[str, Any]]:
    """Rows of the corpus in ``place``, sorted by their first key; generated if it is missing or incomplete.

    Parameters
    ----------
    make : writes ``CLIP_ID.wav`` (16-bit mono) for each row that it gives back into the folder it is handed.
        A row has ``clip_id`` first, and ``samples``. Two processes that want the same corpus at once wait for
        one another.
    ending : of the files, where they are no sounds; then a row needs no ``samples``: the index notes each
        file's size.

    Returns
    -------
    list of dict, with ``path`` (absolute) added
    """
    found = _read(place, ending)
    if found is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.with_name(f".{place.name}.lock")):
            found = _read(place, ending)  # another process may have made it meanwhile
            if found is None:
                _make(place, make, ending)
                found = _read(place, ending)
                assert found is not None
    return [{"path": str(place / f"{row['clip_id']}{ending}"), **row} for row in found]


def _make(place: Path, make: Callable[[Path], Iterable[dict[str, Any]]], ending: str) -> None:
    temporary = place.with_name(f".{place.name}.making")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        lines = []
        for row in make(temporary):
            recording = (temporary / f"{row['clip_id']}{ending}").read_bytes()
            size = {} if ending == ".wav" else {"bytes": len(recording)}
            lines.append(
                json.dumps(row | size | {"sha256": hashlib.sha256(recording).hexdigest()}, ensure_ascii=False)
            )
        (temporary / INDEX).write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        os.replace(temporary, place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(place: Path, ending: str) -> list[dict[str, Any]] | None:
    """Rows of the index, or None if there is no complete corpus."""
    if not (place / INDEX).is_file():
        return None
    try:
        found = [json.loads(line) for line in (place / INDEX).read_text(encoding="utf-8").splitlines()]
    except ValueError:  # torn
        return None
    if not found or len(found) != len(list(place.glob(f"*{ending}"))):
        return None
    for row in found:
        path = place / f"{row['clip_id']}{ending}"
        size = 44 + 2 * row["samples"] if ending == ".wav" else row["bytes"]  # 44 bytes of header
        if not path.is_file() or path.stat().st_size != size:
            return None
    return found
