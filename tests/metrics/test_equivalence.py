"""Equivalence of paired scores."""

import math

import pytest

from audiomtl.metrics.equivalence import equivalent, margin_of


@pytest.mark.parametrize(
    ("now", "margin", "holds"),
    [
        ([0.8, 0.7, 0.9, 0.8], 0.0, True),  # equal to the bit, whatever the margin
        ([0.8001, 0.7, 0.8999, 0.8], 0.01, True),
        ([0.81, 0.69, 0.91, 0.79], 0.05, True),  # noise of the same size in both directions
        ([0.81, 0.69, 0.91, 0.79], 0.005, False),
        ([0.9, 0.8, 1.0, 0.9], 0.05, False),  # one shift, known exactly, but too large
        ([0.82, 0.72, 0.92, 0.82], 0.05, True),
        ([0.6, 0.9, 1.1, 0.6], 0.05, False),  # the same mean, but uncertain
        ([0.0, 0.0, 0.0, 0.0], 0.2, False),
        ([0.8, 0.7, 0.9, math.nan], 0.2, False),
    ],
)
def test_scores_are_equivalent_if_the_interval_of_their_difference_lies_within_the_margin(
    now, margin, holds
) -> None:
    assert equivalent([0.8, 0.7, 0.9, 0.8], now, margin).holds is holds


def test_one_pair_is_equivalent_only_if_it_is_equal() -> None:
    assert equivalent([0.8], [0.8], 0.1).holds and not equivalent([0.8], [0.8000001], 0.1).holds


def test_numbers_of_seeds_must_agree() -> None:
    with pytest.raises(ValueError, match="2 and 1"):
        equivalent([0.8, 0.8], [0.8], 0.1)


@pytest.mark.parametrize(("mean", "floor", "margin"), [(0.9, 0.5, 0.1), (0.2, 1.0, 0.05), (0.1, 0.1, 0.0)])
def test_the_margin_is_a_quarter_of_the_distance_to_the_floor(mean, floor, margin) -> None:
    assert margin_of(mean, floor) == pytest.approx(margin)
