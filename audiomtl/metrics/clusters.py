"""Scores of clips that come in groups (speakers, songs, sources), with an interval for new groups.

Conventions: a score is a function of the sums of counts over clips, ``(..., n_counts) -> (...)``; counts are
``(..., clips, n_counts)``, such as right answers and answers. Clips of one group are not independent; groups
are. Several columns of groups may be nested (songs of an artist) or crossed (speakers and sentences).

Contents: `ratio`, `mean_recall`, `mean_f1`; `variance`, `group_limits`, `Pooled`, `pooled`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from audiomtl.metrics.intervals import FEWEST_GROUPS, Scale, fitting, limits, shrunk, stretched

Score = Callable[[np.ndarray], np.ndarray]


def ratio(sums: np.ndarray) -> np.ndarray:
    """First count by second: accuracy of (right, answers), error rate of (errors, reference length), a mean
    of (value, 1).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def mean_recall(sums: np.ndarray) -> np.ndarray:
    """Unweighted average recall (balanced accuracy) of (right of each class, clips of each class): mean over
    the classes that have clips.
    """
    right, true = np.split(np.asarray(sums, float), 2, axis=-1)
    return _mean_over_classes(right, true)


def mean_f1(sums: np.ndarray) -> np.ndarray:
    """Macro F1 of (right of each class, said and true clips of each class together): mean over the classes
    that were said or true.
    """
    right, said_and_true = np.split(np.asarray(sums, float), 2, axis=-1)
    return _mean_over_classes(2 * right, said_and_true)


def _mean_over_classes(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    there = whole > 0
    with np.errstate(invalid="ignore"):
        shares = np.where(there, part / np.where(there, whole, 1), 0).sum(axis=-1)
        return np.asarray(shares / there.sum(axis=-1))


def variance(score: Score, counts: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Variance of a score over all clips, clustered by each column of groups.

    One column: delete-a-group jackknife. Several: ``V1 + V2 - V12``, ``V12`` being clustered by what the
    columns have in common, and so on for three (Cameron, Gelbach and Miller, J. Business & Economic
    Statistics, 2011); at least the largest variance of a single column.

    Parameters
    ----------
    counts : (..., clips, n_counts). groups : columns (clips,) of names or numbers.
    """
    codes = [np.unique(np.asarray(column), return_inverse=True)[1] for column in groups]
    alone = [_jackknife(score, counts, one) for one in codes]
    total = np.sum(alone, axis=0)
    for size in range(2, len(codes) + 1):
        for some in combinations(codes, size):
            common = np.unique(np.stack(some), axis=1, return_inverse=True)[1].ravel()
            total = total + (-1) ** (size + 1) * _jackknife(score, counts, common)
    return np.maximum(total, np.max(alone, axis=0))


def _jackknife(score: Score, counts: np.ndarray, codes: np.ndarray) -> np.ndarray:
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    own = np.add.reduceat(counts[..., order, :], starts, axis=-2)  # (..., groups, n_counts)
    without = score(own.sum(axis=-2, keepdims=True) - own)  # (..., groups)
    count = len(starts)
    return np.asarray(
        (count - 1) / count * np.sum((without - without.mean(axis=-1, keepdims=True)) ** 2, axis=-1)
    )


def group_limits(
    score: Score,
    counts: np.ndarray,
    groups: Sequence[np.ndarray],
    *,
    scale: Scale,
    right_or_wrong: bool = False,
    training: tuple[np.ndarray | float, int] = (0.0, 1),
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A score over all clips, low and high of its interval for new groups.

    The variance is that of `variance`, of the score or of its logit or logarithm, whichever is larger (one
    bad speaker among good ones weighs more in the latter), with one degree of freedom less than the smallest
    number of groups; and what the training adds to it, with the degrees of freedom of Satterthwaite (1946).
    The limits are those of `intervals.limits`.

    Parameters
    ----------
    counts : (..., clips, n_counts). groups : columns (clips,), at least one.
    right_or_wrong : whether each clip is one answer that is right or wrong: then no interval is narrower than
        that of as many independent answers.
    training : variance of the score that comes from training anew, and its degrees of freedom.
    """
    value = score(counts.sum(axis=-2))
    least = min(len(np.unique(column)) for column in groups)
    scale = fitting(scale, value)
    spread = variance(score, counts, groups)
    wider = shrunk(variance(lambda sums: stretched(score(sums), scale), counts, groups), value, scale)
    spread = np.fmax(spread, wider)  # NaN where the score of some groups is 0 or 1
    more, freedom = training
    parts = spread**2 / (least - 1) + np.square(more) / freedom
    total = spread + more
    low, high = limits(
        value,
        total,
        np.where(parts > 0, total**2 / np.where(parts > 0, parts, 1), least - 1),
        least,
        scale=scale,
        level=level,
        answers=counts.shape[-2] if right_or_wrong else np.inf,
    )
    return value, low, high


@dataclass(frozen=True)
class Pooled:
    """A score over all clips, and its interval for new groups."""

    value: float
    low: float  # NaN without an interval
    high: float
    clips: int
    groups: Mapping[str, int]  # number of groups of each column
    reason: str = ""  # why there is no interval


def pooled(
    score: Score,
    counts: np.ndarray,
    groups: Mapping[str, Sequence[object] | np.ndarray],
    *,
    scale: Scale,
    right_or_wrong: bool = False,
    training: tuple[float, int] = (0.0, 1),
    level: float = 0.95,
) -> Pooled:
    """A score over all clips with an interval for new groups.

    It is that of `group_limits`; under 5 values of a column there is none.

    Parameters
    ----------
    counts : (clips, n_counts). groups : by name of the column, the group of each clip.
    right_or_wrong, training : as in `group_limits`.
    """
    clips = len(counts)
    value = float(score(np.asarray(counts, float).sum(axis=0)))
    columns = {name: np.asarray(values).astype(str) for name, values in groups.items()}
    sizes = {name: len(np.unique(column)) for name, column in columns.items()}
    if not sizes:
        return Pooled(value, np.nan, np.nan, clips, sizes, "no groups are known")
    few = {name: count for name, count in sizes.items() if count < FEWEST_GROUPS}
    if few:
        named = " and ".join(f"{count} value{'s' * (count > 1)} of {name}" for name, count in few.items())
        verb = "was" if list(few.values()) == [1] else "were"
        reason = f"only {named} {verb} tested; at least {FEWEST_GROUPS} are needed"
        return Pooled(value, np.nan, np.nan, clips, sizes, reason)
    _, low, high = group_limits(
        score,
        np.asarray(counts, float),
        list(columns.values()),
        scale=scale,
        right_or_wrong=right_or_wrong,
        training=training,
        level=level,
    )
    if not np.isfinite(low):
        reason = "without one of the groups the score does not exist, or it is the same without any of them"
        return Pooled(value, np.nan, np.nan, clips, sizes, reason)
    return Pooled(value, float(low), float(high), clips, sizes)
