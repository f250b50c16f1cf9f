"""N-grams: probabilities by the formula and summing to 1; ARPA files and automata that say the same."""

import numpy as np
import pytest

from audiomtl.errors import UserError
from audiomtl.nn.decoding import ngram

TEXTS = [list("abracadabra"), list("abc"), [], list("dab")]
WORDS = list("abcdrz")  # no text has z
HISTORIES = [(), ("<s>",), ("a",), ("a", "b"), ("z", "a"), ("r", "a", "c"), ("z", "z", "z")]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_sum_to_1_after_every_history(order: int) -> None:
    model = ngram.train(TEXTS, WORDS, order)
    for history in HISTORIES:
        logs = [ngram.log_probability(model, word, history) for word in [*WORDS, ngram.END]]
        assert np.exp(logs).sum() == pytest.approx(1.0)
        assert np.isfinite(logs).all()  # nothing is impossible
    assert ngram.log_probability(model, "?", ()) == -np.inf


def test_the_formula_of_witten_and_bell() -> None:
    """Of a bigram: a is followed by b 4 times, c 1, d 1, and the end 1 time: 4 kinds in 7."""
    model = ngram.train(TEXTS, WORDS, 2)
    tokens, kinds = 11 + 3 + 0 + 3 + 4, 6  # ends among them; a b c d r </s>
    b = (4 + kinds / 7) / (tokens + kinds)
    assert ngram.log_probability(model, "b", ()) == pytest.approx(np.log(b))
    assert ngram.log_probability(model, "b", ("a",)) == pytest.approx(np.log((4 + 4 * b) / (7 + 4)))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_files_and_automata_say_the_same(order: int) -> None:
    model = ngram.train(TEXTS, WORDS, order)
    read = ngram.from_arpa(ngram.to_arpa(model), "phones.arpa")
    assert ngram.from_json(ngram.to_json(model)) == model
    machine = ngram.automaton(model, WORDS)
    for text in [*TEXTS, list("zzar")]:
        assert ngram.text_score(read, text) == pytest.approx(ngram.text_score(model, text), abs=1e-9)
        state, total = machine.start, 0.0
        for number in map(WORDS.index, text):
            total += machine.logs[state, number]
            state = machine.next_states[state, number]
        assert total + machine.ends[state] == pytest.approx(ngram.text_score(model, text))


def test_longer_histories_tell_more_of_the_texts() -> None:
    perplexities = [ngram.perplexity(ngram.train(TEXTS, WORDS, order), TEXTS) for order in (1, 2, 3)]
    assert perplexities == sorted(perplexities, reverse=True)


def test_without_a_text_all_words_are_equal() -> None:
    assert ngram.log_probability(ngram.train([], WORDS, 2), "a", ("b",)) == pytest.approx(-np.log(7))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no n-grams"),
        ("\\data\\\n\n\\1-grams:\n-0.3 a b c\n\\end\\\n", ":4: '-0.3 a b c': must be"),
        ("\\data\\\n\n\\1-grams:\nnan a\n\\end\\\n", ":4: 'nan a': must be"),
        ("\\data\\\n\n\\1-grams:\n-0.3 a\n", "no end of the file"),
    ],
)
def test_a_file_that_is_no_ngram_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("\\", "\\\\")):
        ngram.from_arpa(text, "x.arpa")
