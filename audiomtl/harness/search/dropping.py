"""When a trial that is judged by several trainings is not worth the rest of them.

After k of n trainings a trial is compared with the best complete trial on the clips that both have answered.
The difference of their scores in these k trainings is known; that of the other n - k is not, but the clips
say how it may come out. It is drawn many times: groups of clips (speakers, songs) are drawn with
replacement, once for what the seen groups say of any group and once for the groups that are not seen yet. The
trial is dropped where the mean over all n trainings is better than that of the best in fewer than
`LEAST_CHANCE` of the draws, by more than what can be told apart (`MATERIAL` standard errors of the best's own
score). Comparing predictions in this way follows Tsamardinos et al. (2018), bootstrap bias corrected
cross-validation with dropping; that the known part counts as known is our own addition.

With fewer than `LEAST_GROUPS` groups single clips are drawn, from the second training on. Where a score has
no parts clip by clip (one over events), the means of the trainings decide: a trial is dropped if it was worse
in each of at least `LEAST_TRAININGS`, and its mean by more than `FAR` standard deviations of their
differences.

Contents: `Answers`, `chance`, `chance_of_means`, `LEAST_CHANCE`.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audiomtl.metrics.per_clip import parts

LEAST_CHANCE = 0.2
MATERIAL = 0.25  # standard errors of the best trial's score
DRAWS = 2000
LEAST_GROUPS = 5  # that both have answered, below which nothing is dropped
LEAST_TRAININGS = 3
FAR = 3.0  # standard deviations


@dataclass(frozen=True)
class Answers:
    """A score of one training, group by group (or clip by clip).

    ``above`` and ``below`` are sums over the clips of each group: (groups,).
    """

    groups: tuple[str, ...]
    above: np.ndarray
    below: np.ndarray

    @property
    def score(self) -> float:
        return float(self.above.sum() / self.below.sum())


def answers(table: pd.DataFrame, score: str, groups: Sequence[str]) -> Answers | None:
    """A score of a table of predictions by group; None where it has no parts clip by clip.

    Parameters
    ----------
    score : without its side. groups : columns whose values stay together; of several the first. Without any
        every clip is a group of its own.
    """
    found = parts(table, score)
    if found is None or found.below.sum() <= 0:
        return None
    column = next((name for name in groups if name in table.columns), "clip_id")
    frame = pd.DataFrame({"group": table[column].astype(str), "above": found.above, "below": found.below})
    sums = frame.groupby("group", sort=True).sum()
    return Answers(tuple(sums.index), sums["above"].to_numpy(), sums["below"].to_numpy())


def chance(
    mine: Sequence[Answers], best: Sequence[Answers], total: int, direction: str, *, same_clips: bool
) -> float:
    """Probability that a trial is better than the best one by more than can be told apart, over ``total``
    trainings.

    Parameters
    ----------
    mine, best : of the trainings that the trial has had, and of the best trial's same ones, in their order.
    same_clips : every training answers the same clips (over seeds), rather than others (over folds).
    """
    sign = 1.0 if direction == "maximize" else -1.0
    known = float(np.mean([sign * (one.score - other.score) for one, other in zip(mine, best, strict=True)]))
    gains = [_gains(one, other, sign) for one, other in zip(mine, best, strict=True)]
    own = [_gains(one, None, sign) for one in best]
    join = (lambda rows: np.mean(rows, axis=0)) if same_clips else np.concatenate
    of_groups, of_best = join(gains), join(own)  # (groups,)
    left, random = total - len(mine), np.random.default_rng(zlib.crc32(b"dropping"))
    unseen = left * len(of_groups) / (1 if same_clips else len(mine))
    said = random.choice(of_groups, (DRAWS, len(of_groups))).mean(axis=1)  # of any group, by those seen
    later = said + of_groups.std() / np.sqrt(unseen) * random.standard_normal(DRAWS)
    final = (len(mine) * known + left * later) / total
    whole = len(of_best) * (1 if same_clips else total / len(mine))  # groups, when all trainings are done
    return float((final > MATERIAL * of_best.std() / np.sqrt(whole)).mean())


def _gains(one: Answers, other: Answers | None, sign: float) -> np.ndarray:
    """What each group adds to the difference of two scores (or to one score): their mean is the whole.

    The first order of the ratio of two sums: (groups,).
    """
    share = one.below.mean()
    of_one = one.score + (one.above - one.score * one.below) / share
    if other is None:
        return sign * of_one
    at = {group: place for place, group in enumerate(other.groups)}
    order = [at[group] for group in one.groups]
    share = other.below.mean()
    of_other = other.score + (other.above - other.score * other.below)[order] / share
    return sign * (of_one - of_other)


def comparable(mine: Sequence[Answers | None], best: Sequence[Answers | None]) -> bool:
    """Whether all trainings have answers, and of the same groups."""
    return all(
        one is not None and other is not None and set(one.groups) == set(other.groups)
        for one, other in zip(mine, best, strict=True)
    )


def chance_of_means(mine: Sequence[float], best: Sequence[float], direction: str) -> float:
    """0 for a trial that is far below the best by the scores of its trainings alone, else 1."""
    sign = 1.0 if direction == "maximize" else -1.0
    gains = sign * (np.array(mine) - np.array(best))
    if len(gains) < LEAST_TRAININGS or gains.max() >= 0:
        return 1.0
    return 0.0 if gains.mean() < -FAR * gains.std(ddof=1) else 1.0


def enough_groups(mine: Sequence[Answers | None]) -> bool:
    """Whether groups can be drawn, and not clips."""
    return len({group for one in mine if one is not None for group in one.groups}) >= LEAST_GROUPS
