"""Floors of scores: directions, seeds that share a split, sequences, tags, values."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import floors as common
from audiomtl.data.splits import Splits
from audiomtl.harness import floors


def table(labels: list, start: int = 0) -> pd.DataFrame:
    clips = [f"c{start + number}" for number in range(len(labels))]
    return pd.DataFrame({"clip_id": clips, "path": clips, "label": labels})


def sound(*tables: pd.DataFrame, of=lambda label: 0.0) -> common.Sound:
    """Recordings whose spectrum tells the label and whose length does not."""
    rows = [row for rows in tables for row in rows.itertuples()]
    return common.Sound(
        {row.path: np.array([of(row.label), 1.0]) for row in rows},
        {row.path: np.array([3.0, -20.0]) for row in rows},
    )


def splits(train: list, test: list) -> Splits:
    return Splits(table(train), table(test, 100), table(test, 200), dropped=0)


def test_floors_of_classes_are_those_of_textbooks() -> None:
    sides = splits(["a"] * 6 + ["b"] * 2, ["a"] * 1 + ["b"] * 3)
    heard = sound(*sides.sides().values(), of=lambda label: float(label == "a"))
    found = common.of_classes(sides, "label", heard)["test"]
    assert found["accuracy"] == {
        common.CHANCE: 0.5,
        common.MAJORITY: 0.25,
        common.LENGTH_AND_LEVEL: 0.25,  # nothing to tell classes by: the majority
        common.LINEAR: 1.0,
    }
    assert found["balanced_accuracy"][common.MAJORITY] == 0.5
    assert found["macro_f1"][common.MAJORITY] == pytest.approx(0.2)
    assert set(common.of_classes(sides, "label", None)["test"]["accuracy"]) == {
        common.CHANCE,
        common.MAJORITY,
    }


def test_a_class_that_train_lacks_is_missed_by_every_floor() -> None:
    found = common.of_classes(splits(["a", "a", "b"], ["c", "c"]), "label", None)["test"]["accuracy"]
    assert found[common.MAJORITY] == 0.0


def test_floors_of_tags_and_values() -> None:
    sides = splits([("x",), ("x", "y"), (), ("y",)], [("x",), (), ("y",)])
    heard = sound(*sides.sides().values(), of=lambda label: float("x" in label))
    found = common.of_tags(sides, "label", heard)["test"]
    assert found["roc_auc"][common.FREQUENCIES] == 0.5  # a constant ranks nothing
    assert found["roc_auc"][common.LINEAR] > 0.5
    sides = splits([1.0, 2.0, 9.0], [1.0, 3.0])
    found = common.of_values(sides, "label", sound(*sides.sides().values(), of=float))["test"]
    assert found["absolute_error"][common.MEDIAN] == 1.0
    assert found["absolute_error"][common.LINEAR] < 1.0


def test_an_error_rate_has_the_empty_answer_and_one_sequence() -> None:
    train = [["a", "b"], ["a", "b"], ["c"]]
    found = common.of_phones(train, [["a", "b"], ["a", "c"]])
    assert found == {common.EMPTY: 1.0, common.SEQUENCE: 0.25}


@pytest.mark.parametrize(
    ("value", "floor", "direction", "above"),
    [
        (0.6, 0.5, "maximize", True),
        (0.5, 0.5, "maximize", False),
        (0.4, 0.5, "maximize", False),
        (0.4, 0.5, "minimize", True),
        (0.5, 0.5, "minimize", False),
        (0.6, 0.5, "minimize", False),
    ],
)
def test_above_a_floor_is_better_in_the_direction_of_the_score(
    value: float, floor: float, direction: str, above: bool
) -> None:
    assert floors.above(value, floor, direction) is above
