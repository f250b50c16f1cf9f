"""Alignment errors: numbers worked by hand."""

import pytest

from audiomtl.metrics import alignment


def test_onsets_are_pooled_over_the_set():
    # 50, 100, 300, 1000 ms
    scores = alignment.onsets([[0.0, 1.0, 2.0], [], [5.0]], [[0.05, 1.1, 2.3], [], [6.0]])
    assert scores.pop("perceptual") < 1
    assert scores == pytest.approx(
        {
            "median_ms": 200,
            "mean_ms": 362.5,
            "within_50_ms": 1 / 4,
            "within_100_ms": 2 / 4,
            "within_300_ms": 3 / 4,
        }
    )


def test_the_karaoke_score_is_best_a_little_early_and_counts_onsets():
    early, exact, late = (
        alignment.onsets([[1.0]], [[1.0 + shift]])["perceptual"] for shift in (-0.067, 0.0, 1.0)
    )
    assert early == pytest.approx(1, abs=0.001) and exact == pytest.approx(0.96, abs=0.001) and late < 0.01
    both = alignment.onsets([[1.0], [1.0, 2.0, 3.0]], [[2.0], [1.0, 2.0, 3.0]])["perceptual"]
    assert both == pytest.approx((late + 3 * exact) / 4)


def test_correct_segments_share_of_time():
    # clip 1, 4 s: the first segment is on until 1 (heard until 2), so 1 s of 4 is wrong; clip 2, 1 s: all
    # right
    scores = alignment.onsets([[1.0, 3.0], [0.5]], [[2.0, 3.0], [0.5]], seconds=[4.0, 1.0])
    assert scores["correct_segments"] == pytest.approx(4 / 5)


def test_boundaries_by_hand():
    scores = alignment.boundaries([[0.1, 0.2], [0.3]], [[0.11, 0.18], [0.36]])  # 10, 20, 60 ms
    assert scores == pytest.approx(
        {
            "boundary_mean_ms": 30,
            "boundary_median_ms": 20,
            "boundary_within_10_ms": 1 / 3,
            "boundary_within_20_ms": 2 / 3,
            "boundary_within_50_ms": 2 / 3,
        }
    )


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[]], [[]], "its 1 clips are all empty"),
        ([[1.0]], [[1.0], [1.0]], "equally many, but got 1 and 2"),
        ([[1.0], [1.0]], [[1.0], [1.0, 2.0]], "clip 1 .*2 in prediction and 1 in ground"),
        ([[1.0, 2.0]], [[2.0, 1.0]], "clip 0 .*not monotonically increasing"),
        ([[1.0]], [[float("nan")]], "clip 0 .*finite"),
        ([[-1.0]], [[0.0]], "clip 0 .*below 0"),
    ],
)
def test_times_without_a_score_are_refused(truth, predicted, message):
    for function in (alignment.onsets, alignment.boundaries):
        with pytest.raises(ValueError, match=message):
            function(truth, predicted)
