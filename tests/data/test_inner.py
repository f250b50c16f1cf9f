"""Inner folds of a study: one test side, another validation side each, and which seeds they have not seen."""

import pandas as pd
import pytest

from audiomtl.data import inner, protocols
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.protocol import Protocol

DATA = DataSet(dataset="any", label="style", groups=["artist"])
KINDS = {
    "folds": {"kind": "folds", "column": "", "folds": 4, "stratified": True},
    "column": {"kind": "folds", "column": "fold"},
    "leave_one_out": {"kind": "leave_one_out"},
    "blocks": {"kind": "blocks", "test_values": [3], "validation_values": [2], "rotations": 3},
    "split": {
        "kind": "split",
        "column": "",
        "test_share": 0.25,
        "validation_share": 0.25,
        "stratified": False,
    },
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """12 artists with 6 clips each, of two styles, in four folds."""
    artist = [number % 12 for number in range(72)]
    return pd.DataFrame(
        {
            "clip_id": [f"clip_{number:02}" for number in range(72)],
            "artist": [f"artist_{number:02}" for number in artist],
            "style": ["jazz" if number // 12 % 2 else "rock" for number in range(72)],
            "fold": [number % 4 for number in artist],
        }
    )


@pytest.mark.parametrize(
    "kind, number",
    [("folds", 3), ("column", 3), ("leave_one_out", 11), ("blocks", 4), ("split", inner.DRAWS)],
)
def test_one_test_side_and_another_validation_side_each(table, kind, number):
    protocol = Protocol(**KINDS[kind], leaky=False)
    today = protocols.divide(table, DATA, protocol, 7)
    folds = inner.inner_folds(table, DATA, protocol, 7)
    assert len(folds) == number and list(folds) == sorted(folds)
    for side, rows in today.sides().items():
        pd.testing.assert_frame_equal(folds[0].sides()[side], rows)
    for sides in folds.values():
        assert list(sides.test["clip_id"]) == list(today.test["clip_id"])
        assert not set(sides.train["artist"]) & set(sides.validation["artist"])
    validated = [frozenset(sides.validation["clip_id"]) for sides in folds.values()]
    assert len(set(validated)) == len(validated)
    if kind != "split":  # each clip beside test validates once; blocks leave a rest that always trains
        clips = sorted(clip for side in validated for clip in side)
        assert len(clips) == len(set(clips))
        left = set(table["clip_id"]) - set(today.test["clip_id"])
        assert set(clips) == left if kind != "blocks" else set(clips) < left


def test_the_split_may_have_a_seed_of_its_own(table):
    protocol = Protocol(**KINDS["folds"], split_seed=2, leaky=False)
    plain = Protocol(**KINDS["folds"], leaky=False)
    for seed in (0, 5):
        own = protocols.divide(table, DATA, protocol, seed)
        assert list(own.test["clip_id"]) == list(protocols.divide(table, DATA, plain, 2).test["clip_id"])


@pytest.mark.parametrize(
    "kind, number, words",
    [
        ("folds", 3, "protocol.inner_fold = 3: must be below 3, the number of inner folds by folds"),
        ("column", 3, "must be below 3, the number of inner folds by folds of column fold"),
        ("leave_one_out", 11, "must be below 11, the number of inner folds by group artist"),
        ("blocks", 4, "must be below 4, the number of inner folds by group artist"),
    ],
)
def test_an_inner_fold_that_is_not_there_is_refused(table, kind, number, words):
    with pytest.raises(UserError, match=words):
        protocols.divide(table, DATA, Protocol(**KINDS[kind], inner_fold=number, leaky=False), 1)


def test_a_column_of_sides_has_one_inner_fold(table):
    sides = table.assign(
        side=["train" if fold > 1 else ["validation", "test"][fold] for fold in table["fold"]]
    )
    protocol = Protocol(kind="split", column="side", leaky=False)
    assert list(inner.inner_folds(sides, DATA, protocol, 1)) == [0]
    with pytest.raises(UserError, match="must be below 1"):
        protocols.divide(sides, DATA, protocol.model_copy(update={"inner_fold": 1}), 1)


def test_an_inner_fold_that_cannot_be_made_is_left_out(table):
    """Fold 2 has all clips of one style: train would lack it where fold 2 validates."""
    odd = table.assign(style=["jazz" if fold == 2 else "rock" for fold in table["fold"]])
    folds = inner.inner_folds(odd, DATA, Protocol(**KINDS["column"], leaky=False), 0)
    assert list(folds) == [0, 2]


@pytest.mark.parametrize(
    "kind, seeds, unseen",
    [
        ("folds", [1, 2, 3, 4, 7, 11], [3, 7, 11]),
        ("column", [1, 2, 3, 4, 5], [3]),
        ("blocks", [0, 1, 2, 3, 4, 5], [1, 4]),
        ("split", [1, 2, 3], [1, 2, 3]),
    ],
)
def test_the_study_has_not_seen_the_test_side_of_its_own_split(table, kind, seeds, unseen):
    protocol = Protocol(**KINDS[kind], leaky=False)
    assert inner.unseen_seeds(table, DATA, protocol, 7, seeds) == unseen


def test_a_leaky_split_has_seen_everything(table):
    protocol = Protocol(**KINDS["split"], leaky=True)
    assert inner.unseen_seeds(table, DATA, protocol, 0, [1, 2]) == []
