"""The best path through a text: against every path there is, in batches, and through long texts."""

from itertools import pairwise, product

import numpy as np
import pytest

from audiomtl.metrics import viterbi
from audiomtl.metrics.viterbi import Text, best_paths


def _text(random: np.random.Generator, states: int, classes: int) -> Text:
    reach = random.random((4, states)) < 0.6
    reach[:2] = True
    first, last = random.random(states) < 0.5, random.random(states) < 0.5
    first[0] = last[-1] = True
    return Text(random.integers(classes, size=states), reach, first, last)


def _total(path: np.ndarray | tuple[int, ...], scores: np.ndarray, text: Text) -> float:
    """Log score of a path, -inf for one that is not allowed."""
    if not text.first[path[0]] or not text.last[path[-1]]:
        return -np.inf
    for before, after in pairwise(path):
        if not 0 <= after - before < len(text.reach) or not text.reach[after - before, after]:
            return -np.inf
    return sum(scores[step, text.classes[state]] for step, state in enumerate(path))


@pytest.mark.parametrize(("steps", "states"), [(1, 1), (1, 3), (4, 3), (5, 4), (4, 6), (6, 4)])
def test_a_path_is_the_best_of_all(steps: int, states: int) -> None:
    for seed in range(8):
        random = np.random.default_rng((seed, steps, states))
        text, scores = _text(random, states, 4), np.log(random.dirichlet(np.ones(4), steps))
        every = [_total(path, scores, text) for path in product(range(states), repeat=steps)]
        if max(every) == -np.inf:
            continue
        [path] = best_paths([scores], [text])
        assert _total(path, scores, text) == pytest.approx(max(every))


def test_a_batch_gives_what_each_recording_gives_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    texts = [_text(random, states, 6) for states in (3, 17, 40, 9)]
    scores = [np.log(random.dirichlet(np.ones(6), steps)) for steps in (7, 60, 45, 31)]
    alone = [best_paths([one], [text])[0] for one, text in zip(scores, texts, strict=True)]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 0]):
        found = best_paths([scores[one] for one in order], [texts[one] for one in order])
        assert all(np.array_equal(path, alone[one]) for path, one in zip(found, order, strict=True))
    # block by block, in little memory
    monkeypatch.setattr(viterbi, "MOST_BYTES", 10)
    again = best_paths(scores, texts)
    assert all(np.array_equal(path, other) for path, other in zip(again, alone, strict=True))


def test_no_recordings_have_no_paths() -> None:
    assert best_paths([], []) == []


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.zeros((0, 2)), "recording 0 has no steps"),
        (np.full((3, 2), -np.inf), "no path leads through recording 0"),
        (np.zeros((1, 2)), "no path leads through recording 0"),  # three states need two steps
    ],
)
def test_what_no_path_leads_through_is_refused(scores: np.ndarray, words: str) -> None:
    one = np.array([True, False, False])
    text = Text(np.array([0, 1, 0]), np.ones((2, 3), bool), one, one[::-1])
    with pytest.raises(ValueError, match=words):
        best_paths([scores], [text])
