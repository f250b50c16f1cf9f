"""CTC prefix beam: with a beam that is wide enough every transcript has its exact probability."""

import itertools

import numpy as np
import pytest

from audiomtl.nn.decoding import beam, ngram
from audiomtl.nn.decoding.ngram import Automaton

WORDS = ("a", "b")
LANGUAGE = ngram.automaton(ngram.train([list("aab"), list("ba"), list("a")], WORDS, 3), WORDS)


def log_softmax(values: np.ndarray) -> np.ndarray:
    return values - np.logaddexp.reduce(values, axis=1, keepdims=True)


def brute_force(
    logs: np.ndarray, language: Automaton | None, weight: float, bonus: float
) -> list[tuple[float, tuple[int, ...], float]]:
    """(score, transcript, log probability) of every transcript, over all alignments, the best first."""
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        transcript = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        log = float(logs[np.arange(len(path)), list(path)].sum())
        totals[transcript] = float(np.logaddexp(totals.get(transcript, -np.inf), log))
    found = []
    for transcript, log in totals.items():
        score = log + bonus * len(transcript)
        if language:
            state = language.start
            for symbol in transcript:
                score += weight * language.logs[state, symbol - 1]
                state = language.next_states[state, symbol - 1]
            score += weight * language.ends[state]
        found.append((score, transcript, log))
    return sorted(found, reverse=True)


@pytest.mark.parametrize(
    "language, weight, bonus", [(None, 0.0, 0.0), (LANGUAGE, 0.7, 0.3), (None, 0.0, -0.5)]
)
@pytest.mark.parametrize("steps", [1, 2, 4, 6])
def test_the_best_transcripts_are_those_of_all(
    steps: int, language: Automaton | None, weight: float, bonus: float
) -> None:
    random = np.random.default_rng(steps)
    for _ in range(6):
        logs = log_softmax(2 * random.normal(size=(steps, 3)))
        wanted = brute_force(logs, language, weight, bonus)
        found = beam.search(
            logs,
            width=1000,
            language=language,
            language_weight=weight,
            insertion_bonus=bonus,
            n_best=3,
        )
        for one, (score, transcript, log) in zip(found, wanted, strict=False):
            assert one.symbols == transcript
            assert one.score == pytest.approx(score) and one.log_probability == pytest.approx(log)


def test_a_sum_over_alignments_beats_the_best_path() -> None:
    """The greedy path says nothing; a in either step, or in both, is likelier together."""
    logs = np.log([[0.6, 0.4], [0.6, 0.4]])
    [best] = beam.search(logs, width=4)
    assert best.symbols == (1,) and np.exp(best.log_probability) == pytest.approx(1 - 0.36)


def test_an_ngram_and_a_bonus_decide_where_the_sound_does_not() -> None:
    logs = np.log(np.full((1, 3), 1 / 3))
    assert beam.search(logs, width=9)[0].symbols == ()
    for word in (1, 2):
        language = ngram.automaton(ngram.train([[WORDS[word - 1]]] * 9, WORDS, 2), WORDS)
        [best] = beam.search(logs, width=9, language=language, language_weight=1.0)
        assert best.symbols == (word,)
    assert len(beam.search(logs, width=9, insertion_bonus=1.0)[0].symbols) == 1


def test_a_narrow_beam_keeps_the_best_and_pruned_words_begin_nowhere() -> None:
    random = np.random.default_rng(0)
    logs = log_softmax(4 * random.normal(size=(60, 12)))
    [wide] = beam.search(logs, width=200)
    [narrow] = beam.search(logs, width=16, least=float(np.log(1e-4)))
    assert narrow.symbols == wide.symbols
    assert beam.search(logs, width=4, least=0.0)[0].symbols == ()


@pytest.mark.parametrize("logs", [np.zeros((0, 3)), np.log(np.tile([1.0, 1e-30, 1e-30], (5, 1)))])
def test_nothing_is_heard_in_nothing(logs: np.ndarray) -> None:
    assert beam.search(logs, width=8)[0].symbols == ()


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        beam.search(np.full((2, 3), np.nan), width=8)
