"""Counts of each clip, from tables of predictions of several seeds."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from audiomtl.harness import clip_counts

ONE = pd.DataFrame(
    {
        "clip_id": list("abcd"),
        "truth": ["x", "x", "y", "z"],
        "predicted": ["x", "y", "y", "x"],
        "kind_truth": ["p", None, "q", "q"],
        "kind_predicted": ["p", "p", "p", "q"],
        "age_truth": [3.0, 5.0, None, 1.0],
        "age_predicted": [4.0, 5.0, 2.0, 4.0],
        "edits": [1, 0, 4, 1],
        "phones": [10, 8, 12, 2],
        "voice_onset_f1": [1.0, None, 0.5, 0.0],
    }
)
TWO = ONE.assign(predicted=["x", "x", "z", "z"])
PER_CLIP = {"phone_error_rate": ("edits", "phones"), "*_onset_f1": ("*_onset_f1", "")}


def value(name: str, *tables: pd.DataFrame) -> float:
    found = clip_counts.of_score(name, tables, PER_CLIP)
    return float(found.score(found.counts.to_numpy().sum(axis=0)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 0.5),
        ("balanced_accuracy", metrics.balanced_accuracy_score(ONE["truth"], ONE["predicted"])),
        ("macro_f1", metrics.f1_score(ONE["truth"], ONE["predicted"], average="macro")),
        ("kind_accuracy", 2 / 3),
        ("kind_balanced_accuracy", 3 / 4),
        ("age_absolute_error", 4 / 3),
        ("phone_error_rate", 6 / 32),
        ("voice_onset_f1", 0.5),
    ],
)
def test_counts_of_one_seed_give_its_score(name, expected):
    assert value(name, ONE) == pytest.approx(expected)


def test_a_clip_that_several_seeds_tested_counts_once():
    assert value("accuracy", ONE, TWO) == pytest.approx((1 + 0.5 + 0.5 + 0.5) / 4)
    other = ONE.assign(clip_id=list("efgh"))
    assert value("accuracy", ONE, TWO, other) == pytest.approx((2.5 + 2) / 8)
    counts = clip_counts.of_score("accuracy", [other, ONE, TWO], PER_CLIP).counts
    assert list(counts.index) == list("abcdefgh")
    assert counts["right"].tolist() == [1, 0.5, 0.5, 0.5, 1, 0, 1, 0]


@pytest.mark.parametrize("name", ["loss", "phones_frame_accuracy", "no_onset_f1", "pitch_absolute_error"])
def test_a_score_that_no_column_tells_has_no_counts(name):
    assert clip_counts.of_score(name, [ONE], PER_CLIP) is None


def test_lists_of_labels_are_no_classes():
    tags = ONE.assign(truth=[np.array(["x"])] * 4, predicted=[np.array(["x"])] * 4)
    assert clip_counts.of_score("macro_f1", [tags], {}) is None
