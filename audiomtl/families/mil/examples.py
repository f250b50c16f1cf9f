"""Clips as bags of windows: examples and batches.

Conventions as in `model`. Contents: `Example`, `with_variants`, `training_batch`, `window_seconds`, and for
`model` alone `_examples`, `_bands`, `_leaky`, `_length`, `_collate`, `_drawn`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import (
    augmentation,
    catalog,
    fetch,
    item_weights,
    normalization,
    protocols,
    scaling,
    splits,
    windows,
)
from audiomtl.data.augmentation import Variant
from audiomtl.data.scaling import Scaler
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families.mil.settings import EMBEDDINGS, Settings
from audiomtl.nn import yamnet
from audiomtl.nn.yamnet_store import EmbeddingStore


@dataclass(frozen=True, eq=False)
class Example:
    """One clip as a bag. ``frames`` may be a memory map; scaling and cutting happen when a batch is made."""

    clip_id: str
    frames: np.ndarray  # (n_frames, n_bands) features; (n_windows, size) stored embeddings
    first: np.ndarray  # (n_windows,) first frame of each window
    label: Any  # number of the class; of tags (classes,), 0 and 1
    # seconds in which the evidence for the label is; None: not known
    passages: tuple[tuple[float, float], ...] | None
    # of train: (frames, first) of the sound changed
    variants: Mapping[Variant, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    weight: float | None = None  # in the loss of training; None: all are 1


def with_variants(train: Sequence[Example], table: pd.DataFrame, settings: Settings) -> list[Example]:
    """The train clips with their sounds at other speeds and in other rooms."""
    paths = dict(zip(table["clip_id"], table["path"], strict=True))
    store = FeatureStore(catalog.cache_folder() / "features")
    found: dict[str, dict[Variant, tuple[np.ndarray, np.ndarray]]] = {one.clip_id: {} for one in train}
    for variant in augmentation.variants(settings.augmentation):
        changed = store.features([paths[one.clip_id] for one in train], settings.features, changed=variant)
        rows = table.set_index("clip_id", drop=False).loc[[one.clip_id for one in train]]
        changed = normalization.by_column(rows, changed, settings.features.normalize_by)
        for one, frames in zip(train, changed, strict=True):
            first = windows.starts(len(frames), settings.windows, settings.features)
            if len(first):  # a clip that is played faster may be too short for a window
                found[one.clip_id][variant] = (frames, first)
    return [replace(one, variants=found[one.clip_id]) for one in train]


def _examples(table: pd.DataFrame, settings: Settings, *, trained: bool = False) -> list[Example]:
    """Every clip of the table as a bag; labels come later.

    Parameters
    ----------
    trained : whether the clips are new ones of a trained model, which may lack features.normalize_by.
    """
    stored = next((name for name in ("embedding_path", "array_path") if name in table.columns), "")
    if (settings.network.window == "embedding") != (stored == "embedding_path"):
        raise UserError(
            f'network.window = "{settings.network.window}": stored embeddings (a column embedding_path) and'
            ' the window network "embedding" '
            "need each other, but the clip table has"
            f" {'embedding_path' if stored == 'embedding_path' else 'no such column'}"
        )
    if settings.network.window == "yamnet":
        if stored:
            raise UserError(
                f'network.window = "yamnet" reads sound, but the clip table has a column {stored}; give one'
                " with a column path"
            )
        frames = EmbeddingStore(
            catalog.cache_folder() / "features", fetch.weights(settings.network.weights)
        ).activations(list(table["path"]))
    elif stored:
        frames = [np.asarray(np.load(path, allow_pickle=False), np.float32) for path in table["path"]]
        wrong = [
            clip
            for clip, one in zip(table["clip_id"], frames, strict=True)
            if one.shape[1] != _bands(settings, frames)
        ]
        if wrong:
            raise UserError(
                f"{stored}: {_bands(settings, frames)} columns are required in every array; different shapes:"
                f" {', '.join(wrong[:5])}"
            )
    else:
        frames = FeatureStore(catalog.cache_folder() / "features").features(
            list(table["path"]), settings.features
        )
    by = settings.features.normalize_by
    frames = normalization.by_column(table, frames, by, needed=not trained)
    if settings.network.window in EMBEDDINGS:
        firsts = [np.arange(len(one)) for one in frames]
    else:
        firsts = [windows.starts(len(one), settings.windows, settings.features) for one in frames]
    if empty := [clip for clip, first in zip(table["clip_id"], firsts, strict=True) if not len(first)]:
        raise UserError(
            f'windows.tail = "{settings.windows.tail}": {len(empty)} clips have no window of'
            f' {settings.windows.seconds} s ({", ".join(empty[:5])}): use tail = "pad", a shorter window, or'
            " leave them out"
        )
    passages = table["passages"] if "passages" in table.columns else [None] * len(table)
    known = [
        None if spans is None else tuple((float(start), float(end)) for start, end in spans)
        for spans in passages
    ]
    return [
        Example(*row) for row in zip(table["clip_id"], frames, firsts, [-1] * len(table), known, strict=True)
    ]


def _bands(settings: Settings, frames: Sequence[np.ndarray]) -> int:
    return frames[0].shape[1] if settings.network.window in EMBEDDINGS else settings.features.n_bands


def _leaky(
    table: pd.DataFrame, examples: dict[str, Example], settings: Settings, seed: int
) -> tuple[splits.Splits, dict[str, list[Example]]]:
    """Leaky split, for comparison only: the windows of one clip are distributed over all splits.

    Every split has the same clips, each with different windows.
    """
    shares = {"test": settings.protocol.test_share, "validation": settings.protocol.validation_share}
    counts = {clip: len(one.first) for clip, one in examples.items()}
    dealt = protocols.leaky_windows(counts, shares, protocols.seed_of(settings.protocol, seed))
    chosen = {
        side: [
            replace(examples[clip], first=examples[clip].first[numbers])
            for clip, numbers in sorted(clips.items())
            if len(numbers)
        ]
        for side, clips in dealt.items()
    }
    rows = table.set_index("clip_id", drop=False)
    sides = {
        side: rows.loc[[one.clip_id for one in some]].reset_index(drop=True) for side, some in chosen.items()
    }
    return splits.Splits(**sides, dropped=0), chosen


def _length(settings: Settings) -> int:
    """Frames of a window at the network's input."""
    vectors = settings.network.window in EMBEDDINGS
    return 1 if vectors else windows.window_frames(settings.windows, settings.features)


