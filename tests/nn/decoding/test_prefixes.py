"""Decoders of CTC outputs: numbers chosen by a judge, the n-gram used, times of the best alignment."""

import json

import numpy as np
import pytest

from audiomtl.nn.decoding import prefixes
from audiomtl.settings.decoding import Decoding

PHONES = ("a", "b", "c")
TEXTS = [["a", "b", "a"]] * 9 + [["c"]]


def decoding(**changes: object) -> Decoding:
    numbers = {"beam_width": 8, "language_order": 2, "language_weight": 0.0, "insertion_bonus": 0.0}
    return Decoding.model_validate({"method": "beam", **numbers, **changes})


def logits(classes: list[int], height: float = 5.0) -> np.ndarray:
    return height * np.eye(1 + len(PHONES))[classes]


def test_without_a_language_model_clear_outputs_are_read_as_they_are() -> None:
    decoder = prefixes.fit(decoding(), PHONES, TEXTS, judge=lambda _: pytest.fail("nothing to choose"))
    outputs = [logits([0, 1, 1, 0, 2, 0, 2]), logits([0, 0]), np.zeros((0, 4))]
    assert decoder.transcripts(outputs) == [(1, 2, 2), (), ()]


def test_the_language_model_decides_where_the_sound_does_not() -> None:
    outputs = logits([1, 0, 2, 0, 1])
    outputs[2, 3] = outputs[2, 2] + 0.1  # "c" a little likelier than "b", which the transcripts have there
    chosen = {
        weight: prefixes.fit(decoding(language_weight=weight), PHONES, TEXTS, judge=lambda _: 0.0)
        for weight in (0.0, 1.0)
    }
    assert chosen[0.0].transcripts([outputs]) == [(1, 3, 1)]
    assert chosen[1.0].transcripts([outputs]) == [(1, 2, 1)]


def test_the_judge_chooses_the_numbers_and_they_come_back_from_json() -> None:
    several = decoding(language_weight=[0.0, 1.0], language_order=[1, 2])
    decoder = prefixes.fit(several, PHONES, TEXTS, judge=lambda one: -one.numbers["language_weight"])
    assert (decoder.numbers["language_weight"], decoder.numbers["language_order"]) == (1.0, 1)
    again = prefixes.from_json(json.loads(json.dumps(prefixes.to_json(decoder))))
    assert (again.numbers, again.phones, again.language) == (decoder.numbers, PHONES, decoder.language)


@pytest.mark.parametrize(
    ("classes", "transcript", "first", "behind"),
    [
        ([0, 1, 1, 0, 2], (1, 2), [1, 4], [3, 5]),
        ([1, 2, 2], (1, 2), [0, 1], [1, 3]),
        ([1, 0, 1], (1, 1), [0, 2], [1, 3]),  # the same phone twice needs a blank
        ([0, 0], (), [], []),
    ],
)
def test_a_phone_has_the_steps_of_the_best_alignment(
    classes: list[int], transcript: tuple[int, ...], first: list[int], behind: list[int]
) -> None:
    begins, ends = prefixes.times(logits(classes), transcript)
    assert (begins.tolist(), ends.tolist()) == (first, behind)


def test_a_transcript_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no path leads"):
        prefixes.times(logits([1, 1]), (1, 1))
