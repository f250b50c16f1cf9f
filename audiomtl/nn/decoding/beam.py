"""CTC prefix beam search: the likeliest transcripts, over all of their alignments, with an optional n-gram.

Conventions: log probabilities (steps, 1 + words), column 0 the blank. A transcript's score is

    log P(transcript | sound) + language_weight log P(transcript) + insertion_bonus x its length

where P of the sound sums over every alignment that the beam kept. With a beam that is wide enough it is
exact.

Source: Graves (2012), "Supervised sequence labelling with recurrent neural networks", section 7.5; Hannun et
al. (2014), "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs".

Contents: `Hypothesis`, `search`.
"""

from dataclasses import dataclass

import numpy as np

from audiomtl.nn.decoding.ngram import Automaton

BLANK = 0


@dataclass(frozen=True)
class Hypothesis:
    """One transcript."""

    symbols: tuple[int, ...]  # columns of the log probabilities, never the blank
    score: float  # with the n-gram and the bonus
    log_probability: float  # of the transcript given the sound, alone


def search(
    logs: np.ndarray,
    *,
    width: int,
    language: Automaton | None = None,
    language_weight: float = 0.0,
    insertion_bonus: float = 0.0,
    n_best: int = 1,
    least: float = -np.inf,
) -> list[Hypothesis]:
    """The best transcripts of one recording, the best first; of equal ones the one that was found first.

    Parameters
    ----------
    logs : (steps, 1 + words), natural logarithms. width : prefixes that are kept after every step.
    least : a word whose log probability is lower begins nowhere in that step; -inf considers all.

    Returns
    -------
    list of `n_best` hypotheses or fewer; without steps the empty transcript

    Raises
    ------
    ValueError : NaN among the log probabilities.
    """
    if np.isnan(logs).any():
        raise ValueError("the log probabilities have NaN")
    beam = _Beam(logs.shape[1] - 1, language, language_weight, insertion_bonus)
    for step in logs.astype(float, copy=False):
        beam.advance(step, width, least)
    return beam.best(n_best)


class _Beam:
    """The prefixes that are kept. A prefix is a node of a tree; its number stays the same when it is dropped
    and comes back.
    """

    def __init__(self, words: int, language: Automaton | None, weight: float, bonus: float) -> None:
        self.words, self.weight = words, weight
        # what a word adds to the score, and the history behind it, by history
        if language is None or not weight:
            self.adds, self.follows = np.full((1, words), bonus), np.zeros((1, words), np.int64)
            self.ends, start = np.zeros(1), 0
        else:
            self.adds, self.follows = weight * language.logs + bonus, language.next_states
            self.ends, start = weight * language.ends, language.start
        self.parents, self.symbols = [-1], [BLANK]  # of each node; node 0 is the empty prefix
        self.numbers: dict[int, int] = {}  # (parent, symbol) as one number -> node
        self.node, self.parent = np.zeros(1, np.int64), np.full(1, -1)
        self.symbol = np.zeros(1, np.int64)
        self.blank, self.spoken = np.zeros(1), np.full(1, -np.inf)  # log P that end in a blank, in the symbol
        self.state, self.extra = np.full(1, start), np.zeros(1)
        self.column = np.full(1 + words, -1)

    def advance(self, step: np.ndarray, width: int, least: float) -> None:
        """Go on by one step (1 + words,)."""
        total = np.logaddexp(self.blank, self.spoken)  # (prefixes,)
        blank, spoken = total + step[BLANK], self.spoken + step[self.symbol]
        words = 1 + np.flatnonzero(step[1:] > least)
        if not len(words):  # most steps of a trained network: no prefix becomes longer
            self.blank, self.spoken = blank, spoken
            return
        longer = total[:, None] + step[words]  # (prefixes, words)
        self.column[words] = np.arange(len(words))
        column = self.column[self.symbol]  # of each prefix's own last word, -1 where it is none of them
        self.column[words] = -1
        # a word after itself needs a blank between them
        [again] = np.nonzero(column >= 0)
        longer[again, column[again]] = self.blank[again] + step[self.symbol[again]]
        # a prefix that is longer than another by one word, and in the beam itself, is met in two ways
        child, from_parent = np.nonzero((self.parent[:, None] == self.node) & (column >= 0)[:, None])
        spoken[child] = np.logaddexp(spoken[child], longer[from_parent, column[child]])
        longer[from_parent, column[child]] = -np.inf
        extra = self.extra[:, None] + self.adds[self.state][:, words - 1]
        scores = np.concatenate([np.logaddexp(blank, spoken) + self.extra, (longer + extra).ravel()])
        kept = np.argpartition(-scores, width - 1)[:width] if len(scores) > width else np.arange(len(scores))
        kept = np.sort(kept[scores[kept] > -np.inf])
        self._keep(kept, words, blank, spoken, longer, extra)

    def _keep(
        self,
        kept: np.ndarray,
        words: np.ndarray,
        blank: np.ndarray,
        spoken: np.ndarray,
        longer: np.ndarray,
        extra: np.ndarray,
    ) -> None:
        count = len(self.node)
        same, new = kept[kept < count], kept[kept >= count] - count
        row, column = np.divmod(new, len(words))
        symbol = words[column]
        parent = self.node[row]
        nodes = np.array([self._number(*pair) for pair in zip(parent.tolist(), symbol.tolist(), strict=True)])
        state = self.follows[self.state[row], symbol - 1]
        self.node = np.concatenate([self.node[same], nodes]).astype(np.int64)
        self.parent = np.concatenate([self.parent[same], parent])
        self.symbol = np.concatenate([self.symbol[same], symbol])
        self.blank = np.concatenate([blank[same], np.full(len(new), -np.inf)])
        self.spoken = np.concatenate([spoken[same], longer[row, column]])
        self.state = np.concatenate([self.state[same], state])
        self.extra = np.concatenate([self.extra[same], extra[row, column]])

    def _number(self, parent: int, symbol: int) -> int:
        key = parent * (self.words + 1) + symbol
        if key not in self.numbers:
            self.numbers[key] = len(self.parents)
            self.parents.append(parent)
            self.symbols.append(symbol)
        return self.numbers[key]

    def best(self, n_best: int) -> list[Hypothesis]:
        total = np.logaddexp(self.blank, self.spoken)
        scores = total + self.extra + self.ends[self.state]
        ranked = np.lexsort([self.node, -scores])[:n_best]
        return [
            Hypothesis(self._prefix(int(self.node[place])), float(scores[place]), float(total[place]))
            for place in ranked
        ]

    def _prefix(self, node: int) -> tuple[int, ...]:
        symbols = []
        while node:
            symbols.append(self.symbols[node])
            node = self.parents[node]
        return tuple(reversed(symbols))
