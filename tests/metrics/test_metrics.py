"""Scores against jiwer and scipy, hand-made cases, and the errors of input that has no score."""

import sys

import jiwer
import numpy as np
import pytest
from scipy import stats

from audiomtl.metrics import intervals, labels, sequences


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


def test_accuracy_counts_equal_entries():
    assert labels.accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    assert labels.accuracy(["rock", "jazz"], ["rock", "rock"]) == 0.5


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_t_interval_is_that_of_scipy(level):
    values = [0.081, 0.085, 0.080, 0.086, 0.083]
    mean, low, high = intervals.t_interval(values, level)
    assert mean == pytest.approx(np.mean(values), abs=1e-15)
    assert (low, high) == pytest.approx(
        stats.t.interval(level, 4, loc=np.mean(values), scale=stats.sem(values)), abs=1e-12
    )


def test_t_interval_of_one_value_knows_no_spread():
    mean, low, high = intervals.t_interval([0.5])
    assert mean == 0.5 and np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_paired_difference_is_of_a_less_b_by_position(level):
    a, b = [0.5, 0.7, 0.9], [0.4, 0.5, 0.8]
    mean, low, high = intervals.paired_difference(a, b, level)
    test = stats.ttest_rel(a, b).confidence_interval(level)
    assert (mean, low, high) == pytest.approx((0.4 / 3, test.low, test.high), abs=1e-12)


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
        (lambda: labels.accuracy([1, 2], [1]), r"one shape, but got \(2,\) and \(1,\)"),
        (lambda: labels.accuracy([], []), "at least one entry"),
        (lambda: intervals.t_interval([]), "at least one finite number"),
        (lambda: intervals.t_interval([0.1, float("nan")]), "at least one finite number"),
        (lambda: intervals.t_interval([0.1, 0.2], 95), "0 < level < 1 must hold, but got 95"),
        (lambda: intervals.paired_difference([0.1, 0.2], [0.1]), "paired by position"),
        (
            lambda: intervals.clustered_interval(np.ones(8), list("aabbccdd")),
            "4 groups are too few, 5 are needed",
        ),
        (lambda: intervals.clustered_interval(np.ones(3), list("ab")), r"shapes \(3,\) and \(2,\)"),
        (lambda: labels.roc_auc([1, 1], [0.1, 0.2]), "a positive and a negative"),
        (lambda: labels.average_precision([0, 0], [0.1, 0.2]), "at least one positive"),
        (lambda: labels.roc_auc([0, 1], [0.1, float("nan")]), "finite"),
        (lambda: labels.roc_auc([0, 0], [0.1, 0.2]), "at least one positive"),
        (lambda: labels.average_precision([0, 2], [0.1, 0.2]), "must be 0 and 1, or bool, but got 2"),
        (lambda: labels.average_precision(["0", "1"], [0.1, 0.2]), "must be 0 and 1, or bool, but got '0'"),
        (lambda: labels.average_precision([0, 1], [0.1]), r"one shape \(n,\), but got \(2,\) and \(1,\)"),
        (lambda: labels.balanced_accuracy([], []), "at least one entry"),
        (lambda: labels.macro_f1(["a"], ["a", "b"]), r"one shape, but got \(1,\) and \(2,\)"),
        (lambda: labels.confusion(["a"], []), "equally many, but got 1 and 0"),
        (
            lambda: intervals.clustered_interval(np.ones(5), list("abcde"), 95),
            "0 < level < 1 must hold, but got 95",
        ),
    ],
)
def test_input_without_a_score_is_refused_with_value_and_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("seed", range(6))
def test_scores_of_labels_and_rankings_are_those_of_scikit_learn(seed):
    from sklearn import metrics as reference

    rng = np.random.default_rng(seed)
    truth, predicted = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    assert labels.balanced_accuracy(truth, predicted) == pytest.approx(
        reference.balanced_accuracy_score(truth, predicted)
    )
    assert labels.macro_f1(truth, predicted) == pytest.approx(
        reference.f1_score(truth, predicted, average="macro")
    )
    right, scores = rng.integers(0, 2, 40), rng.integers(0, 6, 40) / 7  # many ties
    assert labels.average_precision(right, scores) == pytest.approx(
        reference.average_precision_score(right, scores)
    )
    assert labels.roc_auc(right, scores) == pytest.approx(reference.roc_auc_score(right, scores))
    assert labels.average_precision(right, right) == labels.roc_auc(right, right) == 1


def test_confusion_counts_pairs():
    counts = labels.confusion(["b", "a", "b"], ["a", "a", "a"])
    assert counts == {("a", "a"): 1, ("b", "a"): 2} and list(counts) == sorted(counts)


def test_labels_may_be_text_and_a_class_that_is_never_said_or_never_true_counts():
    truth, predicted = ["rock", "rock", "jazz", "folk"], ["rock", "pop", "jazz", "jazz"]
    assert labels.balanced_accuracy(truth, predicted) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert labels.macro_f1(truth, predicted) == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4)


def clustered(rng, groups: int, sets: int) -> tuple[np.ndarray, np.ndarray]:
    """Sets of 0/1 clips, 12 per group, whose share of ones differs from group to group around 0.5.

    Group names.
    """
    level = np.clip(0.5 + 0.2 * rng.standard_normal((sets, groups, 1)), 0, 1)
    return (rng.random((sets, groups, 12)) < level).reshape(sets, -1).astype(float), np.repeat(
        np.arange(groups), 12
    )


@pytest.mark.parametrize("groups, least", [(5, 0.90), (10, 0.91), (25, 0.89)])
def test_intervals_over_groups_hold_the_truth_about_as_often_as_they_say(groups, least, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 300)
    sets, names = clustered(np.random.default_rng(0), groups, 400)
    held = [
        low <= 0.5 <= high
        for low, high in (intervals.clustered_interval(values, names)[1:] for values in sets)
    ]
    alone = [low <= 0.5 <= high for low, high in (intervals.t_interval(values)[1:] for values in sets)]
    assert least <= np.mean(held) <= 0.99
    assert np.mean(alone) < 0.85  # what comes of taking clips of one group for independent


def test_under_20_groups_of_one_size_the_interval_is_that_of_the_means_of_the_groups():
    values, groups = np.random.default_rng(0).random((7, 3)), np.repeat(list("gfedcba"), 3)
    expected = intervals.t_interval(values.mean(axis=1), 0.8)
    assert intervals.clustered_interval(values.ravel(), groups, 0.8) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("groups", [8, 30])
def test_intervals_over_groups_are_about_the_mean_over_clips_and_repeatable(groups):
    rng = np.random.default_rng(1)
    names = np.repeat(np.arange(groups), rng.integers(1, 9, groups))  # of unlike sizes
    values = rng.random(len(names))
    mean, low, high = intervals.clustered_interval(values, names, seed=3)
    order = rng.permutation(len(names))
    assert low < mean < high and mean == pytest.approx(values.mean())
    assert intervals.clustered_interval(values[order], names[order], seed=3) == pytest.approx(
        (mean, low, high), abs=1e-12
    )


@pytest.mark.parametrize("groups", [8, 30])
def test_a_large_group_weighs_by_its_clips(groups):
    sizes = np.where(np.arange(groups) % 2, 2, 18)  # all right in the large groups, all wrong in the small
    mean, low, high = intervals.clustered_interval(
        np.repeat(sizes > 2, sizes), np.repeat(np.arange(groups), sizes)
    )
    assert mean == 0.9
    assert 0.6 < low < 0.9 < high  # the mean of the groups' means is 0.5


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
