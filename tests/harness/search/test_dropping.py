"""When a trial is dropped: poor ones early, the best one never for bad luck alone."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.harness.search import dropping
from audiomtl.harness.search.dropping import Answers, chance, chance_of_means, comparable, enough_groups

GROUPS, CLIPS, FOLDS = 20, 4, 4


def trial(right: float, seed: int) -> list[Answers]:
    """Answers of a trial that is right with a probability, on the groups of each fold."""
    random = np.random.default_rng(seed)
    names = tuple(f"{group:02d}" for group in range(GROUPS))
    return [
        Answers(names, random.binomial(CLIPS, right, GROUPS).astype(float), np.full(GROUPS, float(CLIPS)))
        for _ in range(FOLDS)
    ]


def kept(right: float, best: float, count: int, direction: str = "maximize") -> float:
    """Share of trials that are kept after ``count`` trainings."""
    verdicts = [
        chance(
            trial(right, seed)[:count], trial(best, 1000 + seed)[:count], FOLDS, direction, same_clips=False
        )
        >= dropping.LEAST_CHANCE
        for seed in range(40)
    ]
    return float(np.mean(verdicts))


@pytest.mark.parametrize(
    ("right", "best", "count", "direction", "low", "high"),
    [
        (0.4, 0.8, 1, "maximize", 0.0, 0.0),  # hopeless: seen at once
        (0.8, 0.4, 1, "maximize", 1.0, 1.0),
        (0.8, 0.4, 1, "minimize", 0.0, 0.0),  # an error rate
        (0.6, 0.7, 3, "maximize", 0.0, 0.2),  # behind with one training left
        (0.85, 0.8, 1, "maximize", 0.85, 1.0),  # a little better: kept, as a rule
    ],
)
def test_who_is_dropped(
    right: float, best: float, count: int, direction: str, low: float, high: float
) -> None:
    assert low <= kept(right, best, count, direction) <= high


def test_the_same_answers_are_not_better_and_the_chance_is_the_same_again() -> None:
    one, other = trial(0.7, 1), trial(0.75, 2)
    first = chance(one[:2], other[:2], FOLDS, "maximize", same_clips=False)
    assert chance(one[:2], other[:2], FOLDS, "maximize", same_clips=False) == first
    assert chance(one[:2], one[:2], FOLDS, "maximize", same_clips=False) == 0.0  # it cannot gain anything


def test_groups_decide_and_not_their_number_of_clips_alone() -> None:
    rows = pd.DataFrame({"clip_id": list("abcd"), "source": ["x", "x", "y", "z"], "truth": [1, 0, 1, 0]})
    found = dropping.answers(rows.assign(predicted=[1, 1, 1, 1]), "accuracy", ["source"])
    assert found is not None and found.groups == ("x", "y", "z")
    assert found.above.tolist() == [1.0, 1.0, 0.0] and found.below.tolist() == [2.0, 1.0, 1.0]
    assert found.score == 0.5
    assert dropping.answers(rows.assign(predicted=1), "macro_f1", ["source"]) is None


@pytest.mark.parametrize(("groups", "enough"), [(4, False), (5, True)])
def test_few_groups_are_not_drawn_and_other_clips_not_compared(groups: int, enough: bool) -> None:
    one = Answers(tuple(map(str, range(groups))), np.ones(groups), np.ones(groups))
    other = Answers(tuple(map(str, range(1, groups + 1))), np.ones(groups), np.ones(groups))
    assert enough_groups([one, one]) is enough and not enough_groups([None])
    assert comparable([one], [one]) and not comparable([one], [other]) and not comparable([one], [None])


@pytest.mark.parametrize(
    ("mine", "best", "direction", "dropped"),
    [
        ([0.1], [0.9], "maximize", False),  # one training says too little
        ([0.1, 0.1], [0.9, 0.9], "maximize", False),
        ([0.1, 0.12, 0.1], [0.9, 0.9, 0.9], "maximize", True),
        ([0.1, 0.12, 0.1], [0.9, 0.9, 0.9], "minimize", False),
        ([0.1, 0.1, 0.95], [0.9, 0.9, 0.9], "maximize", False),  # better once
        ([0.5, 0.85, 0.7], [0.9, 0.9, 0.9], "maximize", False),  # worse by as much as it varies
    ],
)
def test_means_alone_drop_what_is_far_below(
    mine: list[float], best: list[float], direction: str, dropped: bool
) -> None:
    assert (chance_of_means(mine, best, direction) == 0.0) is dropped
