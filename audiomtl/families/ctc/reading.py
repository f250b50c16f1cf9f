"""From the network's outputs to phones: greedily, by Viterbi over frames, or by CTC prefix beam search.

Conventions: class 0 is the blank, classes 1.. are the phones of the vocabulary, pauses among them. Steps are
network frames. A network that was trained on frames has no alignments to sum over: with method "beam" it is
read by the best path under the same numbers. A greedy transcript has the runs of the likeliest class; one of
the beam has the times of its best alignment. A phone's score is its mean probability in its own steps; a
decoder's is calibrated on the validation split, so that of all phones with the score 0.8 about 80 % are
right.

Contents: `Transcript`, `greedy`, `likeliest`, `read`; `Decoder`, `fit`, `to_json`, `from_json`;
`confidences`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from audiomtl.errors import UserError
from audiomtl.families.ctc import alignment
from audiomtl.metrics import calibration, sequences, viterbi
from audiomtl.metrics.calibration import Calibration
from audiomtl.nn import ctc
from audiomtl.nn.decoding import beam, frames, ngram
from audiomtl.nn.decoding.memory import Memory
from audiomtl.nn.decoding.ngram import NGram
from audiomtl.settings.decoding import Decoding, candidates

PAUSE = "_"
Mode = Literal["ctc", "frames"]
LEAST = float(np.log(1e-3))  # log probability from which the beam considers a phone in a step
NEUTRAL = Calibration()  # changes no confidence
N_BEST = 5  # transcripts that are kept of each recording


@dataclass(frozen=True)
class Transcript:
    """The phones of one recording, in order."""

    symbols: np.ndarray  # (phones,) int, classes
    begins: np.ndarray  # (phones,) first step of each
    ends: np.ndarray  # (phones,) the step behind its last
    scores: np.ndarray  # (phones,)
    alternatives: tuple[tuple[int, ...], ...] = ()  # less likely transcripts, the best first

    def phones(self, vocabulary: Sequence[str]) -> list[str]:
        return [vocabulary[symbol - 1] for symbol in self.symbols.tolist()]


def likeliest(logits: np.ndarray, mode: Mode) -> np.ndarray:  # (steps,)
    """Class of each step; a network trained on frames knows no blank."""
    return logits.argmax(-1) if mode == "ctc" else logits[:, 1:].argmax(-1) + 1


def greedy(best: np.ndarray, probability: np.ndarray) -> Transcript:
    """Runs of the class of each step (steps,), with its probability (steps,)."""
    first = np.flatnonzero(np.diff(best, prepend=-1))
    last = np.append(first[1:], len(best))
    said = best[first] != ctc.BLANK if len(first) else np.zeros(0, bool)
    first, last = first[said], last[said] if len(said) else np.zeros(0, int)
    scores = [probability[begin:end].mean() for begin, end in zip(first, last, strict=True)]
    return Transcript(best[first], first, last, np.array(scores, float))


def read(logits: Sequence[np.ndarray], mode: Mode, decoder: "Decoder | None") -> list[Transcript]:
    """The transcript of each recording (steps, classes); without a decoder the greedy one.

    Raises
    ------
    UserError : outputs that are not finite, with a decoder.
    """
    if decoder is not None:
        return decoder.transcripts(logits)
    found = []
    for one in logits:
        best = likeliest(one, mode)
        with np.errstate(invalid="ignore"):  # of a training that diverged
            logs = alignment.log_probabilities(one, mode) if len(one) else one
        found.append(greedy(best, np.exp(logs[np.arange(len(best)), best])))
    return found


# ---------------------------------------------------------------- decoders


@dataclass(frozen=True)
class Decoder:
    """A fitted decoder."""

    numbers: Mapping[str, Any]  # of the table [decoding], those that were chosen
    vocabulary: tuple[str, ...]
    mode: Mode
    shares: np.ndarray  # (phones,) of the train steps
    language: NGram
    calibration: Calibration = NEUTRAL
    memory: Memory[Transcript] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def transcripts(self, logits: Sequence[np.ndarray]) -> list[Transcript]:
        """The transcript of each recording (steps, classes); each array is decoded once.

        Raises
        ------
        UserError : outputs that are not finite.
        """
        return self.memory.of(logits)

    def _decode(self, logits: list[np.ndarray]) -> list[Transcript]:
        if not all(np.isfinite(one).all() for one in logits):
            raise UserError(
                "the network's outputs are not finite: its training diverged; train it again with a lower"
                " optimizer.learning_rate, or with optimizer.clipnorm above 0"
            )
        logs = [alignment.log_probabilities(one, self.mode) if len(one) else one for one in logits]
        found = self._by_beam(logs) if self.mode == "ctc" else self._by_frames(logs)
        return [replace(one, scores=calibration.calibrated(one.scores, self.calibration)) for one in found]

    def _by_frames(self, logs: list[np.ndarray]) -> list[Transcript]:
        numbers = dict(self.numbers)
        if numbers["method"] == "beam":  # the same score, of the best path in the place of all alignments
            penalty = -numbers["insertion_bonus"]
            numbers |= {"minimum_steps": 1, "switch_penalty": penalty, "prior_weight": 0.0}
        decoder = frames.FrameDecoder(numbers, self.vocabulary, self.shares, self.language)
        paths = decoder.paths([np.exp(one[:, 1:]) for one in logs])
        return [
            greedy(path + 1, np.exp(one[np.arange(len(path)), path + 1]))
            for path, one in zip(paths, logs, strict=True)
        ]

    def _by_beam(self, logs: list[np.ndarray]) -> list[Transcript]:
        numbers, words = self.numbers, self.vocabulary
        language = ngram.automaton(self.language, words) if numbers["language_weight"] else None
        ranked = [
            beam.search(
                one,
                width=numbers["beam_width"],
                language=language,
                language_weight=numbers["language_weight"],
                insertion_bonus=numbers["insertion_bonus"],
                n_best=N_BEST,
                least=LEAST,
            )
            for one in logs
        ]
        said = [hypotheses[0].symbols for hypotheses in ranked]
        others = [tuple(one.symbols for one in hypotheses[1:]) for hypotheses in ranked]
        return [
            replace(one, alternatives=other) for one, other in zip(_timed(logs, said), others, strict=True)
        ]


def _timed(logs: Sequence[np.ndarray], said: Sequence[Sequence[int]]) -> list[Transcript]:
    """Transcripts with the times of their best alignments."""
    nothing = Transcript(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    found = [nothing] * len(logs)
    places = [place for place, own in enumerate(said) if len(own)]
    texts = []
    for place in places:
        symbols = np.array(said[place], int)
        breaks = np.zeros(len(symbols) + 1, bool)
        texts.append(alignment.states_of(symbols, mode="ctc", pause=None, breaks=breaks))
    paths = viterbi.best_paths([logs[place] for place in places], [text for text, _ in texts])
    for place, path, (text, _) in zip(places, paths, texts, strict=True):
        classes = text.classes[path]
        first = np.flatnonzero(np.diff(path, prepend=-1))
        last = np.append(first[1:], len(path))
        spoken = classes[first] != ctc.BLANK
        probability = np.exp(logs[place][np.arange(len(path)), classes])
        scores = [
            probability[begin:end].mean() for begin, end in zip(first[spoken], last[spoken], strict=True)
        ]
        found[place] = Transcript(classes[first[spoken]], first[spoken], last[spoken], np.array(scores))
    return found


# ---------------------------------------------------------------- fitting


def fit(
    decoding: Decoding,
    vocabulary: Sequence[str],
    mode: Mode,
    train: Sequence[tuple[np.ndarray, np.ndarray]],
    validation: Sequence[tuple[Sequence[str], np.ndarray]],
    pauses: Collection[str] = (PAUSE,),
) -> Decoder:
    """A decoder of the train split's n-gram, the numbers with the least phone error rate on validation, its
    confidences calibrated there.

    Parameters
    ----------
    train : of each clip the classes of its phones, and of its frames, which may be none. validation : of each
        clip its phones by name and its logits.
    """
    names, logits = tuple(vocabulary), [one for _, one in validation]
    texts = [[names[label - 1] for label in labels.tolist()] for labels, _ in train]
    timed = [own.astype(int) - 1 for _, own in train if len(own)]
    shares = frames.share_of_steps(timed or [labels.astype(int) - 1 for labels, _ in train], len(names))
    truth = sequences.without([list(phones) for phones, _ in validation], pauses)
    languages: dict[int, NGram] = {}

    def made(numbers: Mapping[str, Any]) -> Decoder:
        order = numbers.get("language_order", 2)
        if order not in languages:
            languages[order] = ngram.train(texts, names, order)
        return Decoder(numbers, names, mode, shares, languages[order])

    def judge(decoder: Decoder) -> float:
        said = [one.phones(names) for one in decoder.transcripts(logits)]
        return sequences.error_rate(truth, sequences.without(said, pauses))

    best = _least([made(numbers) for numbers in candidates(decoding)], judge)
    return replace(
        best, calibration=calibration.fit(*confidences(best, [one for one, _ in validation], logits, pauses))
    )


def _least(decoders: Sequence[Decoder], judge: Callable[[Decoder], float]) -> Decoder:
    return min(decoders, key=judge) if len(decoders) > 1 else decoders[0]


def confidences(
    decoder: Decoder,
    truth: Sequence[Sequence[str]],
    logits: Sequence[np.ndarray],
    pauses: Collection[str] = (PAUSE,),
) -> tuple[np.ndarray, np.ndarray]:
    """Score of every phone that was found, and whether it is right in the alignment with the fewest edits,
    (phones,) each; pauses are left out.
    """
    from rapidfuzz.distance import Levenshtein

    scores, right = list[float](), list[bool]()
    for one, phones in zip(decoder.transcripts(logits), truth, strict=True):
        said = one.phones(decoder.vocabulary)
        kept = [place for place, phone in enumerate(said) if phone not in pauses]
        spoken = [phone for phone in phones if phone not in pauses]
        own = np.zeros(len(kept), bool)
        for block in Levenshtein.opcodes(spoken, [said[place] for place in kept]):
            own[block.dest_start : block.dest_end] = block.tag == "equal"
        scores += one.scores[kept].tolist()
        right += own.tolist()
    return np.array(scores, float), np.array(right, bool)


# ---------------------------------------------------------------- on disk


def to_json(decoder: Decoder) -> dict[str, Any]:
    """The decoder as plain values."""
    return {
        "numbers": dict(decoder.numbers),
        "shares": decoder.shares.tolist(),
        "language": ngram.to_json(decoder.language),
        "calibration": [decoder.calibration.slope, decoder.calibration.intercept],
    }


def from_json(saved: Mapping[str, Any], vocabulary: Sequence[str], mode: Mode) -> Decoder:
    """Read what `to_json` made."""
    return Decoder(
        dict(saved["numbers"]),
        tuple(vocabulary),
        mode,
        np.array(saved["shares"], float),
        ngram.from_json(saved["language"]),
        Calibration(*saved["calibration"]),
    )
