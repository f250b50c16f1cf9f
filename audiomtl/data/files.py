"""Files by their bytes: digests, and what a decoder says of files, each found out once as long as the file
keeps its size, times and inode.

What was read is remembered by the process, and across processes in an index (`audiomtl.data.index`), one per
clip table. A warm start therefore stats every file, but opens, hashes and decodes none. A file that changed
is read again, and so is one that was read within two seconds of its last change, since its times could then
hide a second change.

Contents: `Decoder`, `Examined`, `examine`, `digests`, `digest`, `seconds`, `below`, `near`,
`states`, `use`.
"""

import hashlib
import os
import stat
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from audiomtl.data import audio, index
from audiomtl.data.index import Entry, Index
from audiomtl.errors import UserError
from audiomtl.settings.validation import nearest
from audiomtl.system import cores, locked

REMEMBERED = 2**20  # files outside every index

_indexes: dict[Path, tuple[tuple[int, ...], Index | None]] = {}  # by place: its state when it was read
_read_here: dict[str, Entry] = {}  # by path: read by this process and in no index


class Decoder(NamedTuple):
    """How files are decoded."""

    name: str  # with its version: another name decodes again
    # path -> seconds, or rows, and perhaps remarks; raises UserError for a file that it refuses
    decode: Callable[[str], float] | Callable[[str], tuple[float, str]]


@dataclass(frozen=True)
class Examined:
    """What is known of some files, in their order."""

    exists: np.ndarray  # (files,) bool: a regular file
    digests: list[str]  # SHA-256, hexadecimal; "" where there is none
    lengths: list[float]  # what the decoder says; NaN where it says nothing
    faults: list[str]  # why a file cannot be read or decoded; "" where it can
    remarks: list[str]  # what else the decoder says; "" where it says nothing


LONGEST_NAME = 100  # bytes of a file name made from text; file systems allow 255, and endings are added


def digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    UserError : the file is missing or cannot be read.
    """
    return digests([str(path)])[0]


def digests(paths: Sequence[str], *, place: Path | None = None) -> list[str]:
    """SHA-256 of the bytes of each file, in hexadecimal.

    Parameters
    ----------
    place : index in which to remember them.

    Raises
    ------
    UserError : a file is missing or cannot be read.
    """
    found = examine(paths, place=place)
    if "" in found.digests:
        row = found.digests.index("")
        raise UserError(found.faults[row] or _unreadable(paths[row]))
    return found.digests


def seconds(paths: Sequence[str]) -> list[float]:
    """Length of each recording, as `audio.info` finds it.

    Raises
    ------
    UserError : a file is missing or no sound.
    """
    version = f"{soundfile.__version__} {soundfile.__libsndfile_version__}"
    name = f"length {audio.LENGTHS} {version}"
    found = examine(paths, decoder=Decoder(name, lambda path: audio.info(path).seconds))
    for path, exists, fault in zip(paths, found.exists.tolist(), found.faults, strict=True):
        if fault or not exists:
            raise UserError(fault or f"{path}: no such file")
    return found.lengths


def use(place: Path) -> None:
    """Look files up in an index from now on; it is read when it is first needed."""
    _indexes.setdefault(place, ((), None))


def below(root: Path) -> list[Path]:
    """Files in a folder and all below it, sorted by their paths in NFC.

    Links to folders are followed, each folder once; hidden files and folders are left out.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        here = os.path.realpath(folder)
        folders[:] = [] if here in seen else sorted(name for name in folders if not name.startswith("."))
        if here not in seen:
            found += [Path(folder, name) for name in names if not name.startswith(".")]
        seen.add(here)
    files = [path for path in found if path.is_file()]
    return sorted(files, key=lambda path: (unicodedata.normalize("NFC", str(path)), str(path)))


def near(path: Path) -> str:
    """``; did you mean X?`` for a path that does not exist: the closest name in its folder, or nothing."""
    if not path.parent.is_dir():
        return ""
    names = sorted(one.name for one in path.parent.iterdir())
    return nearest(path.name, names)


def states(paths: Iterable[str]) -> np.ndarray:
    """Size, modification and change time (ns) and inode of files, without opening them.

    Returns
    -------
    np.ndarray, (files, 4), int64 ; -1 where there is no regular file
    """
    found = []
    for path in paths:
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            found.append((-1, -1, -1, -1))
            continue
        found.append(_state(state) if stat.S_ISREG(state.st_mode) else (-1, -1, -1, -1))
    return np.array(found, np.int64).reshape(-1, 4)


