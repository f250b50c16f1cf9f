"""Recordings of which one is a copy of the other, or contains a part of it.

Conventions: fingerprints as in `fingerprints`. Candidates are pairs that share frames at one distance in time
(an inverted index over all frames, in which the least certain bits of a frame are tried both ways); a
candidate is a copy if its bits agree over enough of the time. Two recordings of one speaker saying one
sentence, or of one piece at one tempo, differ in half of their bits.

Contents: `copies`, `Copy`, `clusters`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiomtl.data.audit.fingerprints import HOP_SECONDS, WEAK, Fingerprint

COMMON = 48  # a frame's bits that are in more places than this say nothing
VOTES = 2  # frames at one distance that make a candidate
BIN = 4  # frames: distances that differ by less are counted as one
TRIED = 3  # distances of a pair that are looked at
SMOOTHED = 17  # frames, 0.5 s, over which errors are averaged
SAME = 0.26  # share of different bits below which frames are the same sound; of unrelated ones it is 0.5
SURE = 0.2  # the same, on the average over all that is the same
LEAST_SECONDS = 1.0  # that must be the same
LEAST_SHARE = 0.5  # of the shorter recording; from LONG_SECONDS on a part is enough
LONG_SECONDS = 6.0
LOUD_DB, APART_DB, APART_SHARE = -20.0, 8.0, 0.2  # below the loudest; share of loud frames that may differ
PIECE = 400_000  # frames that are looked up at once


class Copy(NamedTuple):
    """Two recordings with the same sound."""

    first: int  # row of one
    second: int  # row of the other, the larger number
    seconds: float  # that are the same
    share: float  # of the shorter one that is the same
    error: float  # share of different bits there
    offset_seconds: float  # where the second one's beginning is in the first


def copies(prints: Sequence[Fingerprint]) -> list[Copy]:
    """Pairs of recordings with the same sound, sorted.

    Parameters
    ----------
    prints : one per recording.
    """
    found: dict[tuple[int, int], Copy] = {}
    for first, second, offset in _candidates(prints):
        seen = _compared(prints[first], prints[second], offset)
        if seen is None:
            continue
        copy = Copy(first, second, *seen)
        known = found.get((first, second))
        if known is None or copy.seconds > known.seconds:
            found[first, second] = copy
    return [found[pair] for pair in sorted(found)]


def clusters(pairs: Sequence[tuple[int, int]], count: int) -> np.ndarray:  # (count,) int
    """Number of the cluster of each of ``count`` recordings: copies of copies are in one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = (list(side) for side in zip(*pairs, strict=True)) if pairs else ([], [])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def _candidates(prints: Sequence[Fingerprint]) -> list[tuple[int, int, int]]:
    """(first, second, offset): frame t of the second may be frame t + offset of the first."""
    parts = []
    for row, own in enumerate(prints):
        changed = np.diff(own.bits, prepend=~own.bits[:1]) != 0  # the first of frames with the same bits
        times = np.flatnonzero(own.valid & changed)
        parts.append(
            (own.bits[times], np.full(len(times), row, np.int32), times.astype(np.int32), own.weak[times])
        )
    if not any(len(part[0]) for part in parts):
        return []
    bits, clips, times, weak = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(bits, kind="stable")
    ordered = bits[order]
    votes: list[np.ndarray] = []
    for start in range(0, len(bits), PIECE):
        piece = slice(start, start + PIECE)
        for flip in range(2**WEAK):
            wanted = bits[piece].copy()
            for number in range(WEAK):
                if flip >> number & 1:
                    wanted ^= np.uint32(1) << weak[piece, number].astype(np.uint32)
            low = np.searchsorted(ordered, wanted, "left")
            count = np.searchsorted(ordered, wanted, "right") - low
            rare = (count > 0) & (count <= COMMON)
            asking = np.repeat(np.flatnonzero(rare), count[rare])
            steps = np.arange(len(asking)) - np.repeat(np.cumsum(count[rare]) - count[rare], count[rare])
            place = order[low[asking] + steps]
            asking = asking + start
            one, other = clips[asking], clips[place]
            swap = one > other
            offset = np.where(swap, times[place] - times[asking], times[asking] - times[place])
            pair = np.stack([np.where(swap, other, one), np.where(swap, one, other), offset], axis=1)
            votes.append(pair[one != other].astype(np.int32))
    return _voted(np.concatenate(votes))


def _voted(votes: np.ndarray) -> list[tuple[int, int, int]]:
    """Pairs with enough votes (n, 3) for one offset; of each the offsets with the most."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for shift in (0, BIN // 2):
        binned = votes.copy()
        binned[:, 2] = (binned[:, 2] + shift) // BIN
        rows, count = np.unique(binned, axis=0, return_counts=True)
        for (first, second, place), many in zip(
            rows[count >= VOTES].tolist(), count[count >= VOTES].tolist(), strict=True
        ):
            found.setdefault((first, second), []).append((-many, place * BIN - shift + BIN // 2))
    return [
        (first, second, offset)
        for (first, second), offsets in sorted(found.items())
        for _, offset in sorted(offsets)[:TRIED]
    ]


def _compared(one: Fingerprint, other: Fingerprint, near: int) -> tuple[float, float, float, float] | None:
    """Seconds, share, error and offset of the sound that two recordings share at about this offset."""
    best: tuple[float, int, float, int, slice] | None = None
    shorter = min(int(one.valid.sum()), int(other.valid.sum()))
    for offset in range(near - BIN, near + BIN + 1):
        here, there = _overlap(one, other, offset)
        both = np.flatnonzero(one.valid[here] & other.valid[there])
        if len(both) < 2:
            continue
        different = np.bitwise_count(one.bits[here] ^ other.bits[there])[both] / 32
        width = min(SMOOTHED, len(different))
        smooth = np.convolve(different, np.full(width, 1 / width), "valid")
        same = np.zeros(len(different), bool)
        for begin in np.flatnonzero(smooth < SAME):
            same[begin : begin + width] = True
        if same.any():
            count, error = int(same.sum()), float(different[same].mean())
            span = slice(int(both[same][0]), int(both[same][-1]) + 1)
            best = max(best or (0.0, 0, 0.5, 0, span), (count * (0.5 - error), count, error, offset, span))
    if best is None:
        return None
    _, count, error, offset, span = best
    seconds, share = count * HOP_SECONDS, count / shorter
    enough = share >= LEAST_SHARE or seconds >= LONG_SECONDS
    least = min(LEAST_SECONDS, shorter * HOP_SECONDS * 0.8)
    if error > SURE or seconds < least or not enough or not _as_loud(one, other, offset, span):
        return None
    return seconds, share, error, offset * HOP_SECONDS


def _overlap(one: Fingerprint, other: Fingerprint, offset: int) -> tuple[slice, slice]:
    start, stop = max(0, offset), max(0, offset, min(len(one.bits), len(other.bits) + offset))
    return slice(start, stop), slice(start - offset, stop - offset)


def _as_loud(one: Fingerprint, other: Fingerprint, offset: int, span: slice) -> bool:
    """Whether the levels of two recordings rise and fall together, as those of a copy do; those of two loops
    of one drum machine do not.
    """
    here, there = _overlap(one, other, offset)
    first, second = one.level[here][span], other.level[there][span]
    loud = np.maximum(first - first.max(), second - second.max()) > LOUD_DB
    apart = (first - second)[loud]
    return float((np.abs(apart - np.median(apart)) > APART_DB).mean()) <= APART_SHARE
