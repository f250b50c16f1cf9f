"""Viterbi over frames: equal to the best of all paths, whatever the durations, transitions and lengths."""

import itertools

import numpy as np
import pytest

from audiomtl.nn.decoding.viterbi import best_paths, path_score


def runs_of(path: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.concatenate([[1], np.diff(path) != 0, [1]]))
    return np.diff(edges)


def brute_force(
    scores: np.ndarray, change: np.ndarray, first: np.ndarray, last: np.ndarray, minimum: int
) -> tuple[float, np.ndarray | None]:
    best: tuple[float, np.ndarray | None] = (-np.inf, None)
    for classes in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        path = np.array(classes)
        if runs_of(path).min() >= min(minimum, len(path)):
            total = path_score(path, scores, change, first, last)
            if total > best[0]:
                best = (total, path)
    return best


@pytest.mark.parametrize("minimum", [1, 2, 3])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_every_path_is_the_best_of_all(classes: int, minimum: int) -> None:
    random = np.random.default_rng(10 * classes + minimum)
    for _ in range(8):
        change, first, last = (random.normal(size=shape) for shape in ((classes, classes), classes, classes))
        several = [random.normal(size=(steps, classes)) for steps in (1, 2, 4, 6)]
        several[2][random.random(several[2].shape) < 0.2] = -np.inf
        wanted = [brute_force(one, change, first, last, minimum) for one in several]
        kept = [number for number, (_, path) in enumerate(wanted) if path is not None]
        found = best_paths(
            [several[number] for number in kept], change, first=first, last=last, minimum=minimum
        )
        for number, path in zip(kept, found, strict=True):
            assert path.tolist() == wanted[number][1].tolist()  # type: ignore[union-attr]


def test_one_number_is_the_price_of_every_change() -> None:
    scores = np.log([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    assert best_paths([scores])[0].tolist() == [0, 1, 0]
    assert best_paths([scores], -1.0)[0].tolist() == [0, 0, 0]


def test_recordings_do_not_change_each_other() -> None:
    random = np.random.default_rng(1)
    several = [random.normal(size=(steps, 5)) for steps in (40, 7, 0, 23, 1)]
    change = random.normal(size=(5, 5))
    together = best_paths(several, change, minimum=3)
    for one, path in zip(several, together, strict=True):
        [alone] = best_paths([one], change, minimum=3)
        assert path.tolist() == alone.tolist()
    assert [len(path) for path in together] == [40, 7, 0, 23, 1]
    assert best_paths([]) == []


@pytest.mark.parametrize(
    "scores, message",
    [
        (np.full((3, 2), np.nan), "recording 1: the scores have NaN"),
        (np.zeros((3, 3)), r"recording 1: scores must be \(steps, 2\)"),
        (np.full((3, 2), -np.inf), "no path"),
    ],
)
def test_bad_scores_are_refused(scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_paths([np.zeros((2, 2)), scores])
