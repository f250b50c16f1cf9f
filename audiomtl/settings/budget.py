"""How many trials a study needs, and the points of a grid.

A sampler that models the scores (TPE) draws its first trials at random, and needs some more for every
dimension: below that it is random search under another name, which the file must then say.

Contents: `active`, `points`, `checked`.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from audiomtl.errors import UserError
from audiomtl.settings.search import ordered
from audiomtl.settings.study import Dimension, Study
from audiomtl.settings.toml import flatten

LEAST_TRIALS, TRIALS_PER_DIMENSION = 20, 5
MOST_POINTS = 10_000  # of a grid


def active(dimension: Dimension, flat: Mapping[str, Any]) -> bool:
    """Whether a setting is swept, given the others as ``flat`` settings."""
    return all(flat.get(other) in wanted for other, wanted in dimension.when.items())


def points(search: Mapping[str, Dimension], raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid: {setting path: value} of the settings that are swept in it."""
    paths = ordered(search)

    def rest(index: int, flat: dict[str, Any], chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if index == len(paths):
            yield chosen
            return
        path = paths[index]
        if not active(search[path], flat):
            yield from rest(index + 1, flat, chosen)
            return
        for value in search[path].grid or ():
            yield from rest(index + 1, {**flat, path: value}, {**chosen, path: value})

    yield from rest(0, flatten(raw), {})


def checked(study: Study, raw: Mapping[str, Any], file: str, *, trials_given: bool = True) -> Study:
    """The study with its number of trials: of a grid all combinations, unless the file gives fewer.

    Raises
    ------
    UserError : too few trials for the sampler, or more than a grid has; a range that is no grid.
    """
    if study.sampler == "tpe":
        least = max(LEAST_TRIALS, TRIALS_PER_DIMENSION * len(study.search))
        if study.trials < least:
            raise UserError(
                f'{file}: trials = {study.trials}: sampler = "tpe" needs at least {least} trials,'
                f" max({LEAST_TRIALS}, {TRIALS_PER_DIMENSION} for each of {len(study.search)} dimensions):"
                ' raise trials, or write sampler = "random"'
            )
    if study.sampler != "grid":
        return study
    for path, dimension in sorted(study.search.items()):
        if dimension.grid is None:
            raise UserError(
                f'{file}: search.{path}: sampler = "grid" needs choices, whole numbers without log, or a'
                f" step: the range is {dimension.space}"
            )
    size = sum(1 for _ in islice(points(study.search, raw), MOST_POINTS + 1))
    if size > MOST_POINTS:
        raise UserError(
            f'{file}: sampler = "grid": must have at most {MOST_POINTS} combinations: give fewer values, or'
            ' write sampler = "random"'
        )
    if trials_given and study.trials > size:
        raise UserError(
            f"{file}: trials = {study.trials}: must be at most {size}, the number of combinations of"
            ' sampler = "grid"; leave trials out to try them all'
        )
    return study if trials_given else study.model_copy(update={"trials": size})