def window_seconds(settings: Settings) -> tuple[float, float]:
    """Seconds from one number of `Example.first` to the next, and the length of a window; NaN for stored
    embeddings.
    """
    if settings.network.window == "embedding":
        return np.nan, np.nan
    if settings.network.window == "yamnet":
        return yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE, yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE
    step = settings.features.seconds_per_frame
    return step, _length(settings) * step


def _collate(
    examples: Sequence[Example], chosen: Sequence[np.ndarray], scaler: Scaler, length: int
) -> dict[str, Any]:
    """A batch: windows (n_windows, bands, frames, 1) of all clips one behind the other, counts and labels
    (bags,), of tags (bags, classes), clip ids.
    """
    some = [
        windows.cut(scaling.apply(one.frames, scaler), one.first[numbers], length)
        for one, numbers in zip(examples, chosen, strict=True)
    ]
    return {
        "windows": np.ascontiguousarray(np.concatenate(some).transpose(0, 2, 1))[..., None],
        "counts": np.array([len(numbers) for numbers in chosen], np.int32),
        "labels": np.array([one.label for one in examples], np.int32),
        "clip_ids": [one.clip_id for one in examples],
    }


def training_batch(
    examples: Sequence[Example],
    indices: Sequence[int],
    scaler: Scaler,
    settings: Settings,
    *,
    classes: int,
    seed: int,
    epoch: int,
) -> dict[str, Any]:
    """A batch of train clips, changed as the augmentation says; a pure function of its arguments.

    With ``mixup`` or ``label_smoothing`` its labels are probabilities (bags, classes). With ``item_weight``
    it has item_weights (bags,), whose mean is 1; they are mixed as the labels are.
    """
    chosen, some = settings.augmentation, list[Example]()
    for one in (examples[index] for index in indices):
        variant = augmentation.drawn(chosen, seed=seed, epoch=epoch, clip=one.clip_id)
        frames, first = (
            one.variants.get(variant, (one.frames, one.first)) if variant else (one.frames, one.first)
        )
        where = {"seed": seed, "epoch": epoch}
        frames = augmentation.augmented(frames, chosen, settings.features, clip=one.clip_id, **where)
        some.append(replace(one, frames=frames, first=first))
    pairs = augmentation.mix(chosen, [one.clip_id for one in some], seed=seed, epoch=epoch)
    if pairs is not None:
        frames_of = [one.frames for one in some]
        some = [
            replace(one, frames=augmentation.blended(one.frames, frames_of[other], float(share)))
            for one, share, other in zip(some, *pairs, strict=True)
        ]
    numbers = [
        _drawn(len(one.first), settings.windows.bag_windows, seed=seed, epoch=epoch, clip=int(index))
        for one, index in zip(some, indices, strict=True)
    ]
    batch = _collate(some, numbers, scaler, _length(settings))
    if some[0].weight is not None:
        weights = np.array([one.weight for one in some], np.float64)
        if pairs is not None:
            pairs, weights = augmentation.weighted(pairs, weights)
        batch["item_weights"] = item_weights.of_batch(weights)
    smoothing = chosen.label_smoothing if chosen else 0.0
    if pairs is not None or smoothing:
        tags = batch["labels"].ndim > 1
        targets = (
            batch["labels"].astype(np.float32) if tags else np.eye(classes, dtype=np.float32)[batch["labels"]]
        )
        batch["labels"] = augmentation.soft(targets, pairs, smoothing, 2 if tags else classes)
    return batch


def _drawn(n_windows: int, bag_windows: int, *, seed: int, epoch: int, clip: int) -> np.ndarray:
    """Numbers of the windows that one clip gives to one epoch, in order; a pure function of its arguments."""
    if not bag_windows or n_windows <= bag_windows:
        return np.arange(n_windows)
    return np.sort(np.random.default_rng((seed, epoch, clip)).choice(n_windows, bag_windows, replace=False))
