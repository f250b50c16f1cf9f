"""The likeliest way through a text: by hand, and against every path there is."""

from itertools import pairwise, product

import numpy as np
import pytest

from audiomtl.families.multitask import viterbi as alignment


def allowed(path: tuple[int, ...], count: int) -> bool:
    """Whether a path begins, goes on and ends as it may: pauses (even) may be skipped, phones (odd) never."""
    if path[0] > 1 or path[-1] < count - 2:
        return False
    return all(b - a in (0, 1) or (b - a == 2 and a % 2 == 1) for a, b in pairwise(path))


def test_positions_have_a_pause_around_every_phone() -> None:
    assert alignment.positions(["a", "_", "b"]) == ["_", "a", "_", "b", "_"] and alignment.positions([]) == [
        "_"
    ]


def test_a_way_by_hand() -> None:
    """Two phones, five positions; the likeliest of each step would go back: 0 1 3 1 3.

    The means of the columns are alike.
    """
    posteriors = np.full((5, 5), 0.2)
    posteriors[0] = [0.9, 0.2, 0.2, 0.2, 0.2]
    posteriors[1, 1], posteriors[2, 3], posteriors[3, 1], posteriors[4, 3] = 0.6, 0.6, 0.4, 0.6
    posteriors[:, [2, 4]] = [[0.5], [0.5], [0.0], [0.0], [0.0]]
    assert alignment.path(posteriors).tolist() == [0, 1, 3, 3, 3]


def test_a_long_phone_does_not_take_a_short_one_s_time() -> None:
    """A share counts against its position's mean: of a 0.6 is less than its mean of 0.76, of b 0.4 is
    more than its mean of 0.16.
    """
    posteriors = np.zeros((5, 3 + 2))
    posteriors[:, 1], posteriors[:, 3] = [0.8, 0.8, 0.8, 0.8, 0.6], [0.0, 0.0, 0.0, 0.4, 0.4]
    assert alignment.path(posteriors).tolist() == [1, 1, 1, 3, 3]  # of posteriors alone it would be 1 1 1 1 3


def test_a_pause_may_be_skipped_and_a_phone_never() -> None:
    silent = np.full((4, 5), 1e-7)
    silent[:, [0, 2, 4]] = 1.0  # only pauses are heard: both phones get a step all the same
    assert set(alignment.path(silent)) >= {1, 3}
    spoken = np.full((4, 5), 1e-7)
    spoken[:2, 1] = spoken[2:, 3] = 1.0  # no pause anywhere
    assert alignment.path(spoken).tolist() == [1, 1, 3, 3]
    assert alignment.path(np.full((2, 5), 0.2)).tolist() == [1, 3]  # no step to spare


@pytest.mark.parametrize(
    ("steps", "phones"), [(1, 0), (1, 1), (3, 0), (3, 1), (3, 2), (3, 3), (5, 2), (6, 1)]
)
def test_a_way_is_the_best_of_all_paths(steps, phones) -> None:
    count = 2 * phones + 1
    for seed in range(12):
        posteriors = np.random.default_rng(seed).dirichlet(np.ones(count) * 0.3, steps)
        logs = np.log(posteriors / np.maximum(posteriors.mean(axis=0), alignment.RAREST) + alignment.SMALLEST)
        every = [path for path in product(range(count), repeat=steps) if allowed(path, count)]
        totals = [sum(logs[step, place] for step, place in enumerate(path)) for path in every]
        found = alignment.path(posteriors)
        assert tuple(found) in every and logs[np.arange(steps), found].sum() == pytest.approx(max(totals))


def test_fewer_steps_than_phones_are_refused() -> None:
    with pytest.raises(ValueError, match="3 phones in 2 steps"):
        alignment.path(np.full((2, 7), 0.1))


def test_onsets_lie_halfway_between_steps() -> None:
    starts, ends = alignment.onsets(np.array([0, 1, 1, 3, 4]), np.arange(5) * 0.2 + 0.1)
    assert np.allclose(starts, [0.2, 0.6]) and np.allclose(ends, [0.6, 0.8])
    starts, ends = alignment.onsets(np.array([1, 1, 2, 2, 3]), np.arange(5) * 0.2)
    assert np.allclose(starts, [-0.1, 0.7]) and np.allclose(ends, [0.3, 0.9])
    assert [len(one) for one in alignment.onsets(np.array([0, 0]), np.arange(2) * 0.2)] == [0, 0]


@pytest.mark.parametrize("phones", [63, 64, 128, 2000])
def test_long_texts_have_their_positions(phones: int) -> None:
    """More positions than an int8 or int16 holds."""
    steps, count = 3 * phones, 2 * phones + 1
    posteriors = np.full((steps, count), 1e-6, np.float32)
    spoken = np.arange(phones)
    posteriors[3 * spoken, 2 * spoken] = 1.0  # a pause, then two steps of the phone
    posteriors[3 * spoken + 1, 2 * spoken + 1] = posteriors[3 * spoken + 2, 2 * spoken + 1] = 0.9
    path = alignment.path(posteriors)
    assert path[1::3].tolist() == path[2::3].tolist() == (2 * spoken + 1).tolist()
    starts, _ = alignment.onsets(path, np.arange(steps) * 0.1)
    np.testing.assert_allclose(starts, 0.1 * (3 * spoken + 0.5))
    np.testing.assert_allclose(alignment.confidence(posteriors, path), 0.9)
