"""Stratified division of clips with several labels: whole groups, every tag on every side where possible.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, 2011) over groups in place of clips: tags from the
rarest to the most frequent, each group where its tag is needed most; then groups are exchanged as long as
that brings a tag to a side that lacks it.

Contents: `deal`, `unscored`, `check_tags`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from audiomtl.data import tags
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError

ROUNDS = 200  # exchanges at most
TRIED = 50  # clusters that are tried for one exchange


def deal(
    cluster: pd.Series,
    label: pd.Series,
    shares: Mapping[str, float],
    random: np.random.Generator,
    at_least: Sequence[int] = (),
) -> pd.Series:
    """Whole clusters to bins, so that every bin comes near to its share of every tag and of all clips.

    Parameters
    ----------
    cluster : number of each clip's cluster. label : tuple of each clip's tags.
    shares : of each bin, by name. random : breaks ties.
    at_least : clusters that each bin must have, and if possible of every tag (1).

    Returns
    -------
    the bin of each clip
    """
    row, clusters = pd.factorize(cluster, sort=True)
    classes, names = tags.classes_of(label), list(shares)
    least = np.array(at_least or [1] * len(names))
    counts = np.zeros((len(clusters), len(classes)))  # clips of each cluster that have each tag
    for number, cell in zip(row.tolist(), label, strict=True):
        counts[number] += tags.target(cell, classes)
    sizes = np.bincount(row, minlength=len(clusters)).astype(float)
    share = np.array(list(shares.values()))
    chosen = _dealt(counts, sizes, share, least, random)
    chosen = _exchanged(chosen, counts, sizes, share, least)
    return pd.Series([names[number] for number in chosen[row].tolist()], index=cluster.index)


def _dealt(
    counts: np.ndarray, sizes: np.ndarray, share: np.ndarray, least: np.ndarray, random: np.random.Generator
) -> np.ndarray:  # (clusters,)
    """A bin for each cluster, rarest tags first."""
    needed = np.outer(share, counts.sum(axis=0))  # (bins, classes) clips that each bin still should get
    needed_clips = share * sizes.sum()
    order = random.permutation(len(sizes))
    chosen, lacking = np.full(len(sizes), -1), least.copy()
    while (left := order[chosen[order] < 0]).size:
        present = (counts[left] > 0).sum(axis=0)  # clusters left of each tag
        tag = int(np.where(present > 0, present, len(sizes) + 1).argmin()) if present.any() else -1
        some = left[counts[left, tag] > 0] if tag >= 0 else left
        value = counts[some, tag] if tag >= 0 else sizes[some]
        index = int(some[np.argmax(value)])  # the largest first, of equal ones the first drawn
        allowed = lacking > 0 if len(left) <= lacking.sum() else np.ones(len(share), bool)
        want = needed[:, tag] if tag >= 0 else np.zeros(len(share))
        best = int(np.lexsort((np.round(needed_clips, 9), np.round(want, 9), allowed))[-1])
        chosen[index] = best
        needed[best] -= counts[index]
        needed_clips[best] -= sizes[index]
        lacking[best] = max(lacking[best] - 1, 0)
    return chosen


def _exchanged(
    chosen: np.ndarray, counts: np.ndarray, sizes: np.ndarray, share: np.ndarray, least: np.ndarray
) -> np.ndarray:  # (clusters,)
    """The bins after clusters were moved, or two exchanged, as long as that brings tags to bins that lack
    them.
    """
    has, chosen = counts > 0, chosen.copy()
    columns = np.column_stack([counts, sizes])
    wanted = np.maximum(np.outer(share, columns.sum(axis=0)), 1e-9)  # (bins, classes + 1) clips
    goal = _goal(has.sum(axis=0), share, least)
    # a tag that the largest bin lacks cannot be learned
    weight = np.where(np.arange(len(share)) == share.argmax(), len(share), 1)[:, None]

    def lacks(clusters_of_bins: np.ndarray, bins: Sequence[int]) -> np.ndarray:
        short = np.maximum(goal[bins] - clusters_of_bins, 0) * weight[bins]
        return short.sum(axis=(-2, -1))

    def improved(bin_: int, tag: int) -> bool:
        for index in np.flatnonzero(has[:, tag] & (chosen != bin_))[:TRIED]:
            bins = [int(chosen[index]), bin_]
            there = np.flatnonzero(chosen == bin_)
            there = there[np.argsort(np.abs(sizes[there] - sizes[index]), kind="stable")][:TRIED]
            back = np.concatenate([np.zeros((1, has.shape[1])), has[there]])  # the first: nothing comes back
            change = back - has[index]  # (options, classes) of the bin that it leaves
            now = np.stack([has[chosen == one].sum(axis=0) for one in bins])
            gain = lacks(now, bins) - lacks(now + np.stack([change, -change], axis=1), bins)
            if (chosen == bins[0]).sum() <= least[bins[0]]:
                gain[0] = -1
            if gain.max() <= 0:
                continue
            clips = np.stack([columns[chosen == one].sum(axis=0) for one in bins])
            moved = np.concatenate([np.zeros((1, columns.shape[1])), columns[there]]) - columns[index]
            far = (clips + np.stack([moved, -moved], axis=1) - wanted[bins]) ** 2 / wanted[bins]
            best = int(np.lexsort((np.round(far.sum(axis=(1, 2)), 9), -gain))[0])
            if best:
                chosen[there[best - 1]] = bins[0]
            chosen[index] = bin_
            return True
        return False

    for _ in range(ROUNDS):
        have = np.stack([has[chosen == number].sum(axis=0) for number in range(len(share))])
        short = np.argwhere(goal > have)
        if not any(improved(int(bin_), int(tag)) for bin_, tag in short):
            break
    return chosen


def _goal(clusters: np.ndarray, share: np.ndarray, least: np.ndarray) -> np.ndarray:  # (bins, classes)
    """How many clusters with each tag each bin should have: one each, the largest bin first, then
    ``least``.
    """
    goal = np.zeros((len(share), len(clusters)), int)
    left = clusters.copy()
    for turn in range(int(least.max())):
        for bin_ in np.argsort(-share, kind="stable"):
            if least[bin_] > turn:
                goal[bin_] += left > 0
                left -= left > 0
    return goal


def unscored(divided: Splits, label: str, side: str) -> list[str]:
    """Tags of train that a side cannot score, because all of its clips have them or none has."""
    classes = tags.classes_of(divided.train[label])
    truth = np.stack([tags.target(cell, classes) for cell in divided.sides()[side][label]])
    positives = truth.sum(axis=0)
    return [name for name, count in zip(classes, positives, strict=True) if not 0 < count < len(truth)]


def check_tags(divided: Splits, label: str) -> None:
    """Refuse a side that can score no tag.

    Raises
    ------
    UserError : no tag has clips with it and clips without it.
    """
    classes = tags.classes_of(divided.train[label])
    for name in ("validation", "test"):
        if len(unscored(divided, label, name)) == len(classes):
            raise UserError(
                f"split: no tag of {label} has clips with it and clips without it in {name}"
                f" ({len(divided.sides()[name])} clips); assign more groups to it"
            )
