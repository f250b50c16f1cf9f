"""Stored outputs of YAMNet's frozen layers, computed once per (sound bytes, front end, weights, depth,
TensorFlow's kernels).

They are kept as features are, in `audiomtl.data.shards` (same files, same checks), patch by patch. Patches of
many clips go through the network in one batch of fixed size, so that memory does not grow with the number of
clips and no clip's numbers depend on its neighbours. Processes that ask at once wait for each other: what one
has computed the others read.

Contents: `EmbeddingStore`, `patches_of_file`, `patches_of_waveform`, `in_batches`, `embeddings_of`.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl import definitions
from audiomtl.data import audio, fetch, files
from audiomtl.data.shards import Shards
from audiomtl.nn import yamnet

VERSION = 1  # saved with every model that reads them: raise it when their numbers change
# their code and packages are in every key
COMPUTED_BY = (
    "audiomtl.nn.yamnet_store.EmbeddingStore",
    "audiomtl.nn.yamnet_store.patches_of_file",
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
        keys = files.digests(paths)
        sounds = dict(zip(keys, paths, strict=True))  # of files with one key, one is enough
        entries = self._collection.find(sounds)
        if len(entries) < len(sounds):
            with self._collection.writing():
                # of another process, meanwhile
                entries |= self._collection.find(key for key in sounds if key not in entries)
                lacking = {key: path for key, path in sounds.items() if key not in entries}
                self._collection.add(self._computed(lacking))
                entries |= self._collection.find(lacking)
        return [entries[key] for key in keys]

    @cached_property
    def _collection(self) -> Shards:
        kernels = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "")  # others have other last bits
        identity = [definitions.key(COMPUTED_BY), self.digest, self.tail_blocks, kernels]
        return Shards(self.folder, identity, self.size)

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
                self.extracted += 1
                yield ready, done[:count]
                done = done[count:]


def patches_of_file(path: str) -> np.ndarray:  # (n_patches, 96, 64)
    """YAMNet's patches of a recording of any rate and number of channels."""
    return patches_of_waveform(tf.constant(audio.load(path, sample_rate=yamnet.SAMPLE_RATE))).numpy()


@tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
def patches_of_waveform(waveform: tf.Tensor) -> tf.Tensor:
    """(n_samples,) at 16 kHz -> (n_patches, 96, 64)."""
    return yamnet.patches_of(yamnet.log_mel(yamnet.padded(waveform)))


def in_batches(body: Any, patches: np.ndarray) -> np.ndarray:
    """Activations of patches (n, 96, 64), in the batches of the store: the same bits."""
    parts = []
    for first in range(0, len(patches), BATCH):
        some = patches[first : first + BATCH]
        full = np.concatenate([some, np.zeros((BATCH - len(some), *some.shape[1:]), np.float32)])
        parts.append(body(full).numpy()[: len(some)])
    return np.concatenate(parts)


def embeddings_of(y: np.ndarray, weights: Path) -> np.ndarray:  # (n_patches, 1024)
    """Embeddings of a waveform (n_samples,) at 16 kHz, as `EmbeddingStore` has them."""
    return in_batches(_body(weights, fetch.digest(weights)), patches_of_waveform(y).numpy())


@lru_cache(maxsize=1)
def _body(weights: Path, digest: str) -> Any:
    return tf.function(yamnet.set_weights(yamnet.body(0), yamnet.read_weights(weights)))
