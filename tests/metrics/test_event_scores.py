"""Sound events: numbers worked by hand."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from audiomtl.metrics import events

TRUTH = [("a", 0.0, 1.0, "dog"), ("a", 2.0, 4.0, "cat"), ("b", 0.0, 1.0, "dog")]


def test_event_based_counts_are_summed_over_the_clips():
    predicted = [
        ("a", 0.15, 1.15, "dog"),  # within the collars
        ("a", 2.0, 4.35, "cat"),  # 20 % of 2 s is 400 ms
        ("b", 0.25, 1.0, "dog"),  # 250 ms late
        ("c", 0.0, 1.0, "cow"),  # in a clip without events
    ]
    scores = events.event_based(TRUTH, predicted)
    assert scores == pytest.approx(
        {
            "event_precision": 2 / 4,
            "event_recall": 2 / 3,
            "event_f1": 4 / 7,
            "event_macro_f1": (1 / 2 + 1 + 0) / 3,  # dog 2 * 1 / (2 + 2), cat 2 * 1 / 2, cow 0
            "event_error_rate": (1 + 2) / 3,  # one deletion, two insertions
        }
    )
    wide = [("a", 0.0, 1.45, "dog")]
    assert events.event_based(TRUTH[:1], wide)["event_f1"] == 0
    assert events.event_based(TRUTH[:1], wide, offset_share=0.5)["event_f1"] == 1


def test_segment_based_by_hand():
    # truth a: dog in segment 0, cat in 2 and 3; b: dog in 0. Said: a: dog in 0 and 1, cat in 2; b: cat in 0
    scores = events.segment_based(TRUTH, [("a", 0.0, 1.5, "dog"), ("a", 2.1, 3.0, "cat"), ("b", 0.0, 0.5, "cat")])
    assert scores == pytest.approx(
        {
            "segment_precision": 2 / 4,
            "segment_recall": 2 / 4,
            "segment_f1": 1 / 2,
            "segment_macro_f1": (2 * 1 / 4 + 2 * 1 / 4) / 2,
            "segment_error_rate": 3 / 4,  # segment 1 an insertion, segment 3 a deletion, b a substitution
        }
    )


@pytest.mark.parametrize("score", [events.event_based, events.segment_based])
def test_nothing_said_scores_0_and_all_right_scores_1(score):
    none, all_right = score(TRUTH, []), score(TRUTH, TRUTH)
    assert {name.split("_", 1)[1]: value for name, value in none.items()} == pytest.approx(
        {"f1": 0, "precision": 0, "recall": 0, "macro_f1": 0, "error_rate": 1}
    )
    assert {name.split("_", 1)[1]: value for name, value in all_right.items()} == pytest.approx(
        {"f1": 1, "precision": 1, "recall": 1, "macro_f1": 1, "error_rate": 0}
    )
    with pytest.raises(ValueError, match="truth must have at least one event"):
        score([], TRUTH)
    with pytest.raises(ValueError, match="0 <= onset < offset must hold"):
        score(TRUTH, [("a", 1.0, 1.0, "dog")])


def steps(**classes: list[float]) -> pd.DataFrame:
    """One score a second."""
    n = len(next(iter(classes.values())))
    return pd.DataFrame({"onset": np.arange(n, dtype=float), "offset": np.arange(1.0, n + 1), **classes})


def test_psds_by_hand():
    seconds = {"a": 36.0, "b": 36.0}  # 72 s: a false positive is 50 an hour
    silent = [0.0] * 36
    truth = [("a", 0.0, 2.0, "dog"), ("b", 0.0, 2.0, "dog")]
    both = {clip: steps(dog=[0.9, 0.9, *silent[2:]]) for clip in seconds}
    assert events.psds(both, truth, seconds) == pytest.approx(1)
    # at 0.9 half of the dogs and no false positive, at 0.5 all of them and one, 50 an hour: half at 1/2, half at 1
    late = {"a": steps(dog=[0.9, 0.9, *silent[2:]]), "b": steps(dog=[0.5, 0.5, 0.0, 0.0, 0.5, *silent[5:]])}
    assert events.psds(late, truth, seconds) == pytest.approx((0.5 + 1.0) / 2)
    # a curve that ends before 50 an hour sees the first half only
    assert events.psds(late, truth, seconds, max_efpr=49.0) == pytest.approx(0.5)
    # a detection of half the event is not enough, nor for a looser rule too much
    short = {clip: steps(dog=[0.9, 0.0, *silent[2:]]) for clip in seconds}
    assert events.psds(short, truth, seconds) == 0
    assert events.psds(short, truth, seconds, gtc_threshold=0.5) == pytest.approx(1)


def test_psds_takes_the_deviation_between_classes_off():
    seconds, silent = {"a": 36.0}, [0.0] * 34
    truth = [("a", 0.0, 2.0, "dog"), ("a", 0.0, 2.0, "cat")]
    table = {"a": steps(dog=[0.9, 0.9, *silent], cat=[0.0, 0.0, *silent])}
    assert events.psds(table, truth, seconds) == pytest.approx(0)  # mean 0.5, deviation 0.5
    assert events.psds(table, truth, seconds, alpha_st=0.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("truth", "seconds", "message"),
    [
        ([], {"a": 2.0}, "at least one event"),
        ([("b", 0.0, 1.0, "dog")], {"a": 2.0}, "no such clip or class"),
        ([("a", 0.0, 1.0, "cow")], {"a": 2.0}, "no such clip or class"),
        ([("a", 0.0, 1.0, "dog")], {"a": 2.0, "b": 2.0}, r"same clips, at least one, but differ in \['b'\]"),
        ([("a", 0.0, 1.0, "dog")], {"a": 2.0}, r"\['cat'\] have none"),
    ],
)
def test_psds_refuses_what_does_not_fit(truth, seconds, message):
    with pytest.raises(ValueError, match=message):
        events.psds({"a": steps(dog=[1.0, 0.0], cat=[0.0, 0.0])}, truth, seconds)


def test_import_is_light():
    code = "import sys; from audiomtl.metrics import alignment, events, notes; "
    code += "print([m for m in ('mir_eval', 'sed_eval', 'sed_scores_eval', 'pandas', 'scipy', 'tensorflow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
