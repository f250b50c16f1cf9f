"""The bias of choosing the best of many, where the truth is known."""

import numpy as np
import pytest

from audiomtl.metrics.selection import corrected

GROUPS, CLIPS = 40, 5


def answers(rng: np.random.Generator, rates: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Right answers and answers (candidates, groups) of candidates with these accuracies."""
    right = rng.binomial(CLIPS, np.array(rates)[:, None], (len(rates), GROUPS)).astype(float)
    return right, np.full_like(right, CLIPS)


def test_the_best_of_many_alike_is_corrected_to_what_they_are():
    """30 candidates with an accuracy of .7: the best looks like .77."""
    rng = np.random.default_rng(1)
    found = [corrected(*answers(rng, [0.7] * 30), "maximize") for _ in range(20)]
    assert np.mean([one.apparent for one in found]) > 0.75
    assert np.mean([one.corrected for one in found]) == pytest.approx(0.7, abs=0.015)
    assert sum(one.low <= 0.7 <= one.high for one in found) >= 19


def test_a_best_one_that_is_far_ahead_needs_no_correction():
    found = corrected(*answers(np.random.default_rng(2), [0.9, 0.5, 0.5]), "maximize")
    assert found.corrected == pytest.approx(found.apparent, abs=0.01)


def test_error_rates_are_minimized_and_the_same_numbers_come_again():
    right, all_answers = answers(np.random.default_rng(3), [0.7] * 10)
    accuracy = corrected(right, all_answers, "maximize")
    error = corrected(all_answers - right, all_answers, "minimize")
    assert error.apparent == pytest.approx(1 - accuracy.apparent)
    assert error.corrected == pytest.approx(1 - accuracy.corrected)
    assert corrected(right, all_answers, "maximize") == accuracy


def test_a_group_without_answers_is_no_division_by_zero():
    right, all_answers = answers(np.random.default_rng(4), [0.6, 0.8])
    right[:, :10], all_answers[:, :10] = 0, 0
    assert 0.5 < corrected(right, all_answers, "maximize").corrected < 1
