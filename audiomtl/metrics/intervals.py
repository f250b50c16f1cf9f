"""Confidence intervals of scores.

Conventions: a score has a *scale*, which its limits never leave: ``"share"`` in [0, 1], ``"rate"`` at least 0
(an error rate can exceed 1), ``"any"``. Replicates are independent test sets, such as distinct folds; seeds
that test the same clips are repetitions of one replicate.

Contents: `t_interval`, `paired_difference`; `scale_of`, `fitting`, `stretched`, `shrunk`, `limits`;
`Replicated`, `over_folds`, `training_variance`, `limits_of_mean`; `jackknife_interval`. Scores of pooled
clips: `clusters`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Scale = Literal["share", "rate", "any"]

# below, no interval over groups holds what it says: of nominal 95 % a bootstrap covers 0 / 49 % at 1 / 2
# groups
FEWEST_GROUPS = 5
NO_VARIANCE = 1e-16  # what rounding leaves of equal scores
# parts of names of scores in [0, 1], and of those that are at least 0
SHARES = re.compile(r"(^|_)(accuracy|f1|recall|precision|auc|psds|within|perceptual|false_alarm)(_|$)")
RATES = re.compile(r"(^|_)(error|rate|ms|loss|l1)(_|$)")


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student t interval of values that are independent, such as one score per seed.

    Parameters
    ----------
    values : array (n,), float
        n >= 1, finite.
    level : float
        Share of such intervals that hold the true mean, in (0, 1).

    Returns
    -------
    mean, low, high : floats. With one value nothing is known of the spread: low and high are NaN.
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.all(np.isfinite(array)):
        raise ValueError(
            f"values must be one dimension of at least one finite number, but got {array.tolist()}"
        )
    _check_level(level)
    mean, n = float(array.mean()), array.size
    if n == 1:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def paired_difference(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of ``a - b`` and its `t_interval`, paired by position (the same seed on both sides)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(
            f"a and b are paired by position and must have one shape, but got {first.shape} and"
            f" {second.shape}"
        )
    return t_interval(first - second, level)


# ---------------------------------------------------------------- limits within the scale


def scale_of(score: str) -> Scale:
    """The scale of a score by its name, with or without a side: ``test/accuracy`` is a share,
    ``phone_error_rate`` a rate. A name that says nothing is on any scale.
    """
    name = score.rpartition("/")[2]
    return "share" if SHARES.search(name) else "rate" if RATES.search(name) else "any"


def fitting(scale: Scale, values: np.ndarray) -> Scale:
    """The scale, or "any" where a value lies outside it, such as an accuracy in percent."""
    outside = (values < 0).any() or (scale == "share" and (values > 1).any())
    return "any" if outside else scale


def stretched(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values without the bounds of their scale: the logit of shares, the logarithm of rates; NaN at a
    bound.
    """
    if scale == "any":
        return values
    inside = (values > 0) & ((values < 1) | (scale == "rate"))
    some = np.where(inside, values, 0.5)
    return np.where(inside, np.log(some) if scale == "rate" else np.log(some / (1 - some)), np.nan)


def shrunk(variance: np.ndarray, value: np.ndarray, scale: Scale) -> np.ndarray:
    """Variance of `stretched` values as one of the values themselves (delta method), at ``value``."""
    slope = {"any": 1.0, "rate": value, "share": value * (1 - value)}[scale]
    return np.asarray(variance * np.square(slope))


