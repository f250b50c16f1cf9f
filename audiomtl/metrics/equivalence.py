"""Whether two sets of paired scores are equivalent: their mean difference is small, and known well enough.

Conventions: scores are paired by seed; a margin is in the unit of the score. Contents: `Equivalence`,
`equivalent`, `margin_of`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from audiomtl.metrics.intervals import paired_difference

LEVEL = 0.05  # of each of the two one-sided tests
SHARE = 0.25  # of the distance between a score and its floor


class Equivalence(NamedTuple):
    """Result of `equivalent`."""

    holds: bool
    difference: float  # mean of now - before
    low: float  # interval of 90 %, which two one-sided tests of 5 % compare with the margin
    high: float


def margin_of(mean: float, floor: float) -> float:
    """Largest mean difference that still counts as the same result: a quarter of the distance between a
    recorded mean and the floor of the score, or 0 where that is nearer (18 ms is not 0 ms).
    """
    return SHARE * min(abs(mean - floor), abs(mean))


def equivalent(
    before: Sequence[float], now: Sequence[float], margin: float, *, level: float = LEVEL
) -> Equivalence:
    """Two one-sided t tests (TOST; Schuirmann, 1987) of the paired differences ``now - before``.

    They hold if the interval of ``1 - 2 * level`` lies within ``(-margin, margin)``. Scores equal to the bit
    are equivalent whatever the margin; with one pair, others are not, because nothing is known of their
    spread.

    Parameters
    ----------
    before, now : (n,) one score per seed, in the same order.
    margin : >= 0, in the unit of the score.

    Raises
    ------
    ValueError : different numbers of scores.
    """
    if len(before) != len(now):
        raise ValueError(f"scores are paired by seed, but there are {len(before)} and {len(now)}")
    if list(before) == list(now):
        return Equivalence(True, 0.0, 0.0, 0.0)
    if not all(map(math.isfinite, [*before, *now])):
        return Equivalence(False, math.nan, math.nan, math.nan)
    difference, low, high = paired_difference(now, before, 1 - 2 * level)
    return Equivalence(bool(-margin < low and high < margin), difference, low, high)
