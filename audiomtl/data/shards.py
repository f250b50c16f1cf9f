"""Arrays by key, packed into files: many clips share a file, one memory map and no open file.

Conventions: a store is a folder with one subfolder per *collection* (what was computed, with which settings
and code), which holds arrays (rows, columns) of float32 under keys of 64 hexadecimal digits. A *shard* is a
file of some of them. It is written beside its place and moved there in one step, and never changed. More
clips are more shards; only when there are many small ones are these packed into one.

=============== ===========================================================================================
bytes           what
=============== ===========================================================================================
0 to 8          ``AMTLSHRD``
8 to 24         columns of every array, number of arrays: two unsigned 64-bit integers, little endian
24 to 32        where the index begins
32 to 64        SHA-256 of the collection's name, bytes 8 to 32, and the index
64 to the index the arrays, row by row, float32, little endian
index to end    for each array key, offset, rows, SHA-256 of collection, key and array: 32 + 8 + 8 + 32 bytes
=============== ===========================================================================================

An array is checked before it is given out, unless its shard was found whole before and has kept its size,
times and inode since (a note beside the shard says which); of those, some are checked again at each start. An
array that is cut off or altered is not given out; when it has been computed again, its shard is replaced by
one of what is left.

Contents: `Shards`.
"""

import contextlib
import hashlib
import json
import os
import random
import struct
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from audiomtl.data import files, index
from audiomtl.errors import UserError
from audiomtl.system import cores, locked, replacing

MAGIC = b"AMTLSHRD"
HEADER = struct.Struct("<8sQQQ32s")  # 8 + 3 * 8 + 32 = 64 bytes
ENTRY = np.dtype([("key", "V32"), ("offset", "<u8"), ("rows", "<u8"), ("digest", "V32")])  # 80 bytes
SHARD_BYTES = 2**25  # a shard that reaches 32 MB is closed: at most so much is computed again after a kill
SMALL_SHARDS = 32  # of less than a quarter of that: more are packed into one
WRITTEN_AT_ONCE = 2**20  # bytes: what is written in small pieces is read through small pages, 30 % slower
# bytes that are checked at each start though their shards seem unchanged: one full shard or many small ones
CHECKED_AGAIN = 2 * SHARD_BYTES


class _Shard(NamedTuple):
    path: Path
    content: np.ndarray  # (bytes,) uint8, header and arrays, memory-mapped
    entries: np.ndarray  # (arrays,) ENTRY


