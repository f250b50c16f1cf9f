"""Folds of seeds from clips, predictions and records."""

from types import SimpleNamespace

import pandas as pd
import pytest

from audiomtl.errors import UserError
from audiomtl.harness import replicates
from tests.settings.test_replicates import BLOCKS, COLUMN, protocol

CLIPS = pd.DataFrame(
    {"clip_id": list("abcdefgh"), "fold": [1, 1, 2, 2, 3, 3, 4, 4], "song": list("aabbccdd")}
)


def settings(groups=("song",), **values) -> SimpleNamespace:
    data = SimpleNamespace(groups=groups)
    return SimpleNamespace(protocol=protocol(**values), data=data, seeds=(1, 2, 3, 5), study_seed=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (COLUMN, "fold 1 is tested by seeds 1, 5 and fold 2 by seed 2"),
        ({"kind": "leave_one_out"}, "fold 1 is tested by seeds 1, 5 and fold 2 by seed 2"),
        (
            {**BLOCKS, "rotations": 5},
            "test blocks of 2 values of song overlap, because there are only 4 values; use at most 2",
        ),
        ({**BLOCKS, "rotations": 1}, ""),
        ({"kind": "split"}, ""),
    ],
)
def test_what_only_the_clips_tell_is_refused_before_training(values, message):
    one = settings(**values)
    if "rotations" in values:
        one.seeds = (1, 2, 3, 4, 5)
    if not message:
        return replicates.check(one, CLIPS, "x.toml")
    with pytest.raises(UserError, match=message) as error:
        replicates.check(one, CLIPS, "x.toml")
    assert str(error.value).startswith("x.toml: ") and "\n" not in str(error.value)


def test_folds_of_clips_of_predictions_and_of_the_record_are_the_same():
    one, seeds = settings(**COLUMN), [2, 1, 6, 5]
    of_clips = replicates.of_clips(one, seeds, CLIPS)
    tables = [CLIPS[CLIPS["fold"] == 1 + seed % 4] for seed in seeds]
    of_runs = replicates.of_predictions(one, seeds, tables)
    assert of_clips == {2: 2, 1: 1, 6: 2, 5: 1}
    assert of_runs == {2: 0, 1: 1, 6: 0, 5: 1}  # other numbers, the same folds
    assert replicates.of_expected(one, {"seeds": seeds, "folds": [2, 1, 2, 1]}) == of_clips
    assert replicates.of_expected(one, {"seeds": seeds}) is None  # an older record
    assert replicates.of_predictions(one, seeds, []) is None
    drawn = settings(kind="folds", folds=4)
    assert (
        replicates.of_expected(drawn, {"seeds": seeds})
        == of_clips
        == replicates.of_predictions(drawn, seeds, [])
    )


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ({1: 0, 2: 0}, "says nothing|say nothing about new recordings"),
        ({1: 0, 2: 1}, "one seed per fold"),
        ({1: 0, 2: 1, 3: 0, 4: 1}, "the 2 seeds of a fold averaged first"),
        (None, "not recorded"),
    ],
)
def test_what_an_interval_is_over_is_told(folds, words):
    assert pd.Series([replicates.told(folds)]).str.contains(words).all()


def test_scores_that_are_not_finite_have_no_interval():
    assert replicates.replicated("loss", {1: 0.5, 2: float("nan")}, {1: 0, 2: 1}) is None
    assert replicates.replicated("loss", {1: 0.5, 2: 0.6}, None) is None
