"""Clips with several inputs: examples and batches.

Conventions as in `model`. Contents: `UNKNOWN`, `Example`, `Known`, `with_variants`, `training_batch`, and for
`model` alone `_raw`, `_as_array`, `_collate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import augmentation, catalog, fetch, item_weights, scaling
from audiomtl.data.augmentation import Variant
from audiomtl.data.features import frame_of
from audiomtl.data.pipeline import pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.scores import piano_roll
from audiomtl.data.store import FeatureStore
from audiomtl.families.fusion import inputs as modalities
from audiomtl.families.fusion.settings import Settings
from audiomtl.nn.yamnet_store import EmbeddingStore

UNKNOWN = 1  # index of a token that train does not have; 0 is padding


@dataclass(frozen=True, eq=False)
class Example:
    """One clip: the network's input for each modality, or None."""

    clip_id: str
    label: int
    values: dict[str, np.ndarray | None]
    # of train: frames of its sounds, changed, by modality
    variants: Mapping[Variant, Mapping[str, np.ndarray]] = field(default_factory=dict)
    weight: float | None = None  # in the loss of training; None: all are 1


@dataclass(frozen=True, eq=False)
class Known:
    """State fitted on the train split."""

    classes: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]  # of each text modality, sorted
    scaler: Scaler  # of the frames of sounds
    scales: dict[str, tuple[list[float], list[float]]]  # of each table modality: means and deviations
    # of one clip: (None, bands), (None, 1024), (None, 88), (None,), (height, width, 3), (numbers,)
    shapes: dict[str, tuple[int, ...]]
    # of each modality of YAMNet's embeddings: per band, and the digest of the weights' file
    scalers: Mapping[str, Scaler] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)


def _raw(
    table: pd.DataFrame, name: str, settings: Settings, variant: Variant | None = None
) -> dict[str, Any]:
    """clip id -> frames or embeddings (audio), tokens, notes, picture or numbers; None where it lacks
    them.
    """
    modality = settings.modalities[name]
    values = modalities.values_of(table, name, modality)
    if modality.kind == "audio":
        paths = sorted({value for value in values if value is not None})
        folder = catalog.cache_folder() / "features"
        if modality.embedded:
            frames = EmbeddingStore(folder, fetch.weights(modality.weights)).activations(paths)
        else:
            frames = FeatureStore(folder).features(paths, settings.features, changed=variant)
        of = dict(zip(paths, frames, strict=True))
        values = [None if value is None else of[value] for value in values]
    return dict(zip(table["clip_id"], values, strict=True))


def _as_array(value: Any, name: str, settings: Settings, known: Known) -> np.ndarray | None:
    """What the network reads of one clip, but for frames, which are scaled when a batch is made, and
    notes, which need its length.
    """
    kind = settings.modalities[name].kind
    if value is None:
        return None
    if kind == "text":
        index = {token: number for number, token in enumerate(known.vocabularies[name], start=UNKNOWN + 1)}
        return np.array([index.get(token, UNKNOWN) for token in value], np.int32)
    if kind == "table":
        mean, deviation = known.scales[name]
        return ((value - np.array(mean)) / np.array(deviation)).astype(np.float32)
    return value - np.float32(0.5) if kind == "image" else value


def _collate(
    examples: Sequence[Example], settings: Settings, known: Known, absent: Sequence[str] = ()
) -> dict[str, Any]:
    """A batch: of each modality its arrays, padded, and lengths; presence (clips, modalities); labels."""
    batch: dict[str, Any] = {}
    presence = np.zeros((len(examples), len(settings.used)), np.float32)
    sounds = (name for name, one in settings.used.items() if one.kind == "audio" and not one.embedded)
    audio = next(sounds, None)
    for number, (name, modality) in enumerate(settings.used.items()):
        rows = []
        for one, has in zip(examples, presence, strict=True):
            value = one.values[name]
            has[number] = value is not None and name not in absent
            if value is None:
                value = np.zeros(
                    [size or 0 for size in known.shapes[name]],
                    np.int32 if modality.kind == "text" else np.float32,
                )
            elif modality.kind == "audio":
                value = scaling.apply(value, known.scalers.get(name, known.scaler))
            elif modality.kind == "score":
                sound = one.values[audio] if audio else None
                # on the grid of the sound, frame by frame
                frames = (
                    len(sound)
                    if sound is not None
                    else int(frame_of(value[:, 1].max(initial=0), settings.features)) + 1
                )
                value = piano_roll(
                    [(*times, int(pitch)) for *times, pitch in value],
                    frames,
                    settings.features.seconds_per_frame,
                )
            rows.append(value)
        batch[name], batch[f"{name}_length"] = pad(rows)
    return batch | {
        "presence": presence,
        "labels": np.array([one.label for one in examples], np.int32),
        "clip_ids": [one.clip_id for one in examples],
    }