class Shards:
    """One collection of a store.

    Attributes
    ----------
    damaged : set of str
        Keys whose arrays were there but did not hold.
    lost : int
        Shards of which nothing could be read, not even which arrays were in it.
    """

    def __init__(self, folder: Path, identity: Any, columns: int) -> None:
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
        self.folder = Path(folder) / name
        self.columns = columns
        self.damaged: set[str] = set()
        self.lost = 0
        self._open: set[str] = set()  # names of shards
        self._at: dict[bytes, tuple[np.ndarray, int, int]] = {}  # key -> floats of its shard, first, rows
        self._broken: set[str] = set()  # names of shards with damaged arrays

    # ------------------------------------------------------------ reading

    def find(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays (rows, columns) that are there, by key: read-only and memory-mapped, so that pages are
        read when they are touched and given back when memory is short.
        """
        wanted = {key: bytes.fromhex(key) for key in keys}
        while not self._look_for(set(wanted.values()).difference(self._at)):
            pass  # a shard was packed into another one meanwhile
        found = {}
        for key, binary in wanted.items():
            if binary in self._at:
                values, first, rows = self._at[binary]
                found[key] = values[first : first + rows * self.columns].reshape(rows, self.columns)
        return found

    def _look_for(self, wanted: set[bytes]) -> bool:
        """Open the shards that hold some of the wanted keys; False where one vanished meanwhile."""
        left = CHECKED_AGAIN
        paths = sorted(path for path in self.folder.glob("*.shard") if path.name not in self._open)
        for path in random.SystemRandom().sample(paths, len(paths)) if wanted else []:
            try:
                shard = self._map(path)
                if shard is None:
                    self.lost += 1
                    path.unlink(missing_ok=True)
                    continue
                if wanted.isdisjoint(keys := _keys(shard)):
                    continue
                unchanged, began = _noted(path), time.time_ns()
                damaged: set[int] = set()
                if not unchanged or len(shard.content) <= left:
                    left -= len(shard.content) if unchanged else 0
                    damaged = self._damaged(shard)
                    if not damaged and not unchanged:
                        _note(path, began)
            except FileNotFoundError:
                return False
            self._open.add(path.name)
            values, listed = shard.content.view("<f4"), shard.entries
            places = zip(keys, (listed["offset"] // 4).tolist(), listed["rows"].tolist(), strict=True)
            self._at |= {
                key: (values, first, rows)
                for row, (key, first, rows) in enumerate(places)
                if row not in damaged
            }
            if damaged:
                self._broken.add(path.name)
                self.damaged |= {keys[row].hex() for row in damaged}
        return True

    def _map(self, path: Path) -> _Shard | None:
        """Map a shard; None where its index does not hold."""
        if path.stat().st_size < HEADER.size:
            return None
        with pa.memory_map(str(path)) as file:
            buffer = file.read_buffer()  # outlives the open file
        magic, columns, count, start, digest = HEADER.unpack(buffer[: HEADER.size].to_pybytes())
        if magic != MAGIC or columns != self.columns or start + count * ENTRY.itemsize != buffer.size:
            return None
        listed = buffer[start:].to_pybytes()
        if self._index_digest(count, start, listed) != digest:
            return None
        return _Shard(path, np.frombuffer(buffer, np.uint8, start), np.frombuffer(listed, ENTRY))

    def _damaged(self, shard: _Shard) -> set[int]:
        """Rows of a shard's index whose arrays do not hold."""
        # read, not mapped: pages of a map that were once touched would count as this process's memory
        with open(shard.path, "rb") as file, ThreadPoolExecutor(cores()) as pool:

            def damaged(rows: np.ndarray) -> list[int]:
                return [row for row in rows.tolist() if self._read(file.fileno(), shard.entries[row]) is None]

            parts = np.array_split(np.arange(len(shard.entries)), 4 * cores())
            return {row for rows in pool.map(damaged, parts) for row in rows}

    def _read(self, file: int, entry: np.void) -> bytes | None:
        """The bytes of an array; None where they do not hold."""
        size = int(entry["rows"]) * self.columns * 4
        content = os.pread(file, size, int(entry["offset"]))
        return content if self._digest(bytes(entry["key"]), content) == bytes(entry["digest"]) else None

    def _digest(self, key: bytes, content: Any) -> bytes:
        # with collection and key: an array under another's name does not hold
        digest = hashlib.sha256(self.folder.name.encode() + key)
        digest.update(content)
        return digest.digest()

    def _index_digest(self, count: int, start: int, listed: bytes) -> bytes:
        head = struct.pack("<QQQ", self.columns, count, start)
        return hashlib.sha256(self.folder.name.encode() + head + listed).digest()

    # ------------------------------------------------------------ writing

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the collection's lock, so that what one process computes others need not compute as well.

        Where the file system has no locks they do, which harms nothing.

        Raises
        ------
        UserError : the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                stack.enter_context(locked(self.folder / "lock"))
                for left in self.folder.glob(".*.tmp"):  # of a process that was killed
                    left.unlink(missing_ok=True)
            yield

    def add(self, arrays: Iterable[tuple[str, np.ndarray]]) -> None:
        """Store arrays (rows, columns) by key, as they come; few are held at a time. Call it in `writing`.

        Raises
        ------
        UserError : the folder cannot be written.
        """
        self._write((bytes.fromhex(key), np.ascontiguousarray(frames, "<f4")) for key, frames in arrays)
        paths = sorted(self.folder.glob("*.shard"))
        sizes = files.states(map(str, paths))[:, 0].tolist()
        small = [path for path, size in zip(paths, sizes, strict=True) if size < SHARD_BYTES // 4]
        old = {path for path in paths if path.name in self._broken}
        old |= set(small if len(small) > SMALL_SHARDS else [])
        self._write(self._kept(sorted(old)))
        for path in old:
            path.unlink(missing_ok=True)
            _note_of(path).unlink(missing_ok=True)
        self._broken.clear()

    def _kept(self, paths: Sequence[Path]) -> Iterator[tuple[bytes, bytes]]:
        """What holds in some shards, by key."""
        seen: set[bytes] = set()
        for path in paths:
            with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                shard = self._map(path)
                for entry in shard.entries if shard else ():
                    key, content = bytes(entry["key"]), self._read(file.fileno(), entry)
                    if content is not None and key not in seen:
                        seen.add(key)
                        yield key, content

    def _write(self, arrays: Iterable[tuple[bytes, Any]]) -> None:
        """Write arrays into new shards. If ``arrays`` fails, what came before is kept."""
        coming = iter(arrays)
        failure: Exception | None = None
        pair = next(coming, None)
        while pair is not None and failure is None:
            entries: list[tuple[bytes, int, int, bytes]] = []
            waiting, end = [bytes(HEADER.size)], HEADER.size  # not yet in the file; where the next one begins
            try:
                with replacing(self.folder / f"{uuid.uuid4().hex}.shard", sync=False) as file:
                    while pair is not None and failure is None and end < SHARD_BYTES:
                        key, content = pair
                        waiting.append(bytes(content))
                        size = len(waiting[-1])
                        entries.append((key, end, size // 4 // self.columns, self._digest(key, waiting[-1])))
                        end += size
                        if end - file.tell() > WRITTEN_AT_ONCE:
                            file.write(b"".join(waiting))
                            waiting.clear()
                        try:
                            pair = next(coming, None)
                        except Exception as error:
                            failure = error
                    listed = np.array(entries, ENTRY).tobytes()
                    digest = self._index_digest(len(entries), end, listed)
                    file.write(b"".join([*waiting, listed]))
                    file.seek(0)
                    file.write(HEADER.pack(MAGIC, self.columns, len(entries), end, digest))
            except OSError as error:
                raise self._unwritable(error) from error
        if failure:
            raise failure

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"{self.folder.parent}: features cannot be written ({error.strerror}); make room or name another"
            " folder"
        )


def _keys(shard: _Shard) -> list[bytes]:
    content = shard.entries["key"].tobytes()
    return [content[first : first + 32] for first in range(0, len(content), 32)]


def _note_of(path: Path) -> Path:
    return path.with_suffix(".whole")


def _note(path: Path, began: int) -> None:
    """Remember that a shard was found whole in its present state."""
    state = files.states([str(path)])[0].tolist()
    with contextlib.suppress(OSError), replacing(_note_of(path), sync=False) as file:
        file.write(json.dumps([state, began]).encode())


def _noted(path: Path) -> bool:
    """Whether a shard was found whole in its present state, long enough after its last change."""
    try:
        state, began = json.loads(_note_of(path).read_bytes())
        now = files.states([str(path)])
        return bool(now[0].tolist() == state and index.trusted(now, np.array([began], np.int64))[0])
    except (OSError, ValueError, TypeError):
        return False
