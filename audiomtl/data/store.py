"""Features on disk, computed once per (bytes of the sound, feature settings), read as memory maps.

Conventions: one file per entry, named by its key: the SHA-256 of the sound's bytes, of the feature settings
without ``scaling`` (which is applied to stored frames) and of the code that computes features (see
`definitions.key`). A sound that was moved, renamed or copied finds its entry again; a changed one does not,
nor does one under changed code.

=========== ============================================================================
bytes       what
=========== ============================================================================
0 to 8      ``AMTLFEAT``
8 to 24     rows (frames), columns (bands): two unsigned 64-bit integers, little endian
24 to 56    SHA-256 of key and payload (rows and columns are known: from the size and the settings)
56 to 64    zeros
64 to end   payload: rows * columns float32, little endian, row by row
=========== ============================================================================

An entry is written beside its place and moved there in one step, so that nobody sees half of it and processes
that write the same one at once do no harm. It is checked whole each time it is found; what does not hold is
made again.

Contents: `FeatureStore`.
"""

import hashlib
import json
import mmap
import os
import resource
import struct
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audiomtl import definitions
from audiomtl.data import audio, features, files
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features
from audiomtl.settings.table import used_values
from audiomtl.system import cores, replacing

MAGIC = b"AMTLFEAT"
HEADER = struct.Struct("<8sQQ32s8x")  # 8 + 8 + 8 + 32 + 8 = 64 bytes
SPARE_FILES = 256  # open files left to the rest of the process
# their code and packages are in every key
COMPUTED_BY = (
    "audiomtl.data.audio.load",
    "audiomtl.data.features.extract",
)


class FeatureStore:
    """A folder of features.

    Attributes
    ----------
    extracted : int
        Entries computed through this object.
    rebuilt : int
        Those of them that were there but were cut off or altered.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.extracted = 0
        self.rebuilt = 0
        self._counting = threading.Lock()

    def features(
        self, paths: Sequence[str], settings: Features, *, workers: int | None = None
    ) -> list[np.ndarray]:
        """Features of sound files, computed where the store lacks them.

        Parameters
        ----------
        paths
            Sound files; files with the same bytes share one entry.
        settings
            What to compute; ``scaling`` plays no part.
        workers
            Threads (the work is done outside Python's lock); None takes one per core that this process may
            use.

        Returns
        -------
        list of np.ndarray, (n_frames, settings.n_bands), float32
            Read-only memory maps in the order of ``paths``: their pages are read when touched and given back
            when memory is short, so that only the clips being computed (one per worker) are ever held.

        Raises
        ------
        UserError
            A file is missing or cannot be read as sound, the folder cannot be written, or the clips need more
            open files than the system grants.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(workers or cores()) as pool:
            keys = list(pool.map(lambda path: _key(path, settings), paths))
            sounds = dict(zip(keys, paths, strict=True))  # of files with one key, one is enough
            _allow_open_files(len(sounds))
            entries = dict(
                zip(
                    sounds, pool.map(lambda key: self._entry(key, sounds[key], settings), sounds), strict=True
                )
            )
        return [entries[key] for key in keys]

    def _entry(self, key: str, path: str, settings: Features) -> np.ndarray:  # (frames, bands)
        place = self.folder / f"{key}.features"
        there = place.exists()
        frames = _open(place, key, settings.n_bands) if there else None
        if frames is None:
            y = audio.load(path, sample_rate=settings.sample_rate)
            frames = _write(place, key, features.extract(y, settings))
            with self._counting:
                self.extracted += 1
                self.rebuilt += there
        return frames


def _key(path: str, settings: Features) -> str:
    identity = [
        definitions.key(COMPUTED_BY),
        files.digest(path),
        {name: value for name, value in used_values(settings).items() if name != "scaling"},
    ]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _write(place: Path, key: str, frames: np.ndarray) -> np.ndarray:  # (frames, bands)
    """Store an entry; returns its map, so that the frames themselves can be forgotten."""
    payload = np.ascontiguousarray(frames, dtype="<f4").data
    digest = hashlib.sha256(key.encode())
    digest.update(payload)
    try:
        # what a power cut tears, the digest finds, and it is computed again
        with replacing(place, sync=False) as file:
            file.write(HEADER.pack(MAGIC, *frames.shape, digest.digest()))
            file.write(payload)
            file.flush()
            stored = _map(file, frames.shape)
        return stored
    except OSError as error:
        raise UserError(
            f"{place.parent}: features cannot be written ({error.strerror}); free space or use another folder"
        ) from error


def _open(place: Path, key: str, columns: int) -> np.ndarray | None:  # (frames, bands)
    """The map of an entry, or None where anything about it does not hold."""
    with open(place, "rb") as file:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        magic, rows, stored_columns, expected = HEADER.unpack(header)
        if (
            magic != MAGIC
            or stored_columns != columns
            or os.fstat(file.fileno()).st_size != HEADER.size + 4 * rows * columns
        ):
            return None
        digest = hashlib.sha256(key.encode())  # with the key, an entry under another's name does not pass
        # read, not mapped: pages of a map that were once touched would count as this process's memory
        while chunk := file.read(1 << 20):
            digest.update(chunk)
        if digest.digest() != expected or any(header[56:]):
            return None
        return _map(file, (rows, columns))


def _map(file: BinaryIO, shape: tuple[int, int]) -> np.ndarray:  # (frames, bands)
    options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    return np.frombuffer(
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **options), dtype="<f4", offset=HEADER.size
    ).reshape(shape)


def _allow_open_files(entries: int) -> None:
    """Before Python 3.13 every map keeps its file open: raise the soft limit (often 1024) to what the
    corpus needs.
    """
    if sys.version_info >= (3, 13):
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir("/dev/fd")) + entries + SPARE_FILES
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise UserError(
            f"{entries} clips need {needed} open files, but this system grants {hard}; raise it (ulimit -n)"
            " or use Python 3.13"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
