"""Clips as bags of patches: examples, their mean and deviation, and batches.

Conventions as in `model`. Contents: `Example`, and for `model` alone `_collate`, `_mean_and_deviation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiomtl.data import augmentation, item_weights
from audiomtl.families.transfer.settings import Settings
from audiomtl.nn import yamnet


@dataclass(frozen=True, eq=False)
class Example:
    """One clip as a bag of patches."""

    clip_id: str
    patches: np.ndarray  # (n_patches, size), perhaps a memory map
    label: Any  # number of the class; of tags (classes,), 0 and 1
    weight: float | None = None  # in the loss of training; None: all are 1


def _collate(
    examples: Sequence[Example],
    classes: int,
    mixup_alpha: float,
    smoothing: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """A batch: patches of all clips one behind the other, counts, targets (clips, classes), clip ids, and
    of clips with weights item_weights (clips,), whose mean is 1.

    Mixup (Zhang et al., 2018): each clip's patches with those of another of the batch, taken round where it
    has fewer. Weights are mixed as the targets are.
    """
    parts: list[Any] = [np.asarray(one.patches) for one in examples]
    tags = np.ndim(examples[0].label) > 0
    targets: Any = np.stack([one.label for one in examples]) if tags else _one_hot(examples, classes)
    weighted = examples[0].weight is not None
    weights = np.array([one.weight for one in examples], np.float64)
    if mixup_alpha:
        shares = np.maximum(
            share := rng.beta(mixup_alpha, mixup_alpha, len(parts)).astype(np.float32), 1 - share
        )
        partner = rng.permutation(len(parts))
        others = [
            parts[other][np.arange(len(part)) % len(parts[other])]
            for part, other in zip(parts, partner, strict=True)
        ]
        parts = [
            share * part + (1 - share) * other
            for part, other, share in zip(parts, others, shares, strict=True)
        ]
        if weighted:
            (shares, _), weights = augmentation.weighted((shares, partner), weights)
        targets = shares[:, None] * targets + (1 - shares[:, None]) * targets[partner]
    return {
        "patches": np.concatenate(parts),
        "counts": np.array([len(part) for part in parts], np.int32),
        # of a tag there are two answers: it holds, or not
        "targets": (1 - smoothing) * targets + np.float32(smoothing / (2 if tags else classes)),
        "clip_ids": [one.clip_id for one in examples],
    } | ({"item_weights": item_weights.of_batch(weights)} if weighted else {})


def _one_hot(examples: Sequence[Example], classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[[one.label for one in examples]]


def _mean_and_deviation(
    settings: Settings, examples: Sequence[Example], weights: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Of the embeddings of all train patches; zeros and ones where the head takes them as they are."""
    embed = yamnet.tail(settings.fine_tune.blocks, weights, 1.0) if weights else np.asarray
    size = yamnet.SIZE if weights else examples[0].patches.shape[1]
    if not settings.head.standardise:
        return np.zeros(size), np.ones(size)
    total: Any = np.zeros(size)
    squares, count = total, 0
    for one in examples:
        rows = np.asarray(embed(np.asarray(one.patches)), np.float64)
        total, squares, count = total + rows.sum(axis=0), squares + (rows**2).sum(axis=0), count + len(rows)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
