"""Phones from frames: what a bigram, a penalty and a least duration do; kept as plain values."""

import json

import numpy as np
import pytest

from audiomtl.nn.decoding import frames
from audiomtl.settings.decoding import Decoding, candidates

PHONES = ("a", "b", "c")
TEXTS = [list("abab"), list("ab")]
SHARES = np.array([0.6, 0.3, 0.1])
NUMBERS = {"minimum_steps": 1, "switch_penalty": 0.0, "language_weight": 0.0, "prior_weight": 0.0}


def decoder(**changes: float) -> frames.FrameDecoder:
    decoding = Decoding.model_validate({"method": "viterbi", **NUMBERS, **changes})
    return frames.fit(decoding, PHONES, TEXTS, SHARES, lambda _: pytest.fail("nothing to choose"))


def heard(text: str, sure: float = 0.5) -> np.ndarray:
    """Probabilities of one step for each letter."""
    found = np.full((len(text), 3), (1 - sure) / 2)
    found[np.arange(len(text)), ["abc".index(letter) for letter in text]] = sure
    return found


def said(one: frames.FrameDecoder, probabilities: np.ndarray) -> str:
    [path] = one.paths([probabilities])
    return "".join(PHONES[number] for number in path)


@pytest.mark.parametrize(
    "changes, text",
    [
        ({}, "aacabb"),  # the likeliest of each step
        ({"minimum_steps": 2}, "aaaabb"),
        ({"switch_penalty": 1.0}, "aaaabb"),
        ({"language_weight": 1.0}, "aaaabb"),  # no text has ac or ca
    ],
)
def test_a_slip_of_one_step_is_heard_through(changes: dict[str, float], text: str) -> None:
    assert said(decoder(**changes), heard("aacabb")) == text


def test_a_rare_phone_needs_less_evidence_where_shares_count() -> None:
    probabilities = np.array([[0.5, 0.1, 0.4]] * 3)
    assert said(decoder(), probabilities) == "aaa"
    assert said(decoder(prior_weight=1.0), probabilities) == "ccc"


def test_numbers_in_a_list_are_chosen_by_the_judge() -> None:
    numbers = {**NUMBERS, "minimum_steps": [1, 3], "switch_penalty": [0.0, 2.0]}
    decoding = Decoding.model_validate({"method": "viterbi", **numbers})
    assert len(candidates(decoding)) == 4
    one = frames.fit(decoding, PHONES, TEXTS, SHARES, lambda d: -d.numbers["minimum_steps"])
    assert (one.numbers["minimum_steps"], one.numbers["switch_penalty"]) == (
        3,
        0.0,
    )  # of equal ones the first


def test_it_comes_back_from_json_to_the_bit() -> None:
    one = decoder(language_weight=0.7, minimum_steps=2, prior_weight=0.3)
    back = frames.from_json(json.loads(json.dumps(frames.to_json(one))))
    random = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    assert said(back, random) == said(one, random)
    assert back.language == one.language and (back.shares == one.shares).all()


def test_bad_and_empty_outputs() -> None:
    one = decoder(minimum_steps=2)
    assert [len(path) for path in one.paths([np.zeros((0, 3)), heard("a")])] == [0, 1]  # 10 ms
    with pytest.raises(ValueError, match="NaN"):
        one.paths([np.full((3, 3), np.nan)])


def test_shares_of_steps() -> None:
    assert frames.share_of_steps([np.array([0, 0, -1, 2])], 3).tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert frames.share_of_steps([], 2).tolist() == [0.5, 0.5]
