"""What is known of the files of a clip table, on disk: one index per table, written once and read whole.

Conventions: times are in nanoseconds since 1970. The *state* of a file is (size, mtime, ctime, inode): it
tells whether the file was changed, without opening it. An index is the magic bytes, the SHA-256 of what
follows, and one Arrow table in the columns of `SCHEMA`. It is replaced in one step, so that nobody sees half
of it. An index that is damaged, foreign or of another version is not read, and made again.

Contents: `Entry`, `Index`, `trusted`, `read`, `merged`, `write`; `cache_folder`, `index_place`, `INDEX`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from audiomtl.system import replacing

INDEX = "index"  # entry of the ``attrs`` of a clip table: name of its index
MAGIC = b"AMTLIDX2"  # the last character is the version
# A file written twice within one tick of its file system's clock may keep its times, so what was read within
# two seconds (the coarsest clock, FAT's) of the last change is not relied upon; git calls such entries racy.
RACY_NS = 2 * 10**9
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("ctime_ns", pa.int64()),
        ("inode", pa.int64()),
        ("read_ns", pa.int64()),  # when reading began
        ("digest", pa.binary(32)),
        ("decoder", pa.string()),  # empty: nobody decoded the file
        ("length", pa.float64()),
        ("fault", pa.string()),
        ("remarks", pa.string()),
    ],
)


class Entry(NamedTuple):
    """What is known of one file."""

    state: tuple[int, int, int, int]  # size, mtime, ctime, inode
    read_ns: int
    digest: str  # SHA-256, hexadecimal
    decoder: str = ""  # who decoded the file
    length: float = float("nan")  # what the decoder says: seconds, or rows
    fault: str = ""  # why the decoder refused it
    remarks: str = ""  # what else the decoder says of it


@dataclass(frozen=True)
class Index:
    """Entries by path, in columns."""

    rows: dict[str, int]  # path -> row
    states: np.ndarray  # (files, 4) int64
    trusted: np.ndarray  # (files,) bool
    digests: bytes  # 32 per file
    decoders: np.ndarray  # (files,) of str
    lengths: np.ndarray  # (files,) float64
    faults: dict[int, str]  # row -> words
    remarks: dict[int, str]  # row -> words
    table: pa.Table


def cache_folder() -> Path:
    """Folder of features, generated corpora and indexes."""
    return Path(os.environ.get("AUDIOMTL_CACHE", "cache")).resolve()


def index_place(name: str) -> Path:
    """File of the index that the ``attrs`` of a clip table name."""
    return cache_folder() / "index" / f"{name}.index"


def trusted(states: np.ndarray, read_ns: np.ndarray) -> np.ndarray:
    """Whether each file had been left alone for long enough when it was read: (files, 4), (files,)."""
    return states[:, 1:3].max(axis=1, initial=0) < read_ns - RACY_NS


def read(place: Path) -> Index | None:
    """The index in a file, or None where there is none that holds."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    head = len(MAGIC) + 32
    payload = memoryview(content)[head:]
    if content[: len(MAGIC)] != MAGIC or hashlib.sha256(payload).digest() != content[len(MAGIC) : head]:
        return None
    table = pa.ipc.open_file(pa.py_buffer(payload)).read_all()
    return _of(table) if table.schema == SCHEMA else None


def merged(old: Index | None, new: Mapping[str, Entry], keep: frozenset[str]) -> Index:
    """New entries and those of ``old`` whose paths are in ``keep``; a new one replaces an old one."""
    columns = {
        "path": list(new),
        **{
            name: [entry.state[number] for entry in new.values()]
            for number, name in enumerate(("size", "mtime_ns", "ctime_ns", "inode"))
        },
        "read_ns": [entry.read_ns for entry in new.values()],
        "digest": [bytes.fromhex(entry.digest) for entry in new.values()],
        "decoder": [entry.decoder for entry in new.values()],
        "length": [entry.length for entry in new.values()],
        "fault": [entry.fault for entry in new.values()],
        "remarks": [entry.remarks for entry in new.values()],
    }
    table = pa.table(columns, schema=SCHEMA)
    if old:
        kept = [row for path, row in old.rows.items() if path in keep and path not in new]
        table = pa.concat_tables([old.table.take(pa.array(kept, pa.int64())), table])
    return _of(table.combine_chunks())


def write(place: Path, index: Index) -> None:
    """Store an index; an old one is replaced."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, SCHEMA) as file:
        file.write_table(index.table)
    payload = sink.getvalue()
    with replacing(place, sync=False) as target:  # what a power cut tears, the digest finds
        target.write(MAGIC + hashlib.sha256(payload).digest())
        target.write(payload)


def _of(table: pa.Table) -> Index:
    states = np.stack(
        [table[name].to_numpy() for name in ("size", "mtime_ns", "ctime_ns", "inode")], axis=1
    ).reshape(-1, 4)
    faults, remarks = table["fault"].to_pylist(), table["remarks"].to_pylist()
    return Index(
        rows={path: row for row, path in enumerate(table["path"].to_pylist())},
        states=states,
        trusted=trusted(states, table["read_ns"].to_numpy()),
        digests=b"".join(table["digest"].to_pylist()),
        decoders=np.array(table["decoder"].to_pylist(), dtype=str),
        lengths=table["length"].to_numpy(),
        faults={row: words for row, words in enumerate(faults) if words},
        remarks={row: words for row, words in enumerate(remarks) if words},
        table=table,
    )
