"""N-grams of phones with Witten-Bell smoothing, from transcripts; ARPA files, in and out.

Conventions: logarithms are natural in memory and of base 10 in ARPA files. A text is a sequence of words
(phones), without `BEGIN` and `END`, which are put around it. A history is the words before, the nearest last;
an n-gram of order n looks at n - 1 of them. Every word of the vocabulary, and `END`, has a probability
above 0 after every history, so that no transcript is impossible.

Source: Witten and Bell (1991), interpolated: P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h)), where
T(h) counts the different words after h and h' is h without its furthest word; below the unigrams all are
equally probable. Written as a back-off model, as ARPA files are, it gives the same numbers.

Contents: `NGram`, `train`, `log_probability`, `after`, `text_score`, `perplexity`, `transitions`;
`Automaton`, `automaton`; `to_arpa`, `from_arpa`; `to_json`, `from_json`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiomtl.errors import UserError

BEGIN, END = "<s>", "</s>"
UNKNOWN = "<unk>"  # a name that other programs write; it is no word here
NEVER = -99.0  # log10 that an ARPA file gives to `BEGIN`, which nothing predicts
Gram = tuple[str, ...]


@dataclass(frozen=True)
class NGram:
    """A back-off model."""

    order: int
    words: tuple[str, ...]  # sorted, without `BEGIN` and `END`
    logs: Mapping[Gram, float]  # log P(last word | those before it)
    backoffs: Mapping[Gram, float]  # log weight of the shorter history, by history; 0 where none is given


def train(texts: Sequence[Sequence[str]], words: Sequence[str], order: int) -> NGram:
    """Learn from transcripts; those without words count as texts that end at once.

    Parameters
    ----------
    words : the vocabulary; words of the texts that it lacks are left out of them.

    Raises
    ------
    ValueError : no words; an order below 1.
    """
    if not words or order < 1:
        raise ValueError(f"an n-gram needs words and an order of at least 1, but got {len(words)}, {order}")
    known = tuple(sorted(set(words)))
    counts: dict[Gram, Counter[str]] = {}
    for text in texts:
        own = [BEGIN, *(word for word in text if word in set(known)), END]
        for place in range(1, len(own)):
            for length in range(min(order, place + 1)):
                counts.setdefault(tuple(own[place - length : place]), Counter())[own[place]] += 1
    predicted = [*known, END]
    logs: dict[Gram, float] = {}
    backoffs: dict[Gram, float] = {}
    probabilities: dict[Gram, float] = {}
    for history in sorted(counts, key=lambda one: (len(one), one)) or [()]:
        after_it = counts.get(history, Counter())
        total, kinds = sum(after_it.values()), len(after_it)
        for word in sorted(after_it) if history else predicted:
            lower = probabilities[(*history[1:], word)] if history else 1 / len(predicted)
            weight = total + kinds
            probabilities[(*history, word)] = (after_it[word] + kinds * lower) / weight if weight else lower
        if history:
            backoffs[history] = float(np.log(kinds / (total + kinds)))
    logs = {gram: float(np.log(value)) for gram, value in probabilities.items()}
    return NGram(order, known, logs, backoffs)


def log_probability(model: NGram, word: str, history: Gram) -> float:
    """log P(word | history); of a word that the model does not know -inf."""
    own, cost = history[max(0, len(history) - model.order + 1) :], 0.0
    while (*own, word) not in model.logs:
        if not own:
            return -np.inf
        cost += model.backoffs.get(own, 0.0)
        own = own[1:]
    return cost + model.logs[(*own, word)]


def after(model: NGram, history: Gram, word: str) -> Gram:
    """The history after one more word, as much of it as the model distinguishes."""
    own = (*history, word)[-(model.order - 1) :] if model.order > 1 else ()
    while own and own not in model.backoffs:
        own = own[1:]
    return own


def text_score(model: NGram, text: Sequence[str]) -> float:
    """log P of a text and its end."""
    total, history = 0.0, after(model, (), BEGIN)
    for word in (*text, END):
        total += log_probability(model, word, history)
        history = after(model, history, word)
    return total


def perplexity(model: NGram, texts: Sequence[Sequence[str]]) -> float:
    """exp of the mean negative log probability of a word, ends among them."""
    words = sum(len(text) + 1 for text in texts)
    return float(np.exp(-sum(text_score(model, text) for text in texts) / max(words, 1)))


def transitions(model: NGram, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a bigram: log P (words, words) from row to column, (words,) of the first word, and of the end."""
    matrix = np.array([[log_probability(model, word, (before,)) for word in words] for before in words])
    first = np.array([log_probability(model, word, (BEGIN,)) for word in words])
    return matrix, first, np.array([log_probability(model, END, (before,)) for before in words])


