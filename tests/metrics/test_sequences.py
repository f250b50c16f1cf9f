"""Scores of sequences against jiwer, and hand-made cases."""

import sys

import jiwer
import numpy as np
import pytest

from audiomtl.metrics import sequences


def random_set(seed: int, clips: int = 40) -> tuple[list[list[str]], list[list[str]]]:
    """Sequences of phones of more than one letter, and the same with about a third of the symbols
    changed, lost or doubled.
    """
    rng = np.random.default_rng(seed)
    phones = ["a:", "tS", "n", "@", "_", "OY"]
    truth = [list(rng.choice(phones, rng.integers(1, 15))) for _ in range(clips)]
    predicted = []
    for sequence in truth:
        guess = []
        for phone in sequence:
            guess += {0: [], 1: [str(rng.choice(phones))], 2: [phone, phone]}.get(
                int(rng.integers(9)), [phone]
            )
        predicted.append([str(phone) for phone in guess])
    return [[str(phone) for phone in sequence] for sequence in truth], predicted


@pytest.mark.parametrize("seed", range(5))
def test_error_rate_is_that_of_jiwer_over_the_whole_set(seed):
    truth, predicted = random_set(seed)
    output = jiwer.process_words(
        [" ".join(sequence) for sequence in truth], [" ".join(sequence) for sequence in predicted]
    )
    assert sequences.error_rate(truth, predicted) == pytest.approx(output.wer, abs=1e-12)
    counts = sequences.edit_counts(truth, predicted)
    assert (counts["substitutions"], counts["deletions"], counts["insertions"]) == (
        output.substitutions,
        output.deletions,
        output.insertions,
    )
    assert counts["reference_length"] == sum(map(len, truth))


def test_error_rate_of_strings_is_the_character_error_rate_of_jiwer():
    truth, predicted = ["guten abend", "hallo"], ["guten morgen", "halo"]
    assert sequences.error_rate(truth, predicted) == pytest.approx(jiwer.cer(truth, predicted), abs=1e-12)


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        ([["a", "b"]], [["a", "b"]], 0.0),
        ([["a", "b"]], [[]], 1.0),
        ([["a"]], [["b", "c", "d"]], 3.0),
        # of the set; the mean over clips would be 0.5
        (
            [["a"], ["a", "b", "c"]],
            [["b"], ["a", "b", "c"]],
            0.25,
        ),
        ([[], ["a", "b"]], [["c"], ["a", "b"]], 0.5),  # an empty reference: its predictions are insertions
        ([["tS"]], [["t", "S"]], 2.0),  # a phone is one symbol, whatever its letters
    ],
)
def test_error_rate_by_hand(truth, predicted, expected):
    assert sequences.error_rate(truth, predicted) == expected


def test_edit_counts_tell_the_kinds_apart():
    assert sequences.edit_counts([list("abcdefg")], [list("axcefgh")]) == {
        "substitutions": 1,
        "deletions": 1,
        "insertions": 1,
        "reference_length": 7,
    }


def test_without_leaves_out_every_pause_and_nothing_else():
    spoken = [["_", "a", "_", "b", "_"], ["_"], []]
    assert sequences.without(spoken, "_") == [["a", "b"], [], []]
    assert spoken[0] == ["_", "a", "_", "b", "_"]


def test_alignment_confusion_by_hand():
    confusion = sequences.alignment_confusion([["a", "b", "c"], ["a"]], [["a", "x", "c", "e"], []])
    assert confusion == {("", "e"): 1, ("a", ""): 1, ("a", "a"): 1, ("b", "x"): 1, ("c", "c"): 1}
    assert list(confusion) == sorted(confusion)


@pytest.mark.parametrize("seed", range(3))
def test_alignment_confusion_adds_up_to_the_edit_counts(seed):
    truth, predicted = random_set(seed)
    confusion, counts = (
        sequences.alignment_confusion(truth, predicted),
        sequences.edit_counts(truth, predicted),
    )
    assert sum(count for (true, _), count in confusion.items() if true) == counts["reference_length"]
    assert sum(count for (_, guess), count in confusion.items() if guess) == sum(map(len, predicted))
    assert (
        sum(count for (true, guess), count in confusion.items() if true and guess and true != guess)
        == counts["substitutions"]
    )
    assert sum(count for (_, guess), count in confusion.items() if not guess) == counts["deletions"]
    assert sum(count for (true, _), count in confusion.items() if not true) == counts["insertions"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sequences.error_rate([["a"]], []), "equally many, but got 1 and 0"),
        (lambda: sequences.error_rate([[], []], [["a"], []]), "its 2 sequences are all empty"),
        (
            lambda: sequences.error_rate("abc", "abc"),
            "truth must be a set of sequences, but got the single str 'abc'",
        ),
        (lambda: sequences.alignment_confusion([["a"], [""]], [["a"], ["a"]]), "sequence 1 has one"),
    ],
)
def test_input_without_a_score_is_refused_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_is_light():
    import subprocess

    code = "import sys; from audiomtl.metrics import intervals, labels, sequences; "
    code += (
        "print([m for m in ('tensorflow', 'scipy', 'jiwer', 'rapidfuzz', 'pandas', 'sklearn') if m in"
        " sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
