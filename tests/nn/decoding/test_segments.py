from itertools import product

import numpy as np
import pytest

from audiomtl.nn.decoding import segments


def test_the_median_is_that_of_each_window_and_class():
    drawn = np.random.default_rng(0).random((9, 2))
    found = segments.smoothed(drawn, (3, 5))
    for (step, number), width in product(np.ndindex(9, 2), (None,)):
        width = (3, 5)[number]
        places = np.clip(np.arange(step - width // 2, step + width // 2 + 1), 0, 8)
        assert found[step, number] == np.median(drawn[places, number])
    np.testing.assert_array_equal(segments.smoothed(drawn, 1), drawn)
    assert segments.smoothed(drawn[:1], 7).tolist() == drawn[:1].tolist()
    assert segments.smoothed(drawn[:0], 3).shape == (0, 2)


def brute_force(scores: list[float], threshold: float, release: float, shortest: int, gap: int) -> list[bool]:
    """One class, step by step."""
    on, found = False, []
    for score in scores:
        on = score >= threshold or (on and score >= threshold * release)
        found.append(on)
    text = "".join("x" if one else "." for one in found)
    for length in range(gap, 0, -1):
        text = text.replace("x" + "." * length + "x", "x" * (length + 2))
        text = text.replace("x" + "." * length + "x", "x" * (length + 2))
    kept = ["." * len(part) if "x" in part and len(part) < shortest else part for part in _runs(text)]
    return [one == "x" for one in "".join(kept)]


def _runs(text: str) -> list[str]:
    parts: list[str] = []
    for one in text:
        if parts and parts[-1][-1] == one:
            parts[-1] += one
        else:
            parts.append(one)
    return parts


@pytest.mark.parametrize("release", [1.0, 0.5])
@pytest.mark.parametrize("shortest, gap", [(1, 0), (2, 0), (1, 1), (3, 2)])
def test_activity_equals_brute_force(release, shortest, gap):
    for scores in product((0.1, 0.3, 0.6), repeat=5):
        found = segments.active(np.array([scores]).T, 0.5, release=release, shortest=shortest, gap=gap)
        assert found[:, 0].tolist() == brute_force(list(scores), 0.5, release, shortest, gap)


def test_each_class_has_a_threshold_of_its_own():
    scores = np.full((4, 2), 0.4)
    assert segments.active(scores, (0.3, 0.5)).tolist() == [[True, False]] * 4
    assert segments.spans(segments.active(scores, (0.3, 0.5))) == [(0, 4, 0)]


def test_the_clip_weighs_its_classes():
    scores = np.full((2, 2), 0.5, np.float32)
    np.testing.assert_allclose(segments.weighted(scores, np.array([1.0, 0.25]), 0.5), [[0.5, 0.25]] * 2)
    np.testing.assert_array_equal(segments.weighted(scores, np.array([1.0, 0.25]), 0.0), scores)


@pytest.mark.parametrize("clips", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((9, 3))])
def test_silence_has_no_segments(clips):
    assert segments.spans(segments.active(segments.smoothed(clips, 3), 0.5, shortest=2, gap=2)) == []


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: segments.smoothed(np.zeros((3, 1)), 2), "must be odd"),
        (lambda: segments.smoothed(np.full((3, 1), np.nan), 3), "NaN"),
        (lambda: segments.active(np.full((3, 1), np.nan), 0.5), "NaN"),
        (lambda: segments.weighted(np.zeros((3, 1)), np.array([np.nan]), 1.0), "NaN"),
    ],
)
def test_what_cannot_be_read_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
