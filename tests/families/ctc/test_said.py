"""Whether a text was said: probabilities on outputs of which a part is noise."""

import numpy as np
import pytest

from audiomtl.families.ctc import alignment, said
from audiomtl.families.ctc.alignment import Aligned

CLASSES = 12


def made(clips: int, noise: float, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs of a network trained on frames, four steps per phone, and the phones of each clip."""
    random = np.random.default_rng(seed)
    phones = [random.integers(1, CLASSES, size=random.integers(8, 16)) for _ in range(clips)]
    logits = []
    for own in phones:
        output = noise * random.standard_normal((4 * len(own), CLASSES))
        output[np.arange(len(output)), np.repeat(own, 4)] += 3.0
        logits.append(output)
    return logits, phones


def align(logits: list[np.ndarray], phones: list[np.ndarray]) -> list[Aligned]:
    return alignment.align(logits, phones, mode="frames")


@pytest.fixture(scope="module")
def known() -> said.Said:
    found = said.fitted(said.trials(*made(24, 1.5, 0), align))
    assert found is not None
    return found


def test_what_was_said_and_what_was_not_are_told_apart_and_probabilities_mean_what_they_say(known) -> None:
    scores = said.measured(known, said.trials(*made(24, 1.5, 1), align, seed=1))
    assert scores["text_rejected"] == 0 and scores["text_accepted"] == 0 and known.accepted == 0
    assert scores["word_equal_error"] < 0.1 and scores["phone_equal_error"] < 0.2
    assert scores["phone_calibration_error"] < 0.1 and scores["word_calibration_error"] < 0.15


def test_a_longer_word_is_surer_and_files_keep_all(known) -> None:
    right, wrong = np.zeros(2), np.full(2, -6.0)
    assert known.of_word(wrong) < 0.5 < known.of_word(right) < known.of_word(np.zeros(5)) <= 1
    assert known.phones(np.array([0.0, -6.0]))[1] < 0.5 < known.of_text(np.zeros(9))
    assert said.Said.from_json(known.to_json()) == known


@pytest.mark.parametrize("phones", [[[1, 2, 3]] * 3, [[1, 2, 3]], [[], []]])
def test_texts_that_are_all_the_same_tell_nothing(phones) -> None:
    logits = [np.zeros((20, CLASSES)) for _ in phones]
    assert said.fitted(said.trials(logits, [np.array(one, int) for one in phones], align)) is None
