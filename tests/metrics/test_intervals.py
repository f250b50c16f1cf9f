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
        (lambda: intervals.jackknife_interval(0.5, [0.5] * 4), "4 groups are too few, 5 are needed"),
        (lambda: intervals.over_folds([0.1, 0.2], [0]), r"shapes \(2,\) and \(1,\)"),
        (lambda: intervals.over_folds([0.1, 0.2], [0, 1], level=95), "0 < level < 1 must hold, but got 95"),
        (lambda: intervals.limits(1.2, 0.1, 4, 5, scale="share"), r"must be in \[0, 1\], but got 1.2"),
    ],
)
def test_input_without_a_score_is_refused_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


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


# ---------------------------------------------------------------- folds and limits


@pytest.mark.parametrize(
    ("score", "scale"),
    [
        ("test/accuracy", "share"),
        ("validation/emotion_balanced_accuracy", "share"),
        ("voice_onset_f1", "share"),
        ("text_within_300_ms", "share"),
        ("activity_psds", "share"),
        ("melody_voicing_false_alarm", "share"),
        ("mean_average_precision", "share"),
        ("roc_auc", "share"),
        ("accuracy_from_image_and_text", "share"),
        ("phone_error_rate", "rate"),
        ("text_median_ms", "rate"),
        ("vocals_l1", "rate"),
        ("loss", "rate"),
        ("age_absolute_error", "rate"),
        ("signal_to_distortion", "any"),
    ],
)
def test_the_scale_of_a_score_follows_from_its_name(score, scale):
    assert intervals.scale_of(score) == scale


def test_seeds_of_one_fold_are_averaged_and_each_fold_counts_once():
    """The recorded scores of transfer_esc10_logistic: four different numbers, each of them twice."""
    folds = [0.9625, 0.9375, 0.9625, 0.925]
    once = intervals.over_folds(folds, [1, 2, 3, 0])
    twice = intervals.over_folds(folds * 2, [1, 2, 3, 0] * 2)
    assert (twice.mean, twice.low, twice.high) == pytest.approx((once.mean, once.low, once.high), abs=1e-15)
    assert (once.low, once.high) == pytest.approx(intervals.t_interval(folds)[1:], abs=1e-15)
    assert twice.folds == 4 and twice.within_folds == 0 and np.isnan(once.within_folds)
    naive = intervals.t_interval(folds * 2)
    assert twice.high - twice.low > 1.9 * (naive[2] - naive[1])  # what was printed before


def test_spread_over_folds_and_over_seeds_are_told_apart():
    found = intervals.over_folds([0.5, 0.7, 0.6, 0.8], ["a", "b", "a", "b"])
    assert found.between_folds == pytest.approx(np.std([0.55, 0.75], ddof=1))
    assert found.within_folds == pytest.approx(np.sqrt((0.1**2 / 2 + 0.1**2 / 2) / 2))
    same = intervals.over_folds([0.5, 0.7, 0.6], [0, 0, 0])
    assert same.folds == 1 and np.isnan(same.between_folds)
    assert (same.low, same.high) == pytest.approx(intervals.t_interval([0.5, 0.7, 0.6])[1:], abs=1e-12)


def test_what_training_adds_comes_from_the_seeds_of_a_fold():
    variance, freedom = intervals.training_variance([0.5, 0.7, 0.6, 0.8, 0.4], [0, 1, 0, 1, 1])
    expected = (np.var([0.5, 0.6], ddof=1) / 2 + np.var([0.7, 0.8, 0.4], ddof=1) / 3) / 4
    assert (variance, freedom) == (pytest.approx(expected), 3)
    assert intervals.training_variance([0.5, 0.7], [0, 1]) == (0.0, 1)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 0.9271, 0.75], "share"),  # multitask_scenes, validation: was [0.7162, 1.0685]
        ([0.01, 0.0, 0.03], "share"),  # a PSDS: was below 0
        ([1.0, 1.0, 1.0], "share"),
        ([0.1 + 0.2, 0.3, 0.3], "share"),  # equal but for rounding
        ([0.0, 0.0, 0.0, 0.0], "share"),
        ([0.9, 0.2, 1.6], "rate"),
        ([0.0, 0.0, 0.0], "rate"),
    ],
)
def test_limits_stay_on_the_scale(values, scale):
    found = intervals.over_folds(values, range(len(values)), scale=scale)
    assert 0 <= found.low <= found.mean <= found.high
    assert found.low < found.high
    assert scale == "rate" or found.high <= 1


def test_a_value_outside_its_scale_puts_the_score_on_any_scale():
    found = intervals.over_folds([81.0, 84.0, 79.0], [0, 1, 2], scale="share")  # percent
    assert (found.low, found.high) == pytest.approx(intervals.t_interval([81.0, 84.0, 79.0])[1:])


def test_limits_of_independent_answers_are_those_of_clopper_and_pearson():
    right, n = 47, 60
    p = right / n
    t = stats.t.ppf(0.975, 10**9)
    low, high = intervals.limits(
        p, p * (1 - p) / n * (t / stats.norm.ppf(0.975)) ** 2, 10**9, n, scale="share"
    )
    exact = stats.binomtest(right, n).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-6)
    none = intervals.limits(1.0, 0.0, 9, 10, scale="share")  # ten groups, all right: ten answers
    exact = stats.binomtest(10, 10).proportion_ci(method="exact")
    assert none == pytest.approx((exact.low, exact.high), abs=1e-9)
    narrow = intervals.limits(p, 1e-9, 10**6, n, scale="share", answers=n)
    exact = stats.binomtest(right, n).proportion_ci(method="exact")
    assert narrow == pytest.approx((exact.low, exact.high), abs=1e-6)