def limits(
    value: np.ndarray | float,
    variance: np.ndarray | float,
    freedom: np.ndarray | float,
    groups: int,
    *,
    scale: Scale,
    level: float = 0.95,
    answers: float = math.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of an interval around a score with a known variance, within the score's scale.

    On the scale "share" the interval of Korn and Graubard (Survey Methodology, 1998): Clopper and Pearson's
    for ``n = p (1 - p) / variance * (z / t)^2`` independent answers, ``z`` and ``t`` being the quantiles of
    the normal and of Student's distribution. On "rate" Student's t interval of the logarithm, on "any" of the
    score. A score of 0 or 1, or one without variance, says nothing of how groups differ: then each group
    counts as one answer. A rate above 0 without variance has no limits (NaN).

    Parameters
    ----------
    value, variance : of one shape, or numbers. freedom : degrees of freedom of the variance, >= 1.
    groups : over which the variance was taken.
    level : share of such intervals that hold the true score, in (0, 1).
    answers : number of answers that are right or wrong: no interval is narrower than that of so many
        independent ones.
    """
    from scipy.special import betaincinv, ndtri, stdtrit

    _check_level(level)
    tail = (1 - level) / 2
    t, p, spread = stdtrit(freedom, 1 - tail), np.asarray(value, float), np.asarray(variance, float)
    if scale == "any":
        return p - t * np.sqrt(spread), p + t * np.sqrt(spread)
    if np.any(p < 0) or (scale == "share" and np.any(p > 1)):
        raise ValueError(
            f"a score on the scale {scale} must be {'in [0, 1]' if scale == 'share' else 'at least 0'}, but"
            f" got {p}"
        )
    seen = (spread > NO_VARIANCE) & (p > 0) & ((p < 1) | (scale == "rate"))
    part, known = np.where(seen, p, 0.5), np.where(seen, spread, 1.0)
    if scale == "rate":
        factor = np.exp(t * np.sqrt(known) / part)
        none = 1 - tail ** (1 / groups)  # a rate of 0: that of no error in as many answers as groups
        low, high = np.where(p > 0, p / factor, 0), np.where(p > 0, p * factor, none)
        unknown = ~seen & (p > 0)
        return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
    n = np.where(seen, part * (1 - part) / known * (ndtri(1 - tail) / t) ** 2, groups)
    n = np.minimum(n, answers)
    right, wrong = n * p, n * (1 - p)
    low = np.where(right > 0, betaincinv(np.maximum(right, 1e-12), wrong + 1, tail), 0.0)
    high = np.where(wrong > 0, betaincinv(right + 1, np.maximum(wrong, 1e-12), 1 - tail), 1.0)
    return low, high


# ---------------------------------------------------------------- over folds


@dataclass(frozen=True)
class Replicated:
    """A score over the folds of an experiment, and what varies."""

    mean: float  # of the folds' means
    low: float  # of the interval over folds; with one fold over its seeds; NaN without an interval
    high: float
    folds: int  # distinct ones
    between_folds: float  # standard deviation of the folds' means; NaN with one fold
    within_folds: float  # standard deviation over the seeds of a fold, pooled; NaN with one seed per fold


def over_folds(
    values: Sequence[float] | np.ndarray,
    folds: Sequence[int],
    *,
    scale: Scale = "any",
    level: float = 0.95,
) -> Replicated:
    """Mean and interval over distinct folds: scores of one fold are averaged first.

    With one fold the interval is over its seeds: it is the spread of the training on the same test clips, and
    says nothing of other clips.

    Parameters
    ----------
    values : (n,) finite, one score per seed. folds : (n,) test fold of each seed. scale : see `fitting`.
    """
    array, names = np.asarray(values, float), np.asarray(folds)
    if array.ndim != 1 or array.shape != names.shape or not array.size or not np.all(np.isfinite(array)):
        raise ValueError(
            f"values must be finite and one per fold number, but got shapes {array.shape} and {names.shape}"
        )
    _check_level(level)
    scale = fitting(scale, array)
    _, index, sizes = np.unique(names, return_inverse=True, return_counts=True)
    means = np.bincount(index, array) / sizes  # (folds,)
    repeated = array.size - len(means)
    rest = float(np.sum((array - means[index]) ** 2))
    within = math.sqrt(rest / repeated) if repeated else math.nan
    between = float(means.std(ddof=1)) if len(means) > 1 else math.nan
    low, high = map(float, limits_of_mean(means if len(means) > 1 else array, scale=scale, level=level))
    return Replicated(float(means.mean()), low, high, len(means), between, within)


def training_variance(values: Sequence[float] | np.ndarray, folds: Sequence[int]) -> tuple[float, int]:
    """Variance of a mean over folds that comes from training with other seeds, and its degrees of freedom.

    ``sum(s_f^2 / m_f) / k^2`` over the k folds, with ``s_f^2`` the variance over the ``m_f`` seeds of a fold;
    (0, 1) where no fold has several seeds: then nothing is known of it.
    """
    array, names = np.asarray(values, float), np.asarray(folds)
    of_fold = [array[names == name] for name in np.unique(names)]
    freedom = sum(one.size - 1 for one in of_fold)
    if not freedom:
        return 0.0, 1
    return sum(one.var(ddof=1) / one.size for one in of_fold if one.size > 1) / len(of_fold) ** 2, freedom


def limits_of_mean(values: np.ndarray, *, scale: Scale, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Low and high around the mean of independent values (..., n), within the scale; NaN with one value."""
    count = values.shape[-1]
    if count == 1:
        return np.full(values.shape[:-1], np.nan), np.full(values.shape[:-1], np.nan)
    spread = values.var(axis=-1, ddof=1) / count
    return limits(values.mean(axis=-1), spread, count - 1, count, scale=scale, level=level)


def jackknife_interval(
    whole: float,
    without: Sequence[float] | np.ndarray,
    level: float = 0.95,
    *,
    scale: Scale = "any",
) -> tuple[float, float, float]:
    """A score and an interval from the scores without each group in turn: for scores that are no mean over
    clips, such as an error rate or an F-measure.

    The variance is ``(G - 1) / G * sum((s_g - mean(s))^2)``, with G - 1 degrees of freedom (Efron and Stein,
    1981; delete-a-group jackknife, Kott, 2001); the limits are those of `limits`.

    Parameters
    ----------
    whole : score of all clips. without : (G,) score of all clips but those of group g.

    Returns
    -------
    score, low, high

    Raises
    ------
    ValueError : under 5 groups.
    """
    array = np.asarray(without, dtype=float)
    if array.ndim != 1 or not np.all(np.isfinite(array)) or not np.isfinite(whole):
        raise ValueError(f"scores must be finite, but got {whole} and {array.tolist()}")
    count = array.size
    if count < FEWEST_GROUPS:
        raise ValueError(f"{count} groups are too few, {FEWEST_GROUPS} are needed")
    variance = (count - 1) / count * np.sum((array - array.mean()) ** 2)
    scale = fitting(scale, np.append(array, whole))
    low, high = limits(float(whole), variance, count - 1, count, scale=scale, level=level)
    return float(whole), float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
