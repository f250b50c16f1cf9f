"""mixup: a clip and its label mixed with another of the batch (Zhang et al., 2018)."""

from collections.abc import Sequence

import numpy as np

from audiomtl.settings.augmentation import Mixup


def partners(
    names: Sequence[str], own: Mixup, generators: Sequence[np.random.Generator]
) -> tuple[np.ndarray, np.ndarray]:
    """For each clip of a batch its share (clips,), at least a half, and the number of the other (clips,).

    Parameters
    ----------
    generators : one for each clip, and a last one for the batch.
    """
    *each, of_batch = generators
    order = of_batch.permutation(len(names))
    shares = np.ones(len(names), np.float32)
    for number, random in enumerate(each):
        chosen, share = random.uniform() < own.probability, random.beta(own.alpha, own.alpha)
        if chosen:
            shares[number] = max(share, 1 - share)
    return shares, order


def blended(mine: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Rows of one clip with those of another, which is taken round where it is shorter."""
    if share == 1:
        return np.asarray(mine)
    return np.float32(share) * mine + np.float32(1 - share) * other[np.arange(len(mine)) % len(other)]
