"""Confusions: their numbers, and which are named."""

import numpy as np
import pandas as pd

from audiomtl.harness.report.html import confusion


def test_a_matrix_has_the_counts_of_all_runs_and_names_the_most_frequent_confusion() -> None:
    rows = {"truth": ["dog"] * 5 + ["cat"] * 4, "predicted": ["dog"] * 2 + ["cat"] * 7}
    (figure,) = confusion.figures([pd.DataFrame(rows), pd.DataFrame(rows)])
    assert confusion.counts(*(pd.Series(rows[name]) for name in rows)) == {
        ("dog", "dog"): 2,
        ("dog", "cat"): 3,
        ("cat", "cat"): 4,
    }
    assert "Most frequent: dog as cat 6 times." in figure.note
    for count in ("4", "6", "8"):
        assert f">{count}</text>" in figure.drawings[0]


def test_phones_are_counted_along_the_alignment() -> None:
    rows = {"truth": [np.array(list("manu"))], "predicted": [np.array(list("nau"))]}
    found = confusion.counts(*(pd.Series(rows[name]) for name in rows))
    assert found[("m", "n")] == 1 and found[("n", confusion.NOTHING)] == 1 and found[("u", "u")] == 1
