"""Few clips to choose on: a warning below 30, refused below 10 unless the file says so."""

from types import SimpleNamespace

import pandas as pd
import pytest

from audiomtl.data import small_validation
from audiomtl.data.splits import Splits
from audiomtl.errors import UserError

SETTINGS = SimpleNamespace(data=SimpleNamespace(label="style", labels="one"))


def sides(validation: range, styles=("jazz", "rock")) -> Splits:
    def table(name: str, numbers: range, kinds=("jazz", "rock")) -> pd.DataFrame:
        ids = [f"{name}{number}" for number in numbers]
        return pd.DataFrame({"clip_id": ids, "style": [kinds[i % len(kinds)] for i in numbers]})

    return Splits(table("train", range(40)), table("v", validation, styles), table("test", range(9)), 0)


def check(validations, acknowledged=False):
    return small_validation.check(
        SETTINGS, validations, "experiments/x.toml", acknowledged=acknowledged, remedy="enlarge it"
    )


@pytest.mark.parametrize(
    "validations, warned",
    [
        ({"seed 1": [sides(range(30))]}, ""),
        ({"seed 1": [sides(range(29))]}, "only 29 validation clips (seed 1)"),
        ({"seed 1": [sides(range(10))], "seed 2": [sides(range(40))]}, "only 10 validation clips (seed 1)"),
        # folds that judge together count together
        ({"the study": [sides(range(10)), sides(range(10, 20)), sides(range(20, 30))]}, ""),
        ({"the study": [sides(range(20)), sides(range(20))]}, "only 20 validation clips (the study)"),
    ],
)
def test_a_choice_on_fewer_than_30_clips_is_warned_of(validations, warned):
    lines = check(validations)
    assert (warned in lines[0] and len(lines) == 1) if warned else lines == []


def test_fewer_than_10_are_refused_in_a_line_unless_the_file_acknowledges_them():
    validations = {"seed 1": [sides(range(3))], "seed 3": [sides(range(3))], "seed 2": [sides(range(8))]}
    with pytest.raises(UserError) as refused:
        check(validations)
    assert str(refused.value) == (
        "experiments/x.toml: only 3 validation clips (seed 1, seed 3), 8 validation clips (seed 2) to choose"
        ' on, at least 10 are needed: enlarge it, or write acknowledged = ["small_validation"] into the'
        " experiment"
    )
    assert "3 validation clips" in check(validations, acknowledged=True)[0]


def test_a_class_without_validation_clips_is_named():
    lines = check({"seed 1": [sides(range(40), styles=("jazz",))]})
    assert lines == ["experiments/x.toml: warning: no validation clip of style rock (seed 1)"]
