"""Scores: arrays and sequences in, floats out.

Conventions: ``truth`` comes first, ``predicted`` second, paired by position. A sequence is a list of symbols (phones; words; the
characters of a str), a set is a list of sequences. Rates are shares (0.083, not 8.3 %), taken over the **whole set**: all edits by all
reference symbols, so that long clips count by their length. Pauses are symbols like any other: leave them out with `without`, on both
sides, and say so. Input that has no score raises ValueError with the value and the rule; nothing returns 0 for it.

Contents: `edit_counts`, `error_rate` (phone, word or character error rate), `without`, `alignment_confusion`; `accuracy`;
`t_interval`, `paired_difference`.
"""

from collections.abc import Sequence

import numpy as np

Sequences = Sequence[Sequence[str]]


def edit_counts(truth: Sequences, predicted: Sequences) -> dict[str, int]:
    """Fewest edits (Levenshtein) that turn every true sequence into the predicted one, by kind, summed over the set.

    Parameters
    ----------
    truth, predicted : sequences of sequences of str
        As many of one as of the other.

    Returns
    -------
    dict with ``substitutions``, ``deletions``, ``insertions`` and ``reference_length`` (symbols in ``truth``). Their sum is
    unique; where several alignments reach it, the kinds are those of rapidfuzz's.
    """
    from rapidfuzz.distance import Levenshtein

    _validate_sequences(truth, predicted)
    kinds = {"replace": "substitutions", "delete": "deletions", "insert": "insertions"}
    counts = {"substitutions": 0, "deletions": 0, "insertions": 0, "reference_length": sum(len(sequence) for sequence in truth)}
    for true, guess in zip(truth, predicted, strict=True):
        for edit in Levenshtein.editops(true, guess):
            counts[kinds[edit.tag]] += 1
    return counts


def error_rate(truth: Sequences, predicted: Sequences) -> float:
    """Edits by reference symbols over the whole set: the phone error rate where symbols are phones. 0 is perfect; it can exceed 1.

    An empty reference is allowed: what is predicted for it counts as insertions. A set with no reference symbol at all has no rate:
    ValueError.
    """
    counts = edit_counts(truth, predicted)
    length = counts.pop("reference_length")
    if length == 0:
        raise ValueError(
            f"truth must have at least one symbol, but its {len(truth)} sequences are all empty: there is nothing to divide by"
        )
    return sum(counts.values()) / length


def without(sequences: Sequences, symbol: str) -> list[list[str]]:
    """The sequences with every occurrence of ``symbol`` (a pause) left out."""
    return [[other for other in sequence if other != symbol] for sequence in sequences]


def alignment_confusion(truth: Sequences, predicted: Sequences) -> dict[tuple[str, str], int]:
    """How often each symbol was heard as each other one, from the alignments of `edit_counts`.

    Returns
    -------
    dict of (true, predicted) to count, in sorted order; correct symbols are (a, a). "" stands for nothing: (a, "") is a
    deletion, ("", a) an insertion, so no symbol may be "".
    """
    from rapidfuzz.distance import Levenshtein

    _validate_sequences(truth, predicted)
    counts: dict[tuple[str, str], int] = {}
    for position, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        if "" in list(true) or "" in list(guess):
            raise ValueError(f'symbols must not be "" (it stands for an insertion or deletion), but sequence {position} has one')
        for block in Levenshtein.opcodes(true, guess):
            left = list(true[block.src_start : block.src_end]) or [""] * (block.dest_end - block.dest_start)
            right = list(guess[block.dest_start : block.dest_end]) or [""] * (block.src_end - block.src_start)
            for pair in zip(left, right, strict=True):
                counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items()))


def accuracy(truth: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> float:
    """Share of equal entries of two arrays of one shape (labels of clips, or of all valid frames one after another)."""
    true, guess = np.asarray(truth), np.asarray(predicted)
    if true.shape != guess.shape:
        raise ValueError(f"truth and predicted must have one shape, but got {true.shape} and {guess.shape}")
    if true.size == 0:
        raise ValueError("truth must have at least one entry, but it is empty")
    return float(np.mean(true == guess))


def t_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student t interval of values that are independent, such as one score per seed.

    Parameters
    ----------
    values : array (n,), float
        n >= 1, finite.
    level : float
        Share of such intervals that hold the true mean, in (0, 1).

    Returns
    -------
    mean, low, high : floats. With one value nothing is known of the spread: low and high are NaN.
    """
    from scipy.special import stdtrit

    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.all(np.isfinite(array)):
        raise ValueError(f"values must be one dimension of at least one finite number, but got {array.tolist()}")
    if not 0 < level < 1:
        raise ValueError(f"0 < level < 1 must hold, but got {level}: a share, not percent")
    mean, n = float(array.mean()), array.size
    if n == 1:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(n - 1, (1 + level) / 2) * array.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def paired_difference(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of ``a - b`` and its `t_interval`, paired by position (the same seed on both sides)."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"a and b are paired by position and must have one shape, but got {first.shape} and {second.shape}")
    return t_interval(first - second, level)


def _validate_sequences(truth: Sequences, predicted: Sequences) -> None:
    for name, sequences in (("truth", truth), ("predicted", predicted)):
        if isinstance(sequences, str):
            raise ValueError(f"{name} must be a set of sequences, but got the single str {sequences!r}: put it in a list")
    if len(truth) != len(predicted):
        raise ValueError(f"truth and predicted are paired by position and must be equally many, but got {len(truth)} and {len(predicted)}")
