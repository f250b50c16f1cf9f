"""Replicates of an experiment: which test fold each of its seeds has.

Seeds that test the same clips are repetitions of one fold. Their scores are averaged before an interval over
folds is made, and every fold counts once: so each fold must be tested by as many seeds as any other.

Contents: `folds_of_seeds`, `check_balanced`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from audiomtl.errors import UserError
from audiomtl.settings.protocol import Protocol

MOST_SUGGESTED = 1000  # seeds up to this one are tried for a balanced list


def folds_of_seeds(protocol: Protocol, seeds: Sequence[int], count: int = 0) -> dict[int, int] | None:
    """The test fold of each seed, a number from 0; seeds of one fold test the same clips.

    Parameters
    ----------
    count : number of folds, where only the clips tell it: of the values of a column of folds, or of the group
        that `leave_one_out` leaves out. 0: not known.

    Returns
    -------
    {seed: fold}, or None where ``count`` is needed and not known. A ``split`` tests the same clips with every
    seed, and so does a leaky one, which has windows of every clip in test.
    """
    if protocol.leaky or protocol.kind == "split":
        return dict.fromkeys(seeds, 0)
    if protocol.kind == "blocks":
        count = protocol.rotations
    elif protocol.kind == "folds" and not protocol.column:
        count = protocol.folds
    return {seed: seed % count for seed in seeds} if count else None


def check_balanced(settings: Any, place: str, count: int = 0) -> None:
    """Refuse seeds that test some folds more often than others.

    Folds that no seed tests are allowed: the experiment then reports on the others.

    Parameters
    ----------
    settings : of an experiment, validated. place : begins the message. count : as in `folds_of_seeds`.

    Raises
    ------
    UserError : naming the folds that are tested most and least often, and seeds that are balanced.
    """
    protocol = getattr(settings, "protocol", None)
    seeds = tuple(getattr(settings, "seeds", ()))
    folds = folds_of_seeds(protocol, seeds, count) if isinstance(protocol, Protocol) else None
    if not folds:
        return
    by_fold = _by_fold(folds)
    most, least = (
        max(by_fold, key=lambda fold: len(by_fold[fold])),
        min(by_fold, key=lambda fold: len(by_fold[fold])),
    )
    if len(by_fold[most]) == len(by_fold[least]):
        return
    better = _balanced(settings, by_fold, count)
    raise UserError(
        f"{place}: seeds = {list(seeds)}: fold {most} is tested by {_named(by_fold[most])} and fold {least}"
        f" by {_named(by_fold[least])}, but every tested fold must have as many seeds as any other; use seeds"
        f" = {better}"
    )


def _by_fold(folds: Mapping[int, int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for seed, fold in folds.items():
        found.setdefault(fold, []).append(seed)
    return dict(sorted(found.items()))


def _named(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _balanced(settings: Any, by_fold: Mapping[int, list[int]], count: int) -> list[int]:
    """About as many seeds as there are, the same number for each fold; seeds of the file are kept."""
    each = max(1, round(sum(map(len, by_fold.values())) / len(by_fold)))
    kept = {fold: seeds[:each] for fold, seeds in by_fold.items()}
    taken = {*settings.seeds, getattr(settings, "study_seed", None)}
    free = [seed for seed in range(MOST_SUGGESTED) if seed and seed not in taken]
    for seed, fold in (folds_of_seeds(settings.protocol, free, count) or {}).items():
        if fold in kept and len(kept[fold]) < each:
            kept[fold].append(seed)
    return sorted(seed for seeds in kept.values() for seed in seeds)
