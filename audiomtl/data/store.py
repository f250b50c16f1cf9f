"""Features on disk, computed once per (bytes of the sound, feature settings), read as memory maps.

Conventions: the features of many recordings are packed into one file, see `audiomtl.data.shards`. There is a
collection for each set of feature settings, without ``scaling`` and ``normalize_by`` (which are applied to
stored frames), and each version of the code that computes features (see `definitions.key`); in it an entry's
key is the SHA-256 of the sound's bytes. A sound that was moved, renamed or copied finds its entry again; a
changed one does not, nor does one under changed code.

A changed sound (`Changed`: another speed, a room) has a collection of its own for each change.

Contents: `FeatureStore`, `Changed`.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiomtl import definitions
from audiomtl.data import audio, features, files
from audiomtl.data.shards import Shards
from audiomtl.settings.shared import Features
from audiomtl.settings.table import used_values
from audiomtl.system import cores

# their code and packages are in the name of every collection
COMPUTED_BY = (
    "audiomtl.data.audio.load",
    "audiomtl.data.features.extract",
)

LATER = ("scaling", "normalize_by")  # applied to stored frames


class Changed(Protocol):
    """How a sound is changed before its features are computed."""

    @property
    def identity(self) -> Any:
        """What JSON can say: names the collection together with the features' settings."""

    @property
    def code(self) -> Sequence[str]:
        """Definitions that compute it."""

    def load(self, path: str, sample_rate: int) -> np.ndarray:
        """The changed sound of a file, (n_samples,)."""


class FeatureStore:
    """A folder of features.

    Attributes
    ----------
    extracted : int
        Entries computed through this object.
    rebuilt : int
        Those of them that were there but were cut off or altered; all of a call that met a file of which
        nothing could be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.extracted = 0
        self.rebuilt = 0
        self._collections: dict[str, Shards] = {}

    def features(
        self,
        paths: Sequence[str],
        settings: Features,
        *,
        workers: int | None = None,
        changed: Changed | None = None,
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
        changed
            How the sounds are changed first; None reads them as they are.

        Returns
        -------
        list of np.ndarray, (n_frames, settings.n_bands), float32
            Read-only memory maps in the order of ``paths``: their pages are read when touched and given back
            when memory is short, so that only a few clips (two per worker) are ever held.

        Raises
        ------
        UserError
            A file is missing or cannot be read as sound, or the folder cannot be written.
        """
        digests = files.digests(paths)
        sounds = dict(zip(digests, paths, strict=True))  # of files with one key, one is enough
        collection = self._collection(settings, changed)
        entries = collection.find(sounds)
        if len(entries) < len(sounds):
            with collection.writing():
                # of another process, meanwhile
                entries |= collection.find(key for key in sounds if key not in entries)
                lacking = {key: path for key, path in sounds.items() if key not in entries}
                collection.add(self._extracted(lacking, settings, workers or cores(), collection, changed))
                entries |= collection.find(lacking)
        return [entries[key] for key in digests]

    def _collection(self, settings: Features, changed: Changed | None) -> Shards:
        values = {name: value for name, value in used_values(settings).items() if name not in LATER}
        identity = [definitions.key(COMPUTED_BY), values]
        if changed is not None:
            identity = [definitions.key([*COMPUTED_BY, *changed.code]), values, changed.identity]
        collection = Shards(self.folder, identity, settings.n_bands)
        return self._collections.setdefault(collection.folder.name, collection)

    def _extracted(
        self,
        sounds: Mapping[str, str],
        settings: Features,
        workers: int,
        collection: Shards,
        changed: Changed | None,
    ) -> Iterator[tuple[str, np.ndarray]]:
        """(key, frames) of sound files, in their order; at most two per worker are held."""

        def extract(path: str) -> np.ndarray:
            rate = settings.sample_rate
            y = changed.load(path, rate) if changed else audio.load(path, sample_rate=rate)
            return features.extract(y, settings)

        waiting: deque[tuple[str, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(workers) as pool:
            left = iter(sounds.items())
            for key, path in left:
                waiting.append((key, pool.submit(extract, path)))
                if len(waiting) == 2 * workers:
                    yield self._counted(*waiting.popleft(), collection)
            while waiting:
                yield self._counted(*waiting.popleft(), collection)

    def _counted(self, key: str, frames: "Future[np.ndarray]", collection: Shards) -> tuple[str, np.ndarray]:
        result = key, frames.result()
        self.extracted += 1
        self.rebuilt += bool(collection.lost) or key in collection.damaged
        return result
