"""Batches: clips of like length together, padded, with their lengths and ids; order a pure function of (seed,
epoch).

Contents: `Example`, `batch_order`, `pad`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Example:
    """One clip, ready for a network. ``frames`` may be a memory map; scaling happens when a batch is made."""

    clip_id: str
    path: str
    frames: np.ndarray  # (n_frames, n_bands) float32
    labels: np.ndarray  # (n_labels,) int32
    frame_labels: np.ndarray  # (n_network_frames,) int32, empty where times are unknown


def batch_order(lengths: Sequence[int], batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Indices of each batch of one epoch; every index once.

    Clips are sorted by length after a jitter of up to 10 %, cut into batches, and the batches shuffled:
    little padding, and still other neighbours in every epoch. Pure function of its arguments.
    """
    if not len(lengths):
        return []
    random = np.random.default_rng((seed, epoch))
    jittered = np.asarray(lengths, np.float64) * random.uniform(0.9, 1.1, len(lengths))
    order = np.argsort(jittered, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def pad(rows: Sequence[np.ndarray], *, at_least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Stack arrays of unlike length along a new first axis, zeros behind the end.

    Returns
    -------
    padded : (batch, longest, ...) ; longest is at least ``at_least``
    lengths : (batch,) int32
    """
    lengths = np.array([len(row) for row in rows], np.int32)
    longest = max(at_least, int(lengths.max(initial=0)))
    padded = np.zeros((len(rows), longest, *rows[0].shape[1:]), rows[0].dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded, lengths
