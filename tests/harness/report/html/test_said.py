"""Aligned phones."""

from typing import Any

import numpy as np
import pytest

from audiomtl.harness.report.html.said import said


@pytest.mark.parametrize(
    ("truth", "predicted", "pairs"),
    [
        ("abc", "abc", [("a", "a"), ("b", "b"), ("c", "c")]),
        ("abc", "axc", [("a", "a"), ("b", "x"), ("c", "c")]),
        ("abc", "ac", [("a", "a"), ("b", ""), ("c", "c")]),
        ("ac", "abc", [("a", "a"), ("", "b"), ("c", "c")]),
        ("", "a", [("", "a")]),
        ("a", "", [("a", "")]),
    ],
)
def test_every_phone_is_in_one_pair(truth: str, predicted: str, pairs: list[tuple[str, str]]) -> None:
    row = {"truth": np.array(list(truth)), "predicted": list(predicted), "predicted_starts": []}
    assert said(row) == pairs


@pytest.mark.parametrize(
    "row",
    [{}, {"truth": "dog", "predicted": "cat"}, {"truth": ["dog"], "predicted": ["cat"]}],
    ids=["nothing", "classes", "tags"],
)
def test_what_is_no_sequence_in_time_has_no_pairs(row: dict[str, Any]) -> None:
    assert said(row) == []
