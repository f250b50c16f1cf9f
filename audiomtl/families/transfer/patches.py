"""From a clip table to patches: stored frozen embeddings; and a fraction of the train split.

Contents: `patches_of`, `statistics`, `patch_seconds`, `share_of`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from audiomtl.data import catalog
from audiomtl.data.store import FeatureStore
from audiomtl.data.tags import classes_of
from audiomtl.errors import UserError
from audiomtl.families.transfer.settings import Settings
from audiomtl.nn import yamnet, yamnet_store


def share_of(train: pd.DataFrame, settings: Settings, seed: int) -> pd.DataFrame:
    """``train_share`` of the train side: class by class, whole groups in an order drawn from the seed, until
    the share is reached.

    The clips of a smaller share are among those of a greater one. Of several labels per clip every tag keeps
    a group at least, and the rest are drawn from all.
    """
    if settings.train_share == 1:
        return train
    if settings.data.labels == "several":
        return _share_of_tags(train, settings, seed)
    group = settings.data.groups[0] if settings.data.groups else "clip_id"
    kept: list[str] = []
    for number, (_, rows) in enumerate(
        sorted(train.groupby(settings.data.label), key=lambda item: str(item[0]))
    ):
        groups = sorted(rows[group].unique())
        wanted = settings.train_share * len(rows)
        for value in np.random.default_rng((seed, number)).permutation(np.array(groups, dtype=object)):
            if wanted <= 0:
                break
            some = rows.loc[rows[group] == value, "clip_id"]
            kept += list(some)
            wanted -= len(some)
    return train[train["clip_id"].isin(kept)].reset_index(drop=True)


def _share_of_tags(train: pd.DataFrame, settings: Settings, seed: int) -> pd.DataFrame:
    """Groups in a drawn order, until the share is reached; first one of each tag, the rarest tags first."""
    group = settings.data.groups[0] if settings.data.groups else "clip_id"
    held: dict[str, set[str]] = {}
    for value, cell in zip(train[group], train[settings.data.label], strict=True):
        held.setdefault(value, set()).update(cell)
    order = [sorted(held)[number] for number in np.random.default_rng(seed).permutation(len(held))]
    tags = classes_of(train[settings.data.label])
    first: list[str] = []
    for tag in sorted(tags, key=lambda tag: (sum(tag in own for own in held.values()), tag)):
        if not any(tag in held[value] for value in first):
            first.append(next(value for value in order if tag in held[value]))
    kept, wanted = set[str](), settings.train_share * len(train)
    for value in [*first, *(value for value in order if value not in first)]:
        if value not in first and train[group].isin(kept).sum() >= wanted:
            break
        kept.add(value)
    return train[train[group].isin(kept)].reset_index(drop=True)


def patches_of(table: pd.DataFrame, settings: Settings, weights: Path | None) -> list[np.ndarray]:
    """Input of the head for every clip, (n_patches, size)."""
    stored = "embedding_path" in table.columns
    if stored != (settings.extractor.kind == "stored"):
        raise UserError(
            f'extractor.kind = "{settings.extractor.kind}": stored embeddings (a column embedding_path) and'
            ' the kind "stored" need each '
            f"other, but the clip table has {'embedding_path' if stored else 'no such column'}"
        )
    if stored:
        arrays = [np.asarray(np.load(path, allow_pickle=False), np.float32) for path in table["path"]]
        wrong = [
            clip
            for clip, one in zip(table["clip_id"], arrays, strict=True)
            if one.ndim != 2 or one.shape[1] != arrays[0].shape[1]
        ]
        if wrong:
            raise UserError(
                f"embedding_path: arrays (patches, {arrays[0].shape[-1]}) are required; different shapes:"
                f" {', '.join(wrong[:5])}"
            )
        return arrays
    folder = catalog.cache_folder() / "features"
    if weights:
        return yamnet_store.EmbeddingStore(folder, weights, settings.fine_tune.blocks).activations(
            list(table["path"])
        )
    return [
        statistics(one, settings)
        for one in FeatureStore(folder).features(list(table["path"]), settings.features)
    ]


def statistics(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Mean and deviation of every feature over patches of ``patch_seconds``: (n_frames, n_bands) ->
    (n_patches, 2 n_bands).
    """
    rate = settings.features.frames_per_second
    size, hop = (
        max(1, round(settings.extractor.patch_seconds * rate)),
        max(1, round(settings.extractor.hop_seconds * rate)),
    )
    parts = [
        np.asarray(frames[first : first + size]) for first in range(0, max(1, len(frames) - size + hop), hop)
    ]
    return np.stack([np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts if len(part)])


def patch_seconds(settings: Settings) -> tuple[float, float]:
    """Length and hop of a patch in seconds; NaN for stored embeddings."""
    if settings.extractor.kind == "yamnet":
        return yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE, yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE
    stored = settings.extractor.kind == "stored"
    return (np.nan, np.nan) if stored else (settings.extractor.patch_seconds, settings.extractor.hop_seconds)
