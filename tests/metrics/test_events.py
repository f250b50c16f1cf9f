"""Sound events: numbers worked by hand, and the stored answers of sed_eval and sed_scores_eval."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.metrics import events, intersections

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "events.json").read_text(encoding="utf-8"))
EXACTLY = {"rel": 1e-12, "abs": 0.0}
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
    scores = events.segment_based(
        TRUTH, [("a", 0.0, 1.5, "dog"), ("a", 2.1, 3.0, "cat"), ("b", 0.0, 0.5, "cat")]
    )
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
    # at 0.9 half of the dogs and no false positive, at 0.5 all of them and one, 50 an hour: half at 1/2, half
    # at 1
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


@pytest.mark.parametrize("name", GOLDEN["events"])
def test_events_score_as_with_sed_eval(name):
    case = GOLDEN["events"][name]
    scores = events.event_based(case["truth"], case["predicted"], offset_share=case["offset_share"])
    scores |= events.segment_based(case["truth"], case["predicted"], segment_seconds=case["segment_seconds"])
    assert scores == pytest.approx(case["expected"], **EXACTLY)


def golden_psds(case: dict) -> float:
    tables = {
        clip: pd.DataFrame({"onset": stored["edges"][:-1], "offset": stored["edges"][1:], **stored["scores"]})
        for clip, stored in case["clips"].items()
    }
    seconds = {clip: stored["seconds"] for clip, stored in case["clips"].items()}
    return events.psds(tables, case["truth"], seconds, **case["options"])


@pytest.mark.parametrize("name", GOLDEN["psds"])
def test_psds_is_that_of_sed_scores_eval(name):
    case = GOLDEN["psds"][name]
    assert golden_psds(case) == pytest.approx(case["expected"], **EXACTLY)


def test_psds_in_blocks_is_the_same(monkeypatch):
    case = GOLDEN["psds"]["random 3"]
    assert 0 < case["expected"] < 1
    monkeypatch.setattr(intersections, "BLOCK_CELLS", 100)
    assert golden_psds(case) == pytest.approx(case["expected"], **EXACTLY)


def test_the_order_of_clips_and_events_does_not_matter():
    case = GOLDEN["events"]["random 11"]
    scores = events.event_based(case["truth"], case["predicted"])
    assert events.event_based(case["truth"], case["predicted"][::-1])["event_f1"] == scores["event_f1"]
    by_clip = sorted(case["truth"], key=lambda event: event[0], reverse=True)
    assert events.event_based(by_clip, case["predicted"]) == scores


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_ct": 0.5}, "cttc_threshold and alpha_ct go together"),
        ({"cttc_threshold": 0.3}, "cttc_threshold and alpha_ct go together"),
        ({"max_efpr": 0.0}, "max_efpr must be above 0"),
    ],
)
def test_psds_refuses_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        events.psds({"a": steps(dog=[1.0, 0.0])}, [("a", 0.0, 1.0, "dog")], {"a": 2.0}, **options)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (steps(cat=[0.5, 0.5]), "needs the columns onset, offset and the same classes"),
        (steps(dog=[]), "at least one step"),
        (
            pd.DataFrame({"onset": [0.0, 2.0], "offset": [1.0, 3.0], "dog": [0.5, 0.5]}),
            "without length or with gaps",
        ),
        (
            pd.DataFrame({"onset": [0.0, 1.0], "offset": [1.0, 1.0], "dog": [0.5, 0.5]}),
            "without length or with gaps",
        ),
    ],
)
def test_psds_refuses_tables_that_do_not_fit(second, message):
    truth = [("a", 0.0, 1.0, "dog"), ("b", 0.0, 1.0, second.columns[2])]
    with pytest.raises(ValueError, match=message):
        events.psds({"a": steps(dog=[0.5, 0.5]), "b": second}, truth, {"a": 2.0, "b": 2.0})


@pytest.mark.parametrize("second", [("a", 1.0, 2.0, "dog"), ("a", 0.5, 0.7, "dog"), ("a", 0.0, 1.0, "dog")])
def test_psds_refuses_events_of_a_class_that_touch(second):
    with pytest.raises(ValueError, match="overlap or touch"):
        events.psds({"a": steps(dog=[1.0, 0.0])}, [second, ("a", 0.0, 1.0, "dog")], {"a": 2.0})


def test_rules_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"offset_share must be in \[0, 1\]"):
        events.event_based(TRUTH, TRUTH, offset_share=1.5)
    with pytest.raises(ValueError, match="segment_seconds must be above 0"):
        events.segment_based(TRUTH, TRUTH, segment_seconds=0.0)


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
    code += "print([m for m in ('mir_eval', 'pandas', 'scipy', 'tensorflow') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
