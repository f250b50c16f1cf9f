"""Simultaneous intervals: their critical values, and how often all of them hold."""

import numpy as np
import pytest
from scipy.special import stdtrit

from audiomtl.metrics import simultaneous as module
from audiomtl.metrics.simultaneous import critical, simultaneous


def test_one_difference_has_students_interval() -> None:
    found = simultaneous(np.array([0.1]), np.array([[0.04]]), freedom=7)
    assert found.critical == pytest.approx(2.364624)  # 97.5 % point with 7 degrees, from a printed table
    assert found.low[0] == pytest.approx(0.1 - 0.2 * 2.364624)


@pytest.mark.parametrize(("count", "freedom"), [(2, 10), (5, 10), (3, 20), (4, 150)])
def test_independent_differences_have_sidaks_value(count: int, freedom: int) -> None:
    expected = stdtrit(freedom, (1 + 0.95 ** (1 / count)) / 2)
    assert critical(np.eye(count), freedom) == pytest.approx(expected, rel=0.02)


def test_differences_that_move_together_cost_nothing() -> None:
    together = critical(np.ones((6, 6)), 10)
    assert together == pytest.approx(2.228, rel=0.02)  # Student's
    assert critical(np.eye(6), 10) > critical(np.full((6, 6), 0.5) + 0.5 * np.eye(6), 10) > together


def test_the_same_data_give_the_same_limits() -> None:
    matrix = np.array([[1.0, 0.3], [0.3, 1.0]])
    assert critical(matrix, 5) == critical(matrix, 5)


def test_a_difference_without_variance_has_no_width_and_costs_the_others_nothing() -> None:
    found = simultaneous(np.array([0.0, 0.1]), np.diag([0.0, 0.04]), freedom=7)
    assert (found.low[0], found.high[0]) == (0.0, 0.0)
    assert found.critical == pytest.approx(2.364624)
    equal = simultaneous(np.zeros(2), np.zeros((2, 2)), freedom=7)
    assert equal.low.tolist() == equal.high.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("groups", "arms"), [(6, 3), (10, 8)])
def test_all_intervals_hold_at_once_in_93_percent_of_simulations(
    groups: int, arms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arms are compared with one best run, whose own errors they share: correlations of one half."""
    monkeypatch.setattr(module, "DRAWS", 2000)
    random = np.random.default_rng(0)
    true, held, rounds = np.linspace(-0.2, 0.2, arms), 0, 300
    for _ in range(rounds):
        best = random.normal(0, 1, (groups, 1))
        rows = true + random.normal(0, 1, (groups, arms)) - best
        found = simultaneous(rows.mean(axis=0), np.atleast_2d(np.cov(rows.T)) / groups, groups - 1)
        held += bool(((found.low <= true) & (true <= found.high)).all())
    assert held / rounds >= 0.93


@pytest.mark.parametrize("covariance", [np.eye(3), np.full((2, 2), np.nan)])
def test_shapes_that_do_not_fit_are_refused(covariance: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        simultaneous(np.zeros(2), covariance, 5)
