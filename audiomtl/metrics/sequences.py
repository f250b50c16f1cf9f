"""Scores of sequences of symbols: phone, word and character error rate.

Conventions: a sequence is a list of symbols (phones; words; the characters of a str), a set is a list of
sequences. Rates divide all edits by all reference symbols, so that long clips count by their length. Pauses
are symbols like any other: leave them out with `without`, on both sides, and say so.

Contents: `edit_counts`, `error_rate`, `without`, `alignment_confusion`.
"""

from collections.abc import Collection, Sequence

Sequences = Sequence[Sequence[str]]


def edit_counts(truth: Sequences, predicted: Sequences) -> dict[str, int]:
    """Fewest edits (Levenshtein) that turn every true sequence into the predicted one, by kind, summed over
    the set.

    Parameters
    ----------
    truth, predicted : sequences of sequences of str
        As many of one as of the other.

    Returns
    -------
    dict with ``substitutions``, ``deletions``, ``insertions`` and ``reference_length`` (symbols in
    ``truth``). Their sum is unique; where several alignments reach it, the kinds are those of rapidfuzz's.
    """
    from rapidfuzz.distance import Levenshtein

    _validate_sequences(truth, predicted)
    kinds = {"replace": "substitutions", "delete": "deletions", "insert": "insertions"}
    counts = {
        "substitutions": 0,
        "deletions": 0,
        "insertions": 0,
        "reference_length": sum(len(sequence) for sequence in truth),
    }
    for true, guess in zip(truth, predicted, strict=True):
        for edit in Levenshtein.editops(true, guess):
            counts[kinds[edit.tag]] += 1
    return counts


def error_rate(truth: Sequences, predicted: Sequences) -> float:
    """Edits by reference symbols over the whole set: the phone error rate where symbols are phones. 0 is
    perfect; it can exceed 1.

    An empty reference is allowed: what is predicted for it counts as insertions. A set with no reference
    symbol at all has no rate: ValueError.
    """
    counts = edit_counts(truth, predicted)
    length = counts.pop("reference_length")
    if length == 0:
        raise ValueError(
            f"truth must have at least one symbol, but its {len(truth)} sequences are all empty: there is"
            " nothing to divide by"
        )
    return sum(counts.values()) / length


def without(sequences: Sequences, symbols: str | Collection[str]) -> list[list[str]]:
    """The sequences with every occurrence of a symbol, or of several (pauses), left out."""
    left_out = {symbols} if isinstance(symbols, str) else set(symbols)
    return [[other for other in sequence if other not in left_out] for sequence in sequences]


def alignment_confusion(truth: Sequences, predicted: Sequences) -> dict[tuple[str, str], int]:
    """How often each symbol was heard as each other one, from the alignments of `edit_counts`.

    Returns
    -------
    dict of (true, predicted) to count, in sorted order; correct symbols are (a, a). "" stands for nothing:
    (a, "") is a deletion, ("", a) an insertion, so no symbol may be "".
    """
    from rapidfuzz.distance import Levenshtein

    _validate_sequences(truth, predicted)
    counts: dict[tuple[str, str], int] = {}
    for position, (true, guess) in enumerate(zip(truth, predicted, strict=True)):
        if "" in list(true) or "" in list(guess):
            raise ValueError(
                f'symbols must not be "" (it stands for an insertion or deletion), but sequence {position}'
                " has one"
            )
        for block in Levenshtein.opcodes(true, guess):
            left = list(true[block.src_start : block.src_end]) or [""] * (block.dest_end - block.dest_start)
            right = list(guess[block.dest_start : block.dest_end]) or [""] * (block.src_end - block.src_start)
            for pair in zip(left, right, strict=True):
                counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items()))


def _validate_sequences(truth: Sequences, predicted: Sequences) -> None:
    for name, sequences in (("truth", truth), ("predicted", predicted)):
        if isinstance(sequences, str):
            raise ValueError(
                f"{name} must be a set of sequences, but got the single str {sequences!r}: put it in a list"
            )
    if len(truth) != len(predicted):
        raise ValueError(
            f"truth and predicted are paired by position and must be equally many, but got {len(truth)} and"
            f" {len(predicted)}"
        )
