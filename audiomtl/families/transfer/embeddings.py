"""Stored outputs of YAMNet's frozen layers, computed once per (sound bytes, front end, weights, depth).

Entries are those of `FeatureStore` (same file format, same checks), patch by patch. Patches of many clips go
through the network in one batch of fixed size, so that memory does not grow with the number of clips and no
clip's numbers depend on its neighbours. Processes that ask at once wait for each other: what one has computed
the others read.

Contents: `EmbeddingStore`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl import definitions
from audiomtl.data import audio, fetch, files, store
from audiomtl.nn import yamnet
from audiomtl.system import locked

VERSION = 1  # saved with every model that reads them: raise it when their numbers change
# their code and packages are in every key
COMPUTED_BY = (
    "audiomtl.families.transfer.embeddings.EmbeddingStore",
    "audiomtl.families.transfer.embeddings.patches_of_file",
)
BATCH = 32  # patches


class EmbeddingStore:
    """Activations of YAMNet before its last ``tail_blocks`` blocks; with 0 blocks its embeddings.

    Attributes
    ----------
    extracted : int
        Clips computed through this object.
    """

    def __init__(self, folder: Path, weights: Path, tail_blocks: int = 0) -> None:
        self.folder, self.weights, self.tail_blocks = Path(folder), weights, tail_blocks
        self.size = yamnet.body_size(tail_blocks)  # numbers per patch
        self.digest = fetch.digest(weights)
        self.extracted = 0

    @cached_property
    def _forward(self) -> Any:
        return tf.function(
            yamnet.set_weights(yamnet.body(self.tail_blocks), yamnet.read_weights(self.weights))
        )

    def activations(self, paths: Sequence[str]) -> list[np.ndarray]:
        """Of each sound file (n_patches, size) float32, memory-mapped, in the order of ``paths``; computed
        where the store lacks them.

        Raises
        ------
        UserError : a recording that cannot be read; weights that are no YAMNet's.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = [self._key(path) for path in paths]
        sounds = dict(zip(keys, paths, strict=True))  # of files with one key, one is enough
        store._allow_open_files(len(sounds))
        entries = self._there(sounds)
        if len(entries) < len(sounds):
            with locked(self.folder / "lock"):
                # of another process, meanwhile
                entries |= self._there([key for key in sounds if key not in entries])
                for key, rows in self._computed(
                    {key: path for key, path in sounds.items() if key not in entries}
                ):
                    entries[key] = store._write(self._place(key), key, rows)
                    self.extracted += 1
        return [entries[key] for key in keys]

    def _key(self, path: str) -> str:
        sound = files.digest(path) if Path(path).is_file() else path
        identity = [definitions.key(COMPUTED_BY), sound, self.digest, self.tail_blocks]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    def _place(self, key: str) -> Path:
        return self.folder / f"{key}.features"

    def _there(self, keys: Any) -> dict[str, np.ndarray]:
        found = {
            key: store._open(self._place(key), key, self.size) for key in keys if self._place(key).exists()
        }
        return {key: rows for key, rows in found.items() if rows is not None}

    def _computed(self, sounds: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
        """(key, rows) of each clip as soon as its last patch is through."""
        # clips whose patches are in `queue` or `done`, and how many they have
        waiting: list[tuple[str, int]] = []
        queue, done = (
            np.empty((0, yamnet.PATCH_FRAMES, yamnet.BANDS), np.float32),
            np.empty((0, self.size), np.float32),
        )
        last = list(sounds)[-1] if sounds else ""
        for key, path in sounds.items():
            patches = patches_of_file(path)
            waiting.append((key, len(patches)))
            queue = np.concatenate([queue, patches])
            while len(queue) >= BATCH or (key == last and len(queue)):
                some, queue = queue[:BATCH], queue[BATCH:]
                full = np.concatenate([some, np.zeros((BATCH - len(some), *some.shape[1:]), np.float32)])
                done = np.concatenate([done, self._forward(full).numpy()[: len(some)]])
            while waiting and waiting[0][1] <= len(done):
                ready, count = waiting.pop(0)
                yield ready, done[:count]
                done = done[count:]


def patches_of_file(path: str) -> np.ndarray:  # (n_patches, 96, 64)
    """YAMNet's patches of a recording of any rate and number of channels."""
    return patches_of_waveform(tf.constant(audio.load(path, sample_rate=yamnet.SAMPLE_RATE))).numpy()


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def patches_of_waveform(waveform: tf.Tensor) -> tf.Tensor:
    """(n_samples,) at 16 kHz -> (n_patches, 96, 64)."""
    return yamnet.patches_of(yamnet.log_mel(yamnet.padded(waveform)))
