"""Phones from CTC outputs: prefix beam search under an n-gram of the train transcripts.

Conventions: logits or log probabilities (steps, 1 + phones) of each recording, column 0 the blank. A
transcript is the columns of its phones, in order; its score is that of `beam`.

Contents: `PrefixDecoder`, `fit`, `times`, `to_json`, `from_json`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_softmax

from audiomtl.metrics import viterbi
from audiomtl.nn.decoding import beam, ngram
from audiomtl.nn.decoding.memory import Memory
from audiomtl.nn.decoding.ngram import NGram
from audiomtl.settings.decoding import Decoding, candidates

LEAST = float(np.log(1e-3))  # log probability from which the beam considers a phone in a step

Transcript = tuple[int, ...]


@dataclass(frozen=True)
class PrefixDecoder:
    """A fitted decoder."""

    numbers: Mapping[str, Any]  # of the table [decoding], those that were chosen
    phones: tuple[str, ...]  # columns 1.. of the outputs
    language: NGram
    memory: Memory[Transcript] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def transcripts(self, logits: Sequence[np.ndarray]) -> list[Transcript]:
        """The best transcript of each recording (steps, 1 + phones).

        Raises
        ------
        ValueError : NaN among the logits.
        """
        return self.memory.of(logits)

    def _decode(self, logits: list[np.ndarray]) -> list[Transcript]:
        numbers = self.numbers
        weight = numbers["language_weight"]
        language = ngram.automaton(self.language, self.phones) if weight else None
        return [
            beam.search(
                log_softmax(np.asarray(own, float), axis=1),
                width=numbers["beam_width"],
                language=language,
                language_weight=weight,
                insertion_bonus=numbers["insertion_bonus"],
                least=LEAST,
            )[0].symbols
            for own in logits
        ]


def fit(
    decoding: Decoding,
    phones: Sequence[str],
    texts: Sequence[Sequence[str]],
    judge: Callable[[PrefixDecoder], float],
) -> PrefixDecoder:
    """The n-gram from the transcripts of the train split, and the numbers that ``judge`` finds best.

    Parameters
    ----------
    judge : a score on the validation split, the lower the better; it is asked only where there is something
        to choose.
    """
    names, languages = tuple(phones), dict[int, NGram]()
    made = list[PrefixDecoder]()
    for numbers in candidates(decoding):
        order = numbers["language_order"]
        if order not in languages:
            languages[order] = ngram.train(texts, names, order)
        made.append(PrefixDecoder(numbers, names, languages[order]))
    return min(made, key=judge) if len(made) > 1 else made[0]


def times(logits: np.ndarray, transcript: Transcript) -> tuple[np.ndarray, np.ndarray]:
    """First step of every phone of a transcript, and the step behind its last, (phones,) each: in the best of
    the alignments that CTC sums over.

    Raises
    ------
    ValueError : a transcript that does not fit into the steps.
    """
    if not transcript:
        return np.zeros(0, int), np.zeros(0, int)
    classes = np.full(2 * len(transcript) + 1, beam.BLANK)
    classes[1::2] = transcript
    reach = np.ones((3, len(classes)), bool)
    reach[2] = False
    reach[2, 3::2] = classes[3::2] != classes[1:-2:2]  # over a blank, but not to the same phone
    places = np.arange(len(classes))
    text = viterbi.Text(classes, reach, places < 2, places >= len(classes) - 2)
    [path] = viterbi.best_paths([log_softmax(np.asarray(logits, float), axis=1)], [text])
    own = places[1::2]
    return np.searchsorted(path, own), np.searchsorted(path, own, side="right")


def to_json(decoder: PrefixDecoder) -> dict[str, Any]:
    """The decoder as plain values."""
    language = ngram.to_json(decoder.language)
    return {"numbers": dict(decoder.numbers), "phones": list(decoder.phones), "language": language}


def from_json(saved: Mapping[str, Any]) -> PrefixDecoder:
    """Read what `to_json` made."""
    return PrefixDecoder(dict(saved["numbers"]), tuple(saved["phones"]), ngram.from_json(saved["language"]))
