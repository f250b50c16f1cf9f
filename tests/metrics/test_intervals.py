"""Intervals against scipy, and how often those over groups hold the truth."""

import numpy as np
import pytest
from scipy import stats

from audiomtl.metrics import intervals


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_t_interval_is_that_of_scipy(level):
    values = [0.081, 0.085, 0.080, 0.086, 0.083]
    mean, low, high = intervals.t_interval(values, level)
    assert mean == pytest.approx(np.mean(values), abs=1e-15)
    assert (low, high) == pytest.approx(
        stats.t.interval(level, 4, loc=np.mean(values), scale=stats.sem(values)), abs=1e-12
    )


def test_t_interval_of_one_value_knows_no_spread():
    mean, low, high = intervals.t_interval([0.5])
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_paired_difference_is_of_a_less_b_by_position(level):
    a, b = [0.5, 0.7, 0.9], [0.4, 0.5, 0.8]
    mean, low, high = intervals.paired_difference(a, b, level)
    test = stats.ttest_rel(a, b).confidence_interval(level)
    assert (mean, low, high) == pytest.approx((0.4 / 3, test.low, test.high), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals.t_interval([]), "at least one finite number"),
        (lambda: intervals.t_interval([0.1, float("nan")]), "at least one finite number"),
        (lambda: intervals.t_interval([0.1, 0.2], 95), "0 < level < 1 must hold, but got 95"),
        (lambda: intervals.paired_difference([0.1, 0.2], [0.1]), "paired by position"),
        (
            lambda: intervals.clustered_interval(np.ones(8), list("aabbccdd")),
            "4 groups are too few, 5 are needed",
        ),
        (lambda: intervals.clustered_interval(np.ones(3), list("ab")), r"shapes \(3,\) and \(2,\)"),
        (
            lambda: intervals.clustered_interval(np.ones(5), list("abcde"), 95),
            "0 < level < 1 must hold, but got 95",
        ),
    ],
)
def test_input_without_a_score_is_refused_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def clustered(rng, groups: int, sets: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets of 0/1 clips, 12 per group, whose share of ones differs from group to group around 0.5.

    Group names.
    """
    level = np.clip(0.5 + 0.2 * rng.standard_normal((sets, groups, 1)), 0, 1)
    return (rng.random((sets, groups, 12)) < level).reshape(sets, -1).astype(float), np.repeat(
        np.arange(groups), 12
    )


@pytest.mark.parametrize("groups, least", [(5, 0.90), (10, 0.91), (25, 0.89)])
def test_intervals_over_groups_hold_the_truth_about_as_often_as_they_say(groups, least, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 300)
    sets, names = clustered(np.random.default_rng(0), groups, 400)
    held = [
        low <= 0.5 <= high
        for low, high in (intervals.clustered_interval(values, names)[1:] for values in sets)
    ]
    alone = [low <= 0.5 <= high for low, high in (intervals.t_interval(values)[1:] for values in sets)]
    assert least <= np.mean(held) <= 0.99
    assert np.mean(alone) < 0.85  # what comes of taking clips of one group for independent


def test_under_20_groups_of_one_size_the_interval_is_that_of_the_means_of_the_groups():
    values, groups = np.random.default_rng(0).random((7, 3)), np.repeat(list("gfedcba"), 3)
    expected = intervals.t_interval(values.mean(axis=1), 0.8)
    assert intervals.clustered_interval(values.ravel(), groups, 0.8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("groups", [8, 30])
def test_intervals_over_groups_are_about_the_mean_over_clips_and_repeatable(groups):
    rng = np.random.default_rng(1)
    names = np.repeat(np.arange(groups), rng.integers(1, 9, groups))  # of unlike sizes
    values = rng.random(len(names))
    mean, low, high = intervals.clustered_interval(values, names, seed=3)
    order = rng.permutation(len(names))
    assert low < mean < high and mean == pytest.approx(values.mean())
    assert intervals.clustered_interval(values[order], names[order], seed=3) == pytest.approx(
        (mean, low, high), abs=1e-12
    )


@pytest.mark.parametrize("groups", [8, 30])
def test_a_large_group_weighs_by_its_clips(groups):
    sizes = np.where(np.arange(groups) % 2, 2, 18)  # all right in the large groups, all wrong in the small
    mean, low, high = intervals.clustered_interval(
        np.repeat(sizes > 2, sizes), np.repeat(np.arange(groups), sizes)
    )
    assert mean == 0.9
    assert 0.6 < low < 0.9 < high  # the mean of the groups' means is 0.5


def test_the_jackknife_of_a_mean_is_its_t_interval():
    values = np.array([0.2, 0.5, 0.9, 0.4, 0.7, 0.1])
    without = [np.delete(values, index).mean() for index in range(6)]
    assert intervals.jackknife_interval(values.mean(), without) == pytest.approx(
        intervals.t_interval(values), abs=1e-12
    )


def test_the_jackknife_holds_an_error_rate_about_as_often_as_it_says():
    """Errors over words of clips of unlike length, whose rates differ by speaker."""
    random, held = np.random.default_rng(0), 0
    for _ in range(400):
        words = random.integers(5, 40, 12)
        errors = random.binomial(words, np.clip(random.normal(0.3, 0.1, 12), 0.01, 0.99))
        without = [(errors.sum() - e) / (words.sum() - w) for e, w in zip(errors, words, strict=True)]
        _, low, high = intervals.jackknife_interval(errors.sum() / words.sum(), without)
        held += low <= 0.3 <= high
    assert 0.91 < held / 400 < 0.98


@pytest.mark.parametrize("without", [[0.1] * 4, [0.1, float("nan")] * 3])
def test_the_jackknife_refuses_too_few_groups_and_scores_that_are_not_finite(without):
    with pytest.raises(ValueError, match=r"too few|finite"):
        intervals.jackknife_interval(0.1, without)
