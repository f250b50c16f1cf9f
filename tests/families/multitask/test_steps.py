"""Steps of a grid of a tenth of a second, what is on them, and spans from them."""

import numpy as np
import pytest

from audiomtl.data.scores import KEYS
from audiomtl.families.multitask import steps
from audiomtl.families.multitask.steps import runs
from tests.small_multitask import grid

TENTHS = np.arange(6) * 0.1  # (6,) seconds


def test_a_step_stands_for_the_middle_of_its_frames() -> None:
    assert np.allclose(steps.step_times(5, grid()), [0, 0.1, 0.2, 0.3, 0.4])
    assert np.allclose(steps.step_times(5, grid(2, 1)), [0.05, 0.25, 0.45])
    assert len(steps.step_times(8, grid(2, 2))) == 2 and len(steps.step_times(9, grid(2, 2))) == 3


def test_spoken_is_the_span_that_holds_a_time() -> None:
    assert steps.spoken([0.0, 0.2], [0.1, 0.4], TENTHS).tolist() == [0, -1, 1, 1, -1, -1]
    assert steps.spoken([0.05, 0.2], [0.2, 0.3], TENTHS).tolist() == [-1, 0, 1, -1, -1, -1]
    assert steps.spoken([], [], TENTHS).tolist() == [-1] * 6


def test_rolls_are_onsets_with_their_neighbours_and_held_keys() -> None:
    found = steps.rolls([(0.1, 0.3, 60), (0.2, 0.3, 64), (0.5, 0.6, 60)], TENTHS, "one")
    assert found.shape == (6, 2 * KEYS) and found.sum() == (3 + 3 + 2) + (2 + 1 + 1)
    assert found[:, 39].tolist() == [1, 1, 1, 0, 1, 1] and found[:, 43].tolist() == [0, 1, 1, 1, 0, 0]
    assert found[:, KEYS + 39].tolist() == [0, 1, 1, 0, 0, 1] and found[:, KEYS + 43].tolist() == [
        0,
        0,
        1,
        0,
        0,
        0,
    ]
    assert steps.rolls([], TENTHS, "one").shape == (6, 2 * KEYS) and not steps.rolls([], TENTHS, "one").any()
    assert steps.rolls([(0.0, 0.1, 60)], TENTHS[:1], "one")[0, [39, KEYS + 39]].tolist() == [1, 1]


def test_a_text_is_numbered_with_its_pauses() -> None:
    symbols = ("_", "a", "b")
    # 1: a symbol that no train clip has
    assert steps.text_tokens(["a", "_", "c"], symbols).tolist() == [
        2,
        3,
        2,
        1,
        2,
    ]
    assert steps.text_tokens([], symbols).tolist() == [2]


def test_runs_begin_and_end_halfway_between_steps() -> None:
    times = np.arange(5) * 0.2 + 0.1
    found = runs(np.array([3, 3, 0, 3, 3]), times)
    assert [number for *_, number in found] == [3, 0, 3] and np.allclose(
        [span[:2] for span in found], [[0, 0.4], [0.4, 0.6], [0.6, 1]]
    )
    assert runs(np.array([], int), times[:0]) == [] and runs(np.array([7]), times[:1]) == [(0.1, 0.1, 7)]
    assert [number for *_, number in runs(np.array([0, -1, -1]), times[:3])] == [0, -1]


@pytest.mark.parametrize(
    "pools, n_frames, expected",
    [((1, 1), 3, [0, 1, 2]), ((2, 2), 8, [2, 6]), ((3, 1), 7, [1, 4, 6]), ((4, 4), 1, [0])],
)
def test_the_frame_at_each_step_s_middle(pools, n_frames, expected) -> None:
    """A melody that is there frame by frame has a step's key under the time that the step stands for."""
    some = grid(*pools)
    found = steps.middle_frames(n_frames, some)
    assert found.tolist() == expected
    inside = found < n_frames - 1
    assert (np.abs(found * 0.1 - steps.step_times(n_frames, some))[inside] <= 0.05 + 1e-9).all()
