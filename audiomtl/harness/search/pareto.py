"""Several objectives: the non-dominated trials (the Pareto front).

Contents: `dominates`, `front`, `ends`, `rows`, `numbers`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence


def dominates(one: Sequence[float], other: Sequence[float], directions: Sequence[str]) -> bool:
    """Whether ``one`` is at least as good as ``other`` in every score and better in one.

    ``directions``: "minimize" or "maximize" for each score.
    """
    gains = [
        (a - b) if direction == "maximize" else (b - a)
        for a, b, direction in zip(one, other, directions, strict=True)
        if a != b
    ]
    return bool(gains) and all(gain > 0 for gain in gains)


def front(scores: Mapping[int, Sequence[float]], directions: Sequence[str]) -> list[int]:
    """Numbers of the non-dominated trials, sorted; of trials with equal scores only the first.

    Parameters
    ----------
    scores : {trial: its scores, in the order of ``directions``}. A trial with a NaN among them is never on
        the front and beats nobody.
    """
    whole = {
        number: tuple(scores[number]) for number in sorted(scores) if not any(map(math.isnan, scores[number]))
    }
    first = {values: number for number, values in reversed(whole.items())}
    return sorted(
        number
        for values, number in first.items()
        if not any(dominates(other, values, directions) for other in first)
    )


def ends(scores: Iterable[Sequence[float]], directions: Sequence[str]) -> list[float]:
    """The best value of each score over the trials of a front."""
    columns = zip(*scores, strict=True)
    return [
        min(column) if direction == "minimize" else max(column)
        for column, direction in zip(columns, directions, strict=True)
    ]


def rows(
    numbers: Sequence[int], scores: Mapping[int, Sequence[float]], settings: Mapping[int, Mapping[str, str]]
) -> list[list[str]]:
    """One row per trial of a front: trial, scores, and the settings that differ from trial 0.

    Parameters
    ----------
    settings : {trial: {setting path: value as text}}, trial 0 among them.
    """
    table = []
    for number in numbers:
        changed = [
            f"{path} = {text}"
            for path, text in sorted(settings[number].items())
            if settings.get(0, {}).get(path) != text
        ]
        table.append(
            [
                str(number),
                *(f"{value:.4f}" for value in scores[number]),
                ", ".join(changed) or "the experiment itself",
            ]
        )
    return table


def numbers(values: Iterable[float]) -> str:
    """Scores as text."""
    return ", ".join(f"{value:.4f}" for value in values)
