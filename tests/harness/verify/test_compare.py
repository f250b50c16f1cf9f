"""Recorded and new scores: equal to the bit, or equivalent, and never by a score of zeros."""

import json
import math
from pathlib import Path

import pytest

from audiomtl.harness.record import provenance
from audiomtl.harness.verify.compare import compare, floor_of, summary

# [expected] and [scores] of five experiments as they stood at commit 38d2de1
RECORDS = json.loads((Path(__file__).parents[2] / "golden" / "records.json").read_text(encoding="utf-8"))
MINIMIZE = {"error_rate": "minimize"}


def of(machine: str, per_seed: list[float], **more: float) -> dict:
    origin = {"machine": machine, "threads": 1, "seeds": list(range(1, len(per_seed) + 1))}
    score = {"mean": sum(per_seed) / len(per_seed), "per_seed": per_seed, **more}
    return {"recorded": origin, "test/error_rate": score}


@pytest.mark.parametrize(
    ("now", "machine", "threads", "exact", "reproduced"),
    [
        ([0.3, 0.32], "same", 1, False, True),
        ([0.3001, 0.3199], "same", 1, False, False),
        ([0.3001, 0.3199], "same", 2, False, True),
        ([0.3001, 0.3199], "other", 1, False, True),
        ([0.3001, 0.3199], "other", 1, True, False),
        ([0.3, 0.32], "other", 1, True, True),
        ([0.5, 0.52], "other", 1, False, False),
        ([0.3, math.nan], "other", 1, False, False),
        ([0.3], "other", 1, False, False),
        ([], "other", 1, False, False),
    ],
)
def test_scores_are_equal_here_and_equivalent_elsewhere(now, machine, threads, exact, reproduced) -> None:
    expected = of(provenance.machine() if machine == "same" else "another", [0.3, 0.32])
    [verdict] = compare(expected, {"test/error_rate": now}, threads, MINIMIZE, exact=exact)
    assert verdict.reproduced is reproduced


def test_a_recorded_tolerance_decides_nothing() -> None:
    [verdict] = compare(
        of("another", [0.3, 0.32], tolerance=0.9), {"test/error_rate": [0.9, 0.9]}, 1, MINIMIZE
    )
    assert not verdict.reproduced


@pytest.mark.parametrize(
    ("name", "entry", "floor"),
    [
        ("test/error_rate", {}, 1.0),
        ("test/error_rate", {"floor": 0.8}, 0.8),
        ("test/accuracy", {}, 0.0),
        ("test/text_median_ms", {}, 0.0),
    ],
)
def test_a_recorded_floor_comes_before_that_of_an_empty_answer(name, entry, floor) -> None:
    assert floor_of(name, entry, {"error_rate": "minimize"}, {}) == floor


@pytest.mark.parametrize("name", RECORDS)
def test_a_score_of_zeros_is_never_reproduced(name) -> None:
    """Of records of version 0.1. With the tolerances of earlier versions macro F1, PSDS and the accuracy of
    sex were.
    """
    expected, scores = RECORDS[name]["expected"], RECORDS[name]["scores"]
    seeds = len(expected["recorded"]["seeds"])
    elsewhere = {**expected, "recorded": {**expected["recorded"], "machine": "another"}}
    zeros = {score: [0.0] * seeds for score in expected if score != "recorded"}
    found = compare(elsewhere, zeros, 1, scores)
    assert found and [one.score for one in found if one.reproduced] == []


@pytest.mark.parametrize(
    ("now", "threads", "text"),
    [
        (
            [0.3, 0.4],
            1,
            "all 2 recorded scores were reproduced bit for bit, recorded on a different processor (X)",
        ),
        (
            [0.3, math.nextafter(0.4, 1)],
            1,
            (
                "all 1 recorded scores were reproduced: 1 of 2 values bit for bit, 1 score by equivalent means,"
                " recorded on a different processor (X)"
            ),
        ),
        ([0.3, 0.4], 2, "(X) and with 1 TensorFlow threads instead of 2"),
    ],
)
def test_the_summary_says_what_was_equal_and_where_it_was_recorded(now, threads, text) -> None:
    expected = of("X", [0.3, 0.4])
    verdicts = compare(expected, {"test/error_rate": now}, threads, MINIMIZE)
    assert text in summary(verdicts, expected["recorded"], threads)
