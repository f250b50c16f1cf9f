"""Calibration: overconfident answers become as sure as they are right; order is kept."""

import numpy as np
import pytest

from audiomtl.metrics import calibration


def overconfident(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Answers whose log odds are three times too large."""
    random = np.random.default_rng(0)
    odds = random.normal(0.3, 1.0, count)
    right = random.random(count) < 1 / (1 + np.exp(-odds))
    return 1 / (1 + np.exp(-3 * odds)), right


def test_confidences_become_shares_of_right_answers() -> None:
    confidence, right = overconfident()
    fitted = calibration.fit(confidence, right)
    assert fitted.slope == pytest.approx(1 / 3, abs=0.05) and fitted.intercept == pytest.approx(0, abs=0.1)
    after = calibration.calibrated(confidence, fitted)
    assert calibration.error(confidence, right) > 0.1 > 0.04 > calibration.error(after, right)
    assert (np.argsort(after, kind="stable") == np.argsort(confidence, kind="stable")).all()
    for one in calibration.reliability(after, right):
        assert one.low <= one.confidence <= one.high and (
            one.count < 50 or abs(one.confidence - one.right) < 0.1
        )


@pytest.mark.parametrize("right", [[True] * 5, [False] * 5, [True, False, False, True, False]])
def test_few_answers_give_finite_confidences(right: list[bool]) -> None:
    confidence = np.array([0.0, 0.5, 0.9, 1.0, 0.99])
    after = calibration.calibrated(confidence, calibration.fit(confidence, np.array(right)))
    assert np.isfinite(after).all() and (np.diff(after[[0, 1, 2, 4, 3]]) >= 0).all()


def test_without_answers_nothing_changes() -> None:
    nothing = np.zeros(0)
    fitted = calibration.fit(nothing, nothing)
    assert calibration.calibrated(np.array([0.3]), fitted).tolist() == pytest.approx([0.3])
    assert np.isnan(calibration.error(nothing, nothing)) and calibration.reliability(nothing, nothing) == []