@dataclass(frozen=True)
class Automaton:
    """A model as arrays: a state is a history that the model distinguishes."""

    start: int
    logs: np.ndarray  # (states, words): log P of each word
    ends: np.ndarray  # (states,): log P of the end
    next_states: np.ndarray  # (states, words) int


def automaton(model: NGram, words: Sequence[str]) -> Automaton:
    """The states of a model, its words in the order of ``words``."""
    begin = after(model, (), BEGIN)
    states = [begin]
    numbers = {begin: 0}
    rows: list[list[int]] = []
    for state in states:  # grows while it is walked
        row = []
        for word in words:
            following = after(model, state, word)
            if following not in numbers:
                numbers[following] = len(states)
                states.append(following)
            row.append(numbers[following])
        rows.append(row)
    logs = np.array([[log_probability(model, word, state) for word in words] for state in states])
    ends = np.array([log_probability(model, END, state) for state in states])
    shape = (len(states), len(words))
    return Automaton(0, logs.reshape(shape), ends, np.array(rows, np.int64).reshape(shape))


# ---------------------------------------------------------------- ARPA


def to_arpa(model: NGram) -> str:
    """The model as an ARPA file, which KenLM, SRILM and pyctcdecode read."""
    grams: list[list[Gram]] = [[] for _ in range(model.order)]
    for gram in sorted({*model.logs, *model.backoffs, (BEGIN,)}):
        grams[len(gram) - 1].append(gram)
    lines = ["\\data\\", *(f"ngram {size}={len(own)}" for size, own in enumerate(grams, start=1))]
    for size, own in enumerate(grams, start=1):
        lines += ["", f"\\{size}-grams:"]
        for gram in own:
            value = model.logs[gram] / np.log(10) if gram in model.logs else NEVER
            weight = f"\t{_number(model.backoffs[gram] / np.log(10))}" if gram in model.backoffs else ""
            lines.append(f"{_number(value)}\t{' '.join(gram)}{weight}")
    return "\n".join([*lines, "", "\\end\\", ""])


def _number(value: float) -> str:
    return repr(round(float(value), 12))


def from_arpa(text: str, place: str) -> NGram:
    """Read an ARPA file's text; ``place`` begins the message of an error.

    Raises
    ------
    UserError : a line that is no n-gram, by its number; no n-grams, or no end of the file.
    """
    logs: dict[Gram, float] = {}
    backoffs: dict[Gram, float] = {}
    size, order, ended = 0, 0, False
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line.startswith("\\") and line.endswith("-grams:"):
            size = int(line[1:-7]) if line[1:-7].isdigit() else 0
            order = max(order, size)
        elif line == "\\end\\":
            ended = True
            break
        elif size and line:
            parts = line.split()
            if len(parts) not in (size + 1, size + 2) or not _numbers(parts[:1] + parts[size + 1 :]):
                raise UserError(
                    f"{place}:{number}: {line[:60]!r}: must be a log10 probability, {size} words and perhaps"
                    " a log10 back-off weight"
                )
            gram = tuple(parts[1 : size + 1])
            if float(parts[0]) > NEVER + 1e-9 or gram != (BEGIN,):
                logs[gram] = float(parts[0]) * float(np.log(10))
            if len(parts) == size + 2:
                backoffs[gram] = float(parts[-1]) * float(np.log(10))
    words = tuple(sorted({gram[0] for gram in logs if len(gram) == 1} - {BEGIN, END, UNKNOWN}))
    if not words or not ended:
        what = "no end of the file (\\end\\)" if words else "no n-grams (a section \\1-grams: with words)"
        raise UserError(f"{place}: {what}: must be an n-gram in the ARPA format")
    return NGram(order, words, logs, backoffs)


def _numbers(texts: Sequence[str]) -> bool:
    try:
        return all(np.isfinite(float(text)) for text in texts)
    except ValueError:
        return False


# ---------------------------------------------------------------- beside a model


def to_json(model: NGram) -> dict[str, Any]:
    """The model as plain values, to the bit."""
    grams = sorted({*model.logs, *model.backoffs})
    rows = [[list(gram), model.logs.get(gram), model.backoffs.get(gram)] for gram in grams]
    return {"order": model.order, "words": list(model.words), "grams": rows}


def from_json(saved: Mapping[str, Any]) -> NGram:
    """Read what `to_json` made."""
    rows = [(tuple(gram), log, weight) for gram, log, weight in saved["grams"]]
    logs = {gram: log for gram, log, _ in rows if log is not None}
    backoffs = {gram: weight for gram, _, weight in rows if weight is not None}
    return NGram(saved["order"], tuple(saved["words"]), logs, backoffs)
