import numpy as np
import pytest

from audiomtl.nn.decoding import onsets

NUMBERS = dict(threshold=0.5, held_threshold=0.4)


def rolls(steps: int, begins: dict[int, float], sounding: tuple[range, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and held of the second of two keys."""
    first, held = np.zeros((steps, 2)), np.zeros((steps, 2))
    for step, value in begins.items():
        first[step, 1] = value
    for span in sounding:
        held[list(span), 1] = 0.9
    return first, held


@pytest.mark.parametrize(
    "begins, sounding, numbers, expected",
    [
        ({2: 0.9}, (range(2, 8),), {}, [(2, 8, 1)]),
        ({2: 0.9, 6: 0.7}, (range(2, 12),), {}, [(2, 6, 1), (6, 12, 1)]),  # a repeated note
        ({2: 0.9, 6: 0.4}, (range(2, 12),), {}, [(2, 12, 1)]),  # an onset that is too low
        ({2: 0.9, 3: 0.8}, (range(2, 8),), {}, [(2, 8, 1)]),  # one peak, not two
        ({2: 0.9}, (range(2, 5), range(6, 9)), {}, [(2, 5, 1)]),
        ({2: 0.9}, (range(2, 5), range(6, 9)), {"gap": 1}, [(2, 9, 1)]),
        ({2: 0.9}, (range(2, 5), range(7, 9)), {"gap": 1}, [(2, 5, 1)]),
        ({2: 0.9, 9: 0.6}, (range(2, 8), range(9, 10)), {"shortest": 2}, [(2, 8, 1)]),
        ({}, (range(2, 8),), {}, []),  # held without an onset
        ({11: 0.9}, (), {}, [(11, 12, 1)]),  # the clip's end
    ],
)
def test_notes(begins, sounding, numbers, expected):
    assert onsets.notes(*rolls(12, begins, sounding), **NUMBERS | numbers) == expected


def test_peaks_equal_brute_force():
    drawn = np.random.default_rng(0).integers(0, 4, (30, 3)) / 4  # many equal values
    for around in (0, 1, 3):
        for step, key in np.ndindex(*drawn.shape):
            before = drawn[max(step - around, 0) : step, key]
            after = drawn[step + 1 : step + 1 + around, key]
            here = drawn[step, key]
            wanted = here >= 0.5 and (before < here).all() and (after <= here).all()
            assert onsets.peaks(drawn, 0.5, around)[step, key] == wanted


def test_a_refined_onset_is_the_vertex_of_a_parabola():
    curve = 0.9 - 0.05 * (np.arange(9) - 4.3) ** 2
    held = np.full((9, 1), 0.9)
    [(onset, offset, key)] = onsets.notes(curve[:, None], held, refine=True, **NUMBERS)
    assert (onset, offset, key) == (pytest.approx(4.3), 9, 0)


@pytest.mark.parametrize("steps, expected", [(0, []), (1, [(0, 1, 0)])])
def test_a_clip_of_hardly_any_steps(steps, expected):
    assert onsets.notes(np.ones((steps, 1)), np.ones((steps, 1)), refine=True, **NUMBERS) == expected


@pytest.mark.parametrize(
    "first, held, message",
    [
        (np.full((3, 1), np.nan), np.zeros((3, 1)), "onsets have NaN"),
        (np.zeros((3, 1)), np.full((3, 1), np.nan), "held keys have NaN"),
        (np.zeros((3, 1)), np.zeros((4, 1)), "one shape"),
    ],
)
def test_what_cannot_be_read_is_refused(first, held, message):
    with pytest.raises(ValueError, match=message):
        onsets.notes(first, held, **NUMBERS)
