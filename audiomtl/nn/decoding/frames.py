"""Phones from the probabilities of frames: Viterbi under a bigram of the train transcripts.

Conventions: probabilities (steps, phones) of each recording. The score of a path is

    sum over steps of log p - prior_weight log prior
    + sum over changes of language_weight log P(phone | phone before) - switch_penalty

and every phone lasts ``minimum_steps`` or more.

Contents: `FrameDecoder`, `fit`, `to_json`, `from_json`, `share_of_steps`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiomtl.nn.decoding import ngram, viterbi
from audiomtl.nn.decoding.memory import Memory
from audiomtl.nn.decoding.ngram import NGram
from audiomtl.settings.decoding import Decoding, candidates

SMALLEST = 1e-9  # of a probability, before its logarithm
RAREST = 1e-4  # of a phone's share of the steps


@dataclass(frozen=True)
class FrameDecoder:
    """A fitted decoder."""

    numbers: Mapping[str, Any]  # of the table [decoding], those that were chosen
    phones: tuple[str, ...]  # columns of the probabilities
    shares: np.ndarray  # (phones,) of the train steps
    language: NGram
    memory: Memory[np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def paths(self, probabilities: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The phone of each step, (steps,) for each recording.

        Raises
        ------
        ValueError : NaN among the probabilities.
        """
        return self.memory.of(probabilities)

    def _decode(self, probabilities: list[np.ndarray]) -> list[np.ndarray]:
        numbers = self.numbers
        prior = numbers["prior_weight"] * np.log(np.maximum(self.shares, RAREST))
        scores = [np.log(np.asarray(one, float) + SMALLEST) - prior for one in probabilities]
        change, first, last = (
            numbers["language_weight"] * part for part in ngram.transitions(self.language, self.phones)
        )
        change = change - numbers["switch_penalty"]
        np.fill_diagonal(change, 0.0)
        return viterbi.best_paths(scores, change, first=first, last=last, minimum=numbers["minimum_steps"])


def fit(
    decoding: Decoding,
    phones: Sequence[str],
    texts: Sequence[Sequence[str]],
    shares: np.ndarray,
    judge: Callable[[FrameDecoder], float],
) -> FrameDecoder:
    """The n-gram from the transcripts of the train split, and the numbers that ``judge`` finds best.

    Parameters
    ----------
    shares : (phones,) of the train steps. judge : a score on the validation split, the lower the better; it
        is asked only where there is something to choose.
    """
    language = ngram.train(texts, phones, 2)
    made = [
        FrameDecoder(one, tuple(phones), np.asarray(shares, float), language) for one in candidates(decoding)
    ]
    return min(made, key=judge) if len(made) > 1 else made[0]


def share_of_steps(labels: Sequence[np.ndarray], phones: int) -> np.ndarray:
    """How much of all labelled steps each phone has, (phones,); -1 is no label. Equal shares without any."""
    counts = np.zeros(phones)
    for own in labels:
        counts += np.bincount(own[own >= 0].astype(int), minlength=phones)
    return counts / counts.sum() if counts.sum() else np.full(phones, 1 / max(phones, 1))


def to_json(decoder: FrameDecoder) -> dict[str, Any]:
    """The decoder as plain values."""
    return {
        "numbers": dict(decoder.numbers),
        "phones": list(decoder.phones),
        "shares": decoder.shares.tolist(),
        "language": ngram.to_json(decoder.language),
    }


def from_json(saved: Mapping[str, Any]) -> FrameDecoder:
    """Read what `to_json` made."""
    language = ngram.from_json(saved["language"])
    return FrameDecoder(
        dict(saved["numbers"]), tuple(saved["phones"]), np.array(saved["shares"], float), language
    )
