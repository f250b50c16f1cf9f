"""Scores clip by clip add up to those of the families."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.metrics import labels
from audiomtl.metrics.per_clip import parts

TRUTH = ["a", "a", "a", "b", "b", "c"]
SAID = ["a", "b", "a", "b", "c", "a"]
P = [0.7, 0.2, 0.9, 0.6, 0.3, 0.1]  # of the true class


def table() -> pd.DataFrame:
    rows = pd.DataFrame({"clip_id": list("123456"), "truth": TRUTH, "predicted": SAID})
    for label in "abc":
        rows[f"probability_{label}"] = [
            p if truth == label else (1 - p) / 2 for p, truth in zip(P, TRUTH, strict=True)
        ]
    head = rows[["truth", "predicted"]].add_prefix("mood_")
    head.loc[5, "mood_truth"] = None  # a clip without this label
    return rows.join(head).assign(edits=[0, 1, 2, 0, 0, 3], phones=[4, 4, 5, 3, 2, 2])


@pytest.mark.parametrize(
    ("score", "value"),
    [
        ("accuracy", labels.accuracy(TRUTH, SAID)),
        ("error_rate", 1 - labels.accuracy(TRUTH, SAID)),
        ("balanced_accuracy", labels.balanced_accuracy(TRUTH, SAID)),
        ("loss", -float(np.mean(np.log(P)))),
        ("phone_error_rate", 6 / 20),
        ("mood_accuracy", 3 / 5),
        ("mood_balanced_accuracy", (2 / 3 + 1 / 2) / 2),
    ],
)
def test_the_sums_of_all_clips_give_the_score(score: str, value: float) -> None:
    found = parts(table(), score)
    assert found is not None and found.score == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("score", ["macro_f1", "melody_accuracy", "mood_loss", "mood_phone_error_rate"])
def test_other_scores_and_absent_columns_have_no_parts(score: str) -> None:
    assert parts(table(), score) is None


@pytest.mark.parametrize(
    ("score", "value"),
    [
        ("phones_error_rate", 6 / 20),  # of all clips
        ("note_onset_f1", (0.5 + 1.0) / 2),  # mean over the clips that have it
        ("accuracy", labels.accuracy(TRUTH, SAID)),  # its own columns come first
    ],
)
def test_a_family_names_further_ratios(score: str, value: float) -> None:
    ratios = {"*_error_rate": ("*_edits", "*_total"), "*_onset_f1": ("*_f1", ""), "accuracy": ("edits", "")}
    rows = table().assign(phones_edits=[0, 1, 2, 0, 0, 3], phones_total=[4, 4, 5, 3, 2, 2])
    rows["note_f1"] = [0.5, np.nan, np.nan, np.nan, 1.0, np.nan]
    found = parts(rows, score, ratios)
    assert found is not None and found.score == pytest.approx(value)
    assert parts(table(), "phones_error_rate", ratios) is None  # without the columns


def test_answers_that_are_lists_have_no_parts() -> None:
    rows = pd.DataFrame({"truth": [["a"], []], "predicted": [["a"], ["b"]]})
    assert parts(rows, "accuracy") is None
