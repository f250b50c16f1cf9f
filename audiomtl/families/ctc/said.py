"""Whether a text was said: probabilities of phones, words and whole texts that are aligned with a recording.

What an alignment tells of a phone is its evidence (`alignment.Aligned`). A logistic function makes a
probability of it, and another of the mean of its phones' logits, times the square root of their number, for
a word or a text. They are fitted on the validation side: phones and words that were said, words that were put
in the place of others, and texts of other clips. Right and wrong weigh the same, so a probability below 0.5
says "not said".

Contents: `Said`, `Trials`, `trials`, `fitted`, `measured`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audiomtl.families.ctc.alignment import Aligned
from audiomtl.metrics import calibration, verification
from audiomtl.metrics.verification import Logistic
from audiomtl.nn import ctc

Align = Callable[..., Sequence[Aligned]]  # of outputs and texts, see `alignment.align`
WORD = (2, 6)  # phones of a word that is put in the place of another
DRAWS = 20  # of such a word, until it differs
WORDS = 3  # of a clip that are replaced, one at a time


@dataclass(frozen=True)
class Said:
    """From evidence to probabilities, and how often a whole text was misjudged on the validation side."""

    phone: Logistic
    word: Logistic
    text: Logistic
    rejected: float  # share of texts that were said, judged as not said
    accepted: float  # share of texts of other clips, judged as said

    def phones(self, evidence: np.ndarray) -> np.ndarray:  # (phones,)
        return self.phone(evidence)

    def of_word(self, evidence: np.ndarray) -> float:
        return float(self.word(_together(self.phone, evidence)))

    def of_text(self, evidence: np.ndarray) -> float:
        return float(self.text(_together(self.phone, evidence)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Said":
        logistics = {name: Logistic(**stored[name]) for name in ("phone", "word", "text")}
        return cls(**logistics, rejected=stored["rejected"], accepted=stored["accepted"])


@dataclass(frozen=True)
class Trials:
    """Evidence of phones, words and texts, each with whether it was said."""

    phones: tuple[np.ndarray, np.ndarray]  # (items,) evidence, (items,) bool
    words: tuple[list[np.ndarray], np.ndarray]  # of each item the evidence of its phones
    texts: tuple[list[np.ndarray], np.ndarray]


def _together(phone: Logistic, evidence: np.ndarray) -> float:
    logits = phone.slope * np.asarray(evidence, float) + phone.offset
    return float(logits.mean() * np.sqrt(len(logits)))


def trials(
    logits: Sequence[np.ndarray], phones: Sequence[np.ndarray], align: Align, *, seed: int = 0
) -> Trials:
    """Align every text, the same with one word replaced (`WORDS` times), and the text of another clip.

    Parameters
    ----------
    logits, phones : of each clip (steps, classes) and (phones,) int, feasible.
    align : of outputs and texts.
    """
    random = np.random.default_rng(seed)
    cases: list[tuple[int, str, np.ndarray, np.ndarray, slice]] = []
    whole = slice(None)
    for number, (output, own) in enumerate(zip(logits, phones, strict=True)):
        if not len(own):
            continue
        every = np.ones(len(own), bool)
        for _ in range(WORDS):
            if (changed := _with_another_word(own, phones, random)) is not None:
                text, place = changed
                if ctc.feasible(len(output), text):
                    cases.append((number, "said", own, every, place))
                    cases.append((number, "word", text, text == own, place))
        other = _other_text(own, phones, len(output), random)
        if other is not None:
            cases.append((number, "text", own, every, whole))
            cases.append((number, "text", other, np.zeros(len(other), bool), whole))
    found = align([logits[case[0]] for case in cases], [case[2] for case in cases])
    evidence, right, words, texts = list[np.ndarray](), list[np.ndarray](), [], []
    for (_, kind, _, same, place), one in zip(cases, found, strict=True):
        if kind == "text":
            texts.append((one.evidence, bool(same.all())))
            continue
        words.append((one.evidence[place], kind == "said"))
        own_evidence, own_right = one.evidence[place], same[place]
        kept = own_right if kind == "said" else ~own_right  # a phone that both words have is neither
        evidence.append(own_evidence[kept])
        right.append(own_right[kept])
    return Trials(
        (np.concatenate([*evidence, np.zeros(0)]), np.concatenate([*right, np.zeros(0, bool)])),
        ([one for one, _ in words], np.array([said for _, said in words], bool)),
        ([one for one, _ in texts], np.array([said for _, said in texts], bool)),
    )


def _with_another_word(
    own: np.ndarray, texts: Sequence[np.ndarray], random: np.random.Generator
) -> tuple[np.ndarray, slice] | None:
    """A text with some phones in a row replaced by as many of another text, and which; None: none differ."""
    count = int(random.integers(WORD[0], WORD[1] + 1))
    if len(own) < count:
        return None
    start = int(random.integers(len(own) - count + 1))
    place = slice(start, start + count)
    for _ in range(DRAWS):
        other = texts[int(random.integers(len(texts)))]
        if len(other) < count:
            continue
        begin = int(random.integers(len(other) - count + 1))
        word = other[begin : begin + count]
        if 2 * np.sum(word != own[place]) > count:
            return np.concatenate([own[:start], word, own[start + count :]]), place
    return None


def _other_text(
    own: np.ndarray, texts: Sequence[np.ndarray], steps: int, random: np.random.Generator
) -> np.ndarray | None:
    for number in random.permutation(len(texts)).tolist():
        other = texts[number]
        if len(other) and not np.array_equal(own, other) and ctc.feasible(steps, other):
            return other
    return None


def fitted(made: Trials) -> Said | None:
    """The probabilities that fit the trials; None where they have no wrong word or text."""
    if not all(len(right) and 0 < right.sum() < len(right) for _, right in _kinds(made)):
        return None
    phone = verification.fitted(*made.phones)
    word, text = (
        verification.fitted(np.array([_together(phone, one) for one in items]), right)
        for items, right in (made.words, made.texts)
    )
    said = Said(phone, word, text, 0.0, 0.0)
    rejected, accepted = _errors(*made.texts, said.of_text)
    return Said(phone, word, text, rejected, accepted)


def _kinds(made: Trials) -> list[tuple[Any, np.ndarray]]:
    return [made.phones, made.words, made.texts]


def _errors(
    items: Sequence[np.ndarray], right: np.ndarray, judge: Callable[[np.ndarray], float]
) -> tuple[float, float]:
    """Shares of items that were said and are rejected, and that were not and are accepted."""
    judged = np.array([judge(one) >= 0.5 for one in items], bool)
    return float(np.mean(~judged[right])), float(np.mean(judged[~right]))


def measured(said: Said, made: Trials) -> dict[str, float]:
    """How the probabilities do on other trials: of phones, words and texts ``KIND_calibration_error``,
    ``KIND_rejected`` and ``KIND_accepted`` (shares misjudged at 0.5), ``KIND_equal_error``.
    """
    judges: dict[str, Callable[[np.ndarray], float]] = {
        "phone": lambda one: float(said.phone(one)),
        "word": said.of_word,
        "text": said.of_text,
    }
    scores = {}
    for (name, judge), (items, right) in zip(judges.items(), _kinds(made), strict=True):
        probabilities = np.array([judge(one) for one in items])
        scores[f"{name}_calibration_error"] = calibration.error(probabilities, right)
        scores[f"{name}_rejected"], scores[f"{name}_accepted"] = _errors(items, right, judge)
        scores[f"{name}_equal_error"], _ = verification.equal_error(
            probabilities[right], probabilities[~right]
        )
    return scores
