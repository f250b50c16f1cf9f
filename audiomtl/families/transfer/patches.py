"""What enters a transfer model beside YAMNet's embeddings: statistics of features, and a share of the train side.

Contents: `statistics`, `share_of`.
"""

import numpy as np
import pandas as pd

from audiomtl.families.transfer.settings import Settings


def statistics(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Mean and deviation of every feature over patches of ``patch_seconds``: (n_frames, n_bands) -> (n_patches, 2 n_bands)."""
    rate = settings.features.frames_per_second
    size, hop = max(1, round(settings.extractor.patch_seconds * rate)), max(1, round(settings.extractor.hop_seconds * rate))
    parts = [np.asarray(frames[first : first + size]) for first in range(0, max(1, len(frames) - size + hop), hop)]
    return np.stack([np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts if len(part)])


def share_of(train: pd.DataFrame, settings: Settings, seed: int) -> pd.DataFrame:
    """``train_share`` of the train side: class by class, whole groups in an order drawn from the seed, until the share is reached.

    The clips of a smaller share are among those of a greater one.
    """
    if settings.train_share == 1:
        return train
    group = settings.data.groups[0] if settings.data.groups else "clip_id"
    kept: list[str] = []
    for number, (_, rows) in enumerate(sorted(train.groupby(settings.data.label), key=lambda item: str(item[0]))):
        groups = sorted(rows[group].unique())
        wanted = settings.train_share * len(rows)
        for value in np.random.default_rng((seed, number)).permutation(np.array(groups, dtype=object)):
            if wanted <= 0:
                break
            some = rows.loc[rows[group] == value, "clip_id"]
            kept += list(some)
            wanted -= len(some)
    return train[train["clip_id"].isin(kept)].reset_index(drop=True)
