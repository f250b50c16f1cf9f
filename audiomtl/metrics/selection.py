"""The bias of choosing the best of many: bootstrap bias corrected cross-validation (BBC-CV).

Each of several candidates has answered the same held-out clips. Groups of clips are drawn with replacement;
the best candidate on the drawn groups is scored on those that were not drawn. The mean over many draws
estimates the score of the chosen candidate without the luck of having been chosen, and needs no further
training (Tsamardinos, Greasidou and Borboudakis, Machine Learning 107, 2018).

Conventions: a score is a ratio of sums over groups, ``above`` and ``below`` of shape (candidates, groups).
Contents: `Corrected`, `corrected`, `FEWEST_GROUPS`.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

FEWEST_GROUPS = 20  # below which the draws say little of other groups
DRAWS = 2000


@dataclass(frozen=True)
class Corrected:
    """The score of the best candidate as it looks, and without the bias of choosing it."""

    apparent: float
    corrected: float
    low: float  # 95 % interval of the corrected score
    high: float


def corrected(
    above: np.ndarray, below: np.ndarray, direction: Literal["minimize", "maximize"], *, level: float = 0.95
) -> Corrected:
    """The best of some candidates, corrected for having been chosen.

    Parameters
    ----------
    above, below : (candidates, groups); a score is ``above.sum() / below.sum()`` over groups. Of equal
        candidates the first is best.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    groups = above.shape[1]
    random = np.random.default_rng(zlib.crc32(b"selection"))
    drawn = random.multinomial(groups, np.full(groups, 1 / groups), size=DRAWS).astype(float)
    best = _best(drawn @ above.T, drawn @ below.T, sign)  # (draws,)
    left = (drawn == 0).astype(float)  # (draws, groups)
    parts = [np.take_along_axis(left @ sums.T, best[:, None], axis=1)[:, 0] for sums in (above, below)]
    scores = _ratio(*parts)
    scores = scores[np.isfinite(scores)]
    whole = _best(above.sum(axis=1)[None], below.sum(axis=1)[None], sign)[0]
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Corrected(
        float(above[whole].sum() / below[whole].sum()), float(scores.mean()), float(low), float(high)
    )


def _best(above: np.ndarray, below: np.ndarray, sign: float) -> np.ndarray:
    """Number of the best candidate of each row: (draws, candidates) -> (draws,)."""
    scores = sign * _ratio(above, below)
    return np.asarray(np.where(np.isfinite(scores), scores, -np.inf).argmax(axis=1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / below)