def examine(paths: Sequence[str], *, decoder: Decoder | None = None, place: Path | None = None) -> Examined:
    """Digests of files, and what a decoder says of them; only what changed is read.

    Parameters
    ----------
    decoder : decodes the files too; None only hashes them.
    place : index in which to remember them.
    """
    if place:
        use(place)
    paths = [path if path[:1] == "/" else os.path.abspath(path) for path in paths]
    now = states(paths)
    count = len(paths)
    found = Examined(now[:, 0] >= 0, [""] * count, [float("nan")] * count, [""] * count, [""] * count)
    decoded = np.zeros(count, bool)
    for known in _loaded():
        rows = np.fromiter((known.rows.get(path, -1) for path in paths), np.int64, count)
        same = (rows >= 0) & found.exists & ~decoded
        same[same] = known.trusted[rows[same]] & (known.states[rows[same]] == now[same]).all(axis=1)
        text = known.digests.hex()  # 64 digits per file
        for number, row in zip(np.flatnonzero(same).tolist(), rows[same].tolist(), strict=True):
            found.digests[number] = text[64 * row : 64 * row + 64]
        if decoder:
            same[same] = known.decoders[rows[same]] == decoder.name
            lengths = known.lengths.tolist()
            for number, row in zip(np.flatnonzero(same).tolist(), rows[same].tolist(), strict=True):
                found.lengths[number] = lengths[row]
                if row in known.faults:
                    found.faults[number] = known.faults[row]
                if row in known.remarks:
                    found.remarks[number] = known.remarks[row]
        decoded |= same
    entries: dict[str, Entry] = {}  # to be written into the index
    todo: dict[str, list[int]] = {}
    for number in np.flatnonzero(found.exists & ~decoded).tolist():
        entry = _read_here.get(paths[number])
        if entry and entry.state == tuple(now[number].tolist()) and _trusted(entry):
            found.digests[number] = entry.digest
            if not decoder or decoder.name == entry.decoder:
                entries[paths[number]] = entry
                _tell(found, number, entry)
                continue
        todo.setdefault(paths[number], []).append(number)
    with ThreadPoolExecutor(cores()) as pool:
        first = [numbers[0] for numbers in todo.values()]
        hashed = [(tuple(now[number].tolist()), found.digests[number]) for number in first]
        read = pool.map(_read, todo, hashed, [decoder] * len(todo))
        for (path, numbers), entry in zip(todo.items(), read, strict=True):
            for number in numbers:
                found.digests[number] = entry.digest
                _tell(found, number, entry)
            if entry.digest:
                entries[path] = entry
    if len(_read_here) + len(entries) > REMEMBERED:
        _read_here.clear()
    _read_here.update(entries)
    if place and entries:
        _save(place, entries)
    return found


def _tell(found: Examined, number: int, entry: Entry) -> None:
    found.lengths[number], found.faults[number] = entry.length, entry.fault
    found.remarks[number] = entry.remarks


def _state(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino & (2**63 - 1)


def _trusted(entry: Entry) -> bool:
    return bool(index.trusted(np.array([entry.state]), np.array([entry.read_ns]))[0])


def _read(path: str, hashed: tuple[tuple[int, ...], str], decoder: Decoder | None) -> Entry:
    """Hash a file, unless its digest in a state is known and it still has that state, and decode it."""
    began = time.time_ns()
    try:
        with open(path, "rb") as file:
            before = _state(os.fstat(file.fileno()))
            digest = hashed[1] if before == hashed[0] else ""
            digest = digest or hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Entry((0, 0, 0, 0), 0, "", fault=_unreadable(path, error))
    name, length, fault, remarks = "", float("nan"), "", ""
    if decoder:
        name = decoder.name
        try:
            said = decoder.decode(path)
            length, remarks = said if isinstance(said, tuple) else (said, "")
        except UserError as error:
            fault = str(error)
    # a file that changes meanwhile has another state from then on, or is too fresh to be relied upon
    return Entry(before, began, digest, name, length, fault, remarks)


def _unreadable(path: str, error: OSError | None = None) -> str:
    reason = error.strerror if error else None
    try:
        if error is None:
            open(path, "rb").close()
    except OSError as raised:
        reason = raised.strerror
    except ValueError as raised:  # a null character in the path
        reason = str(raised)
    return f"{path}: cannot be read ({reason or 'no regular file'})"


def _loaded() -> list[Index]:
    """The indexes in use, each read again when another process has replaced it."""
    for place, (before, _) in list(_indexes.items()):
        state = tuple(states([str(place)])[0].tolist())
        if state != before:
            _indexes[place] = (state, index.read(place))
    return [known for _, known in _indexes.values() if known]


def _save(place: Path, entries: dict[str, Entry]) -> None:
    """Write entries into an index, beside what is in it; without them everything works, only slower."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with locked(place.with_suffix(".lock")):
            _loaded()
            old = _indexes[place][1]
            keep = frozenset(path for path in (old.rows if old else ()) if os.path.exists(path))
            known = index.merged(old, entries, keep)
            index.write(place, known)
            _indexes[place] = (tuple(states([str(place)])[0].tolist()), known)
    except OSError:  # a cache that cannot be written or locked
        return
    for path in entries:
        _read_here.pop(path, None)
