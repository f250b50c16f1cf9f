"""Validation sides that are too small to choose on: epochs by a training, settings by a study or an ablation.

Of the best of 40 epochs chosen on 3 clips a true accuracy of .75 looks like .98, on 96 clips like .81
(simulated). Contents: `check`, `FEW`, `TOO_FEW`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from audiomtl.data.preflight import classes_in
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError
from audiomtl.settings.published import SMALL_VALIDATION

FEW, TOO_FEW = 30, 10  # clips: below the first a warning, below the second refused unless acknowledged
NAMED = 5  # how many classes a line names


def check(
    settings: Any, validations: Mapping[str, Sequence[Splits]], place: str, *, acknowledged: bool, remedy: str
) -> list[str]:
    """What is wrong with the clips that choose, a line each.

    Parameters
    ----------
    validations : by name, such as ``seed 1``, the splits whose validation sides choose together.
    acknowledged : whether the file says that its validation side is small.
    remedy : what to change besides acknowledging it.

    Raises
    ------
    UserError : one of them has fewer than `TOO_FEW` clips, and the file does not acknowledge it.
    """
    sizes = {name: _clips(divided) for name, divided in validations.items()}
    few = {name: size for name, size in sizes.items() if size < FEW}
    too_few = {name: size for name, size in sizes.items() if size < TOO_FEW}
    if too_few and not acknowledged:
        raise UserError(
            f"{place}: only {_listed(too_few)} to choose on, at least {TOO_FEW} are needed: {remedy}, or"
            f' write acknowledged = ["{SMALL_VALIDATION}"] into the experiment'
        )
    found = []
    if few:
        found.append(
            f"{place}: warning: only {_listed(few)} to choose on (fewer than {FEW}): what is"
            " chosen on them looks better than it is"
        )
    return found + _lacking(settings, validations, place)


def _clips(divided: Sequence[Splits]) -> int:
    return len({clip for sides in divided for clip in sides.validation["clip_id"]})


def _listed(sizes: Mapping[str, int]) -> str:
    """``8 validation clips (seeds 1, 3), 7 (seed 4)``."""
    names: dict[int, list[str]] = {}
    for name, size in sorted(sizes.items(), key=lambda item: item[1]):
        names.setdefault(size, []).append(name)
    parts = [f"{size} validation clip{'s' * (size != 1)} ({', '.join(of)})" for size, of in names.items()]
    return ", ".join(parts)


def _lacking(settings: Any, validations: Mapping[str, Sequence[Splits]], place: str) -> list[str]:
    column = settings.data.label
    if not column or settings.data.labels != "one":
        return []
    found: dict[str, list[str]] = {}
    for name, divided in validations.items():
        known = {label for sides in divided for label in classes_in(sides.train[column])}
        shown = {label for sides in divided for label in classes_in(sides.validation[column])}
        if absent := sorted(known - shown):
            more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
            found.setdefault(f"{', '.join(absent[:NAMED])}{more}", []).append(name)
    return [
        f"{place}: warning: no validation clip of {column} {classes} ({', '.join(names)})"
        for classes, names in found.items()
    ]
