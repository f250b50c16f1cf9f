"""Clips with several inputs: examples and batches.

Conventions as in `model`. Contents: `UNKNOWN`, `Example`, `Known`, and for `model` alone `_raw`, `_as_array`,
`_collate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import catalog, scaling
from audiomtl.data.features import frame_of
from audiomtl.data.pipeline import pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.scores import piano_roll
from audiomtl.data.store import FeatureStore
from audiomtl.families.fusion import inputs as modalities
from audiomtl.families.fusion.settings import Settings

UNKNOWN = 1  # index of a token that train does not have; 0 is padding


@dataclass(frozen=True, eq=False)
class Example:
    """One clip: the network's input for each modality, or None."""

    clip_id: str
    label: int
    values: dict[str, np.ndarray | None]


@dataclass(frozen=True, eq=False)
class Known:
    """State fitted on the train split."""

    classes: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]  # of each text modality, sorted
    scaler: Scaler  # of the frames of sounds
    scales: dict[str, tuple[list[float], list[float]]]  # of each table modality: means and deviations
    # of one clip: (None, bands), (None, 88), (None,), (height, width, 3), (numbers,)
    shapes: dict[str, tuple[int, ...]]


def _raw(table: pd.DataFrame, name: str, settings: Settings) -> dict[str, Any]:
    """clip id -> frames (audio), tokens, notes, picture or numbers; None where it lacks them."""
    values = modalities.values_of(table, name, settings.modalities[name])
    if settings.modalities[name].kind == "audio":
        paths = sorted({value for value in values if value is not None})
        frames = FeatureStore(catalog.cache_folder() / "features").features(paths, settings.features)
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
    audio = next((name for name, modality in settings.used.items() if modality.kind == "audio"), None)
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
                value = scaling.apply(value, known.scaler)
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
