from itertools import pairwise, product

import numpy as np
import pytest

from audiomtl.nn.decoding import melody

NUMBERS = dict(change=0.7, leap=0.2)


def posteriors(seed: int, steps: int, keys: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random((steps, keys + 1)) ** 3 + 1e-3
    return drawn / drawn.sum(axis=1, keepdims=True)


def readings(steps: int, classes: int, shortest: int):
    """Every way to read so many steps as runs; a key may follow itself, rest may not."""
    for cuts in product((False, True), repeat=steps - 1):
        edges = [0, *(number for number, cut in enumerate(cuts, start=1) if cut), steps]
        if min(np.diff(edges)) < min(shortest, steps):
            continue
        for chosen in product(range(classes), repeat=len(edges) - 1):
            if all(one != classes - 1 or other != classes - 1 for one, other in pairwise(chosen)):
                yield [(start, end, key) for (start, end), key in zip(pairwise(edges), chosen, strict=True)]


@pytest.mark.parametrize("shortest", [1, 2, 3])
@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_best_reading_is_that_of_brute_force(shortest, weight):
    for seed, steps in ((0, 5), (1, 6), (2, 2), (3, 1)):
        own = posteriors(seed, steps, 2)
        onsets = np.random.default_rng(seed + 10).random((steps, 2))
        numbers = NUMBERS | {"weight": weight, "threshold": 0.3}
        [found] = melody.runs([own], [onsets], shortest=shortest, **numbers)
        best = max(melody.score(one, own, onsets, **numbers) for one in readings(steps, 3, shortest))
        assert melody.score(found, own, onsets, **numbers) == pytest.approx(best, abs=1e-9)
        assert min(end - start for start, end, _ in found) >= min(shortest, steps)
        assert [found[0][0], found[-1][1], len(melody.path(found))] == [0, steps, steps]


def test_no_clip_depends_on_the_others():
    several = [posteriors(seed, steps, 5) for seed, steps in ((0, 40), (1, 1), (2, 17), (3, 0))]
    onsets = [np.random.default_rng(9).random((len(one), 5)) for one in several]
    numbers = NUMBERS | {"weight": 2.0, "shortest": 3}
    together = melody.runs(several, onsets, **numbers)
    assert together == [
        melody.runs([one], [begins], **numbers)[0] for one, begins in zip(several, onsets, strict=True)
    ]
    assert together[3] == []


def test_a_repeated_note_is_cut_at_its_onset_and_a_slip_is_none():
    own = np.full((20, 3), 0.02)
    own[:, 0] = 0.96  # one key all the time, but for a slip of one step
    own[14] = [0.2, 0.7, 0.1]
    onsets = np.zeros((20, 2))
    onsets[[0, 9], 0] = 0.9
    numbers = dict(change=2.0, weight=4.0, threshold=0.3, shortest=2)
    assert melody.runs([own], [onsets], **numbers) == [[(0, 9, 0), (9, 20, 0)]]
    assert melody.runs([own], **numbers) == [[(0, 20, 0)]]


def test_silence_is_rest_and_held_keys_become_posteriors():
    assert melody.runs([melody.from_held(np.zeros((6, 4)))], change=1.0) == [[(0, 6, 4)]]
    np.testing.assert_allclose(melody.from_held(np.array([[0.5, 0.0]]))[0], [0.5, 0.0, 0.5], atol=1e-5)


@pytest.mark.parametrize(
    "wrong, numbers",
    [(np.nan, {"change": 1.0}), (0.5, {"change": 0.0}), (0.5, {"change": 1.0, "shortest": 0})],
)
def test_what_cannot_be_read_is_refused(wrong, numbers):
    with pytest.raises(ValueError, match=r"NaN|above 0"):
        melody.runs([np.full((3, 2), wrong)], **numbers)