# ---------------------------------------------------------------- augmentation


def with_variants(train: Sequence[Example], rows: pd.DataFrame, settings: Settings) -> list[Example]:
    """The train clips with their sounds at other speeds and in other rooms."""
    sounds = [name for name, modality in settings.used.items() if modality.kind == "audio"]
    found: dict[str, dict[Variant, dict[str, np.ndarray]]] = {one.clip_id: {} for one in train}
    for variant in augmentation.variants(settings.augmentation):
        for name in sounds:
            for clip, frames in _raw(rows, name, settings, variant).items():
                if frames is not None:
                    found[clip].setdefault(variant, {})[name] = frames
    return [replace(one, variants=found[one.clip_id]) for one in train]


def training_batch(
    examples: Sequence[Example], settings: Settings, known: Known, *, seed: int, epoch: int
) -> dict[str, Any]:
    """A batch of train clips, changed as the augmentation says; a pure function of its arguments.

    Only sounds are changed. ``mixup`` mixes sounds, pictures and numbers, of clips that have the same
    modalities; texts and scores stay those of the clip with the larger share. With it or ``label_smoothing``
    the labels are probabilities (clips, classes). With ``item_weight`` there are item_weights (clips,), whose
    mean is 1; they are mixed as the labels are.
    """
    chosen = settings.augmentation
    where = {"seed": seed, "epoch": epoch}
    some = []
    for one in examples:
        variant = augmentation.drawn(chosen, clip=one.clip_id, **where)
        values = one.values | dict(one.variants.get(variant, {})) if variant else dict(one.values)
        for name, modality in settings.used.items():
            frames = values[name]
            if modality.kind == "audio" and frames is not None:
                values[name] = augmentation.augmented(
                    frames, chosen, settings.features, clip=one.clip_id, **where
                )
        some.append(replace(one, values=values))
    pairs = augmentation.mix(chosen, [one.clip_id for one in some], **where)
    if pairs is not None:
        has = [frozenset(name for name, value in one.values.items() if value is not None) for one in some]
        alike = [has[number] == has[other] for number, other in enumerate(pairs[1])]
        pairs = np.where(alike, pairs[0], np.float32(1)), pairs[1]
        some = [
            replace(one, values=_mixed(one, some[other], float(share), settings))
            for one, share, other in zip(some, *pairs, strict=True)
        ]
    batch = _collate(some, settings, known)
    if some[0].weight is not None:
        weights = np.array([one.weight for one in some], np.float64)
        if pairs is not None:
            pairs, weights = augmentation.weighted(pairs, weights)
        batch["item_weights"] = item_weights.of_batch(weights)
    smoothing = chosen.label_smoothing if chosen else 0.0
    if pairs is not None or smoothing:
        targets = np.eye(len(known.classes), dtype=np.float32)[batch["labels"]]
        batch["labels"] = augmentation.soft(targets, pairs, smoothing, len(known.classes))
    return batch


def _mixed(one: Example, other: Example, share: float, settings: Settings) -> dict[str, np.ndarray | None]:
    values = dict(one.values)
    for name, modality in settings.used.items():
        mine, its = one.values[name], other.values[name]
        if share == 1 or mine is None or its is None or modality.kind in ("text", "score"):
            continue
        if modality.kind == "audio":
            values[name] = augmentation.blended(mine, its, share)
        else:
            values[name] = np.float32(share) * mine + np.float32(1 - share) * its
    return values
