"""Forced alignment with CTC outputs: against every labelling there is, and where boundaries are set."""

from itertools import groupby, product

import numpy as np
import pytest

from audiomtl.families.ctc import alignment
from audiomtl.families.ctc.alignment import align
from audiomtl.metrics import viterbi

PAUSE = 3


def _labelling(classes: tuple[int, ...], mode: str) -> list[int]:
    runs = [symbol for symbol, _ in groupby(classes)]
    return [symbol for symbol in runs if symbol or mode == "frames"]


def _allowed(said: list[int], phones: list[int], pauses: bool, breaks: list[bool]) -> bool:
    """Whether what was said is the phones with at most one pause where one may stand."""
    places = [number for number, may in enumerate(breaks) if may] if pauses else []
    for chosen in product([False, True], repeat=len(places)):
        there = {place for place, here in zip(places, chosen, strict=True) if here}
        wanted: list[int] = []
        for number in range(len(phones) + 1):
            wanted += [PAUSE] if number in there else []
            wanted += phones[number : number + 1]
        if said == wanted:
            return True
    return False


@pytest.mark.parametrize("mode", ["ctc", "frames"])
@pytest.mark.parametrize("pause", [None, PAUSE])
@pytest.mark.parametrize("phones", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_the_path_is_the_best_of_all_labellings(mode, pause, phones) -> None:
    if mode == "frames" and phones == [1, 1]:
        return  # two equal phones look like one there
    for seed in range(4):
        random = np.random.default_rng(seed)
        breaks = random.random(len(phones) + 1) < 0.7
        scores = alignment.log_probabilities(2 * random.standard_normal((5, 4)), mode)
        text, _ = alignment.states_of(np.array(phones), mode=mode, pause=pause, breaks=breaks)
        [path] = viterbi.best_paths([scores], [text])
        found = scores[np.arange(5), text.classes[path]].sum()
        totals = [
            scores[np.arange(5), classes].sum()
            for classes in product(range(mode == "frames", 4), repeat=5)
            if _allowed(_labelling(classes, mode), phones, pause is not None, breaks.tolist())
        ]
        assert found == pytest.approx(max(totals))


@pytest.mark.parametrize("pause", [None, PAUSE])
def test_phones_last_a_least_number_of_steps(pause) -> None:
    phones = [1, 2, 1]
    for seed in range(4):
        logits = 3 * np.random.default_rng(seed).standard_normal((7, 4))
        scores = alignment.log_probabilities(logits, "frames")
        every = np.ones(4, bool)
        text, of_phone = alignment.states_of(
            np.array(phones), mode="frames", pause=pause, breaks=every, minimum=2
        )
        [path] = viterbi.best_paths([scores], [text])
        totals = [
            scores[np.arange(7), classes].sum()
            for classes in product(range(1, 4), repeat=7)
            if _allowed(_labelling(classes, "frames"), phones, pause is not None, every.tolist())
            and all(len(list(run)) >= 2 for phone, run in groupby(classes) if phone != PAUSE)
        ]
        assert scores[np.arange(7), text.classes[path]].sum() == pytest.approx(max(totals))
        assert sorted(set(of_phone[path]) - {-1}) == [0, 1, 2]
        [found] = align([logits], [np.array(phones)], mode="frames", pause=pause, minimum=2)
        assert len(found.starts) == 3 and (found.ends - found.starts >= 2).all()
    [short] = align([logits[:4]], [np.array(phones)], mode="frames", minimum=2)  # too short for two each
    assert (short.ends - short.starts).tolist() in ([1, 1, 2], [1, 2, 1], [2, 1, 1])


def test_evidence_is_the_logarithm_beside_the_likeliest_phone() -> None:
    logits = _peaks(6, {1: 1, 4: 2})
    right, wrong = align([logits] * 2, [np.array([1, 2]), np.array([2, 1])], mode="ctc")
    assert right.evidence == pytest.approx([0.0, 0.0])
    assert (wrong.evidence < -2).any() and (wrong.evidence <= 0).all()
    sure = align([100 * logits], [np.array([2, 1])], mode="ctc")[0]
    assert sure.evidence.min() == -alignment.LEAST


def _peaks(steps: int, said: dict[int, int], between: float = 0.9) -> np.ndarray:
    """Logits of 4 classes: blanks, and phones at some steps."""
    probabilities = np.full((steps, 4), (1 - between) / 3)
    probabilities[:, 0] = between
    for step, phone in said.items():
        probabilities[step] = 0.01
        probabilities[step, phone] = 0.97
    return np.log(probabilities)


def test_a_boundary_lies_where_the_phones_own_probabilities_change() -> None:
    logits = _peaks(10, {2: 1, 8: 2})
    logits[:6, 1] += 1.0  # under the blank, phone 1 goes on until step 5
    logits[6:, 2] += 1.0
    [found] = align([logits], [np.array([1, 2])], mode="ctc")
    assert found.starts.tolist() == [1.5, 5.5] and found.ends.tolist() == [5.5, 8.5]
    assert found.confidence == pytest.approx([0.97 * np.e / (0.97 * np.e + 0.03), 0.99], abs=0.01)
    [short] = align([logits], [np.array([1, 2])], mode="ctc", extension=1)
    assert short.starts.tolist() == [1.5, 6.5] and short.ends.tolist() == [3.5, 8.5]


def test_a_pause_takes_the_time_of_no_phone() -> None:
    logits = _peaks(9, {0: 3, 2: 1, 4: 3, 5: 3, 7: 2})
    [found] = align([logits], [np.array([1, 2])], mode="ctc", pause=PAUSE)
    assert 0.5 <= found.starts[0] <= 2 and 2 < found.ends[0] <= 4 and 5 <= found.starts[1] < 7
    # where a pause may not stand, its steps are the phones'
    [other] = align([logits], [np.array([1, 2])], mode="ctc", pause=PAUSE, breaks=[np.zeros(3, bool)])
    assert other.ends[0] == other.starts[1]


@pytest.mark.parametrize("mode", ["ctc", "frames"])
def test_what_else_is_aligned_changes_nothing(mode: str) -> None:
    random = np.random.default_rng(1)
    logits = [random.standard_normal((steps, 5)) for steps in (12, 40, 23)]
    phones = [random.integers(1, 5, size=count) for count in (3, 12, 7)]
    every = align(logits, phones, mode=mode, pause=4)
    for number, one in enumerate(every):
        [alone] = align(logits[number : number + 1], phones[number : number + 1], mode=mode, pause=4)
        for name in ("starts", "ends", "confidence"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(one, name))


def test_texts_of_thousands_of_phones_are_aligned() -> None:
    count = 2000
    phones = 1 + np.arange(count) % 3  # never two alike in a row
    logits = _peaks(3 * count, {3 * place + 1: int(phone) for place, phone in enumerate(phones)})
    [found] = align([logits], [phones], mode="ctc")
    np.testing.assert_allclose((found.starts + found.ends) / 2, 3 * np.arange(count) + 1, atol=1)
    assert (found.confidence > 0.9).all() and (np.diff(found.starts) > 0).all()


def test_more_phones_than_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="no path"):
        align([np.zeros((3, 3))], [np.array([1, 1, 2])], mode="ctc")
