"""Probabilities from scores: numbers worked by hand, and against scikit-learn."""

import numpy as np
import pytest

from audiomtl.metrics import calibration, verification


def made(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    right = np.arange(count) % 2 == 0
    return random.normal(np.where(right, 1.0, -0.5), 1.0), right


def test_the_fit_is_a_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    scores, right = made()
    found = verification.fitted(scores, right)
    expected = LogisticRegression(C=1e9).fit(scores[:, None], right)
    # the targets are 0.995, not 1
    assert found.slope == pytest.approx(expected.coef_[0, 0], rel=0.05)
    assert found.offset == pytest.approx(expected.intercept_[0], abs=0.05)
    assert calibration.error(found(scores), right) < 0.06


def test_right_and_wrong_weigh_the_same_however_many_there_are() -> None:
    scores, right = made()
    found = verification.fitted(scores, right)
    more = np.concatenate([scores, *[scores[~right]] * 9]), np.concatenate([right, *[right[~right]] * 9])
    again = verification.fitted(*more)
    assert (again.slope, again.offset) == pytest.approx((found.slope, found.offset), rel=0.05, abs=0.05)


def test_scores_that_tell_all_apart_or_nothing_have_finite_answers() -> None:
    apart = verification.fitted(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    assert 0 < apart.slope < 10 and apart(np.array([-2.0, 2.0])) == pytest.approx([0.2, 0.8], abs=0.12)
    for scores in (np.zeros(4), np.array([2.0, 1.0, -1.0, -2.0])):
        nothing = verification.fitted(scores, np.array([False, False, True, True]))
        assert nothing(np.array([-5.0, 5.0])) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("right", "wrong", "rate", "threshold"),
    [
        ([2.0, 3.0], [0.0, 1.0], 0.0, 2.0),
        ([0.0, 2.0, 3.0, 4.0], [-1.0, 1.0, 1.5, 2.5], 0.25, 2.0),
        ([1.0], [1.0], 0.5, 1.0),
    ],
)
def test_equal_error_by_hand(right, wrong, rate, threshold) -> None:
    found = verification.equal_error(np.array(right), np.array(wrong))
    assert found == pytest.approx((rate, threshold))


@pytest.mark.parametrize(
    ("scores", "right", "message"),
    [
        ([1.0, 2.0], [True, True], "there are 2 and 0"),
        ([], [], "there are 0 and 0"),
        ([1.0, float("nan")], [True, False], "finite"),
    ],
)
def test_what_cannot_be_fitted_is_refused(scores, right, message) -> None:
    with pytest.raises(ValueError, match=message):
        verification.fitted(np.array(scores), np.array(right, bool))
    if len(scores) != 2 or message != "finite":
        with pytest.raises(ValueError, match="are needed"):
            verification.equal_error(np.array(scores), np.zeros(0))
