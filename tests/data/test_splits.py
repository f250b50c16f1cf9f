"""Splits: no group value on two sides, whatever the table; every refusal names what is wrong."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomtl.data import splits as under_test
from audiomtl.data.splits import Splits, check_disjoint, check_phones, describe
from audiomtl.errors import UserError
from audiomtl.settings.protocol import Protocol

Blocks = tuple[tuple[str, ...], Protocol]


def grid(speakers: int, sentences: int) -> pd.DataFrame:
    """One clip of every speaker and sentence, phones and words from the sentence."""
    pairs = [(f"s{a}", f"t{b}") for a in range(speakers) for b in range(sentences)]
    return pd.DataFrame(
        [
            {"clip_id": s + t, "speaker": s, "sentence": t, "phones": ["_", "a"], "words": ["the", t]}
            for s, t in pairs
        ],
    )


def grouped(
    test: tuple[int, ...],
    validation: tuple[int, ...],
    rotations: int = 1,
    groups: tuple[str, ...] = ("speaker", "sentence"),
) -> Blocks:
    """Groups, and a protocol of as many numbers."""
    others = {
        "test_share": 0.2,
        "validation_share": 0.2,
        "stratified": False,
        "column": "",
        "folds": 3,
        "leaky": False,
    }
    return groups[: len(test)], Protocol(
        kind="blocks", test_values=test, validation_values=validation, rotations=rotations, **others
    )


def by_groups(table: pd.DataFrame, blocks: Blocks, seed: int) -> Splits:
    return under_test.by_groups(table, *blocks, seed)


def split(train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame) -> Splits:
    return Splits(train=train, validation=validation, test=test, dropped=0)


def test_blocks_of_the_first_and_the_second_rotation():
    data = grouped((1, 2), (1, 1), rotations=3)
    first, second = by_groups(grid(3, 5), data, 0), by_groups(grid(3, 5), data, 4)  # 4 % 3 = 1
    assert first.test.clip_id.tolist() == ["s0t0", "s0t1"]
    assert first.validation.clip_id.tolist() == ["s1t2"]
    assert first.train.clip_id.tolist() == ["s2t3", "s2t4"]
    assert second.test.clip_id.tolist() == ["s1t2", "s1t3"]
    assert second.validation.clip_id.tolist() == ["s2t4"]
    assert second.train.clip_id.tolist() == ["s0t0", "s0t1"]
    assert first.dropped == second.dropped == 15 - 5
    assert first.train.index.tolist() == [0, 1]


@settings(derandomize=True, deadline=None, max_examples=150, database=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 7), st.sampled_from("abcdefg")), min_size=1, max_size=60),
    test=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    validation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    rotations=st.integers(1, 5),
    seed=st.integers(0, 20),
)
def test_no_group_value_is_on_two_sides_and_no_clip_is_lost(rows, test, validation, rotations, seed):
    table = pd.DataFrame(rows, columns=["speaker", "sentence"])
    table.insert(0, "clip_id", [f"c{i}" for i in range(len(rows))])
    try:
        splits = by_groups(table, grouped(test, validation, rotations), seed)
    except UserError as refused:
        assert "is empty" in str(refused) or "are needed" in str(refused)
        return
    for group in ("speaker", "sentence"):
        values = [set(side[group]) for side in splits.sides().values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
    check_disjoint(splits, ["speaker", "sentence"])
    kept = [clip for side in splits.sides().values() for clip in side.clip_id]
    assert len(kept) == len(set(kept)) == len(rows) - splits.dropped


@settings(derandomize=True, deadline=None, max_examples=60, database=None)
@given(test=st.integers(1, 3), rotations=st.integers(3, 6))
def test_rotations_that_fill_the_values_test_each_exactly_once(test, rotations):
    table = grid(test * rotations, 1)
    tested = [
        s
        for seed in range(rotations)
        for s in by_groups(table, grouped((test,), (1,), rotations), seed).test.speaker
    ]
    assert sorted(tested) == sorted(table.speaker)


def test_the_order_of_rows_changes_no_side():
    table, data = grid(5, 5), grouped((1, 1), (1, 1), 5)
    shuffled = table.sample(frac=1.0, random_state=0).reset_index(drop=True)
    for seed in range(5):
        assert sorted(by_groups(table, data, seed).test.clip_id) == sorted(
            by_groups(shuffled, data, seed).test.clip_id
        )


@pytest.mark.parametrize(
    ("table", "data", "message"),
    [
        (grid(4, 4).drop(columns="sentence"), grouped((1, 1), (1, 1)), "no column sentence; data.groups must be among clip_id, speaker"),
        (grid(4, 4), grouped((1, 2), (1, 2)), "group sentence has 4 values, but .* 2 \\+ 2 \\+ 1 are needed"),
        (grid(4, 4).query("clip_id != 's0t0'"), grouped((1, 1), (1, 1)), "the test split is empty"),
        (grid(4, 4).query("clip_id != 's1t1'"), grouped((1, 1), (1, 1)), "the validation split is empty: no clip has all"),
        (pd.concat([grid(4, 4), grid(1, 2)]), grouped((1, 1), (1, 1)), "unique, but there are duplicates: s0t0, s0t1"),
        (grid(4, 4).assign(speaker=lambda t: t.speaker.where(t.speaker != "s3")), grouped((1, 1), (1, 1)), "no value for s3t0, s3t1"),
    ],
    ids=["absent column", "too few values", "empty test", "empty validation", "clip twice", "no value"],
)  # fmt: skip
def test_tables_that_cannot_be_split_are_refused(table, data, message):
    with pytest.raises(UserError, match=message) as caught:
        by_groups(table, data, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        # a fold column by sentence: s0 says t0..t3
        (
            ([0, 1], [4], [2, 3]),
            "speaker s0 is in both train and test",
        ),
        (([0, 1], [2], [5]), "speaker s0 is in both train and validation"),
        (([0], [5], [6]), "speaker s1 is in both validation and test"),
        (([0, 1], [4], [0]), "clip_id s0t0 is in both train and test"),
    ],
)
def test_shared_values_are_refused_by_name(sides, message):
    clips = grid(3, 4)
    with pytest.raises(UserError, match=message):
        check_disjoint(split(*[clips.iloc[rows] for rows in sides]), ["speaker"])


def test_disjoint_sides_pass_and_an_absent_column_is_named():
    clips = grid(3, 1)
    splits = split(clips[:1], clips[1:2], clips[2:])
    check_disjoint(splits, ["speaker"])
    with pytest.raises(UserError, match="the train split has no column singer"):
        check_disjoint(splits, ["singer"])


def test_phones_absent_from_train_are_refused_with_side_count_and_clips():
    clips = grid(10, 1)
    clips["phones"] = [["_", "a"]] * 2 + [["a", "x"]] + [["y", "a"]] * 7
    check_phones(split(clips[:2], clips[:1], clips[1:2]))
    with pytest.raises(UserError) as caught:
        check_phones(split(clips[:2], clips[2:3], clips[3:]))
    assert (
        '"x" of validation (1 clips: s2t0); "y" of test (7 clips: s3t0, s4t0, s5t0, s6t0, s7t0 and 2 more)'
        in str(caught.value)
    )


def test_describe_counts_clips_values_and_unseen_words():
    splits = by_groups(grid(3, 5), grouped((1, 2), (1, 1)), 0)
    assert describe(splits, ["speaker", "sentence"]) == {
        "dropped": 10,
        "train/clips": 2,
        "train/speaker": 1,
        "train/sentence": 2,
        "validation/clips": 1,
        "validation/speaker": 1,
        "validation/sentence": 1,
        "test/clips": 2,
        "test/speaker": 1,
        "test/sentence": 2,
        "test/unseen_words_share": pytest.approx(2 / 3),  # the, t0, t1
    }
    bare = split(*[side.drop(columns="words") for side in splits.sides().values()])
    assert "test/unseen_words_share" not in describe(bare, ["speaker"])
    half = split(splits.train, splits.validation, splits.test.drop(columns="words"))
    assert "test/unseen_words_share" not in describe(half, ["speaker"])


def test_inner_folds_are_as_many_as_the_values_that_are_left_allow() -> None:
    """Of 8 values 1 is tested; 7 make three folds of 2, each validated once."""
    table = grid(8, 1)
    groups, protocol = grouped((1,), (2,))
    inner = [(groups, protocol.model_copy(update={"inner_fold": fold})) for fold in range(4)]
    sides = [by_groups(table, blocks, 0) for blocks in inner[:3]]
    assert len({speaker for side in sides for speaker in side.validation.speaker}) == 6
    assert len({*sides[0].test.speaker} | {*sides[2].test.speaker}) == 1
    with pytest.raises(UserError, match=r"inner_fold = 3: must be below 3"):
        by_groups(table, inner[3], 0)


def test_clips_without_words_have_no_unseen_ones() -> None:
    tables = [
        pd.DataFrame({"clip_id": [f"{side}1", f"{side}2"], "words": [words, missing]})
        for side, words, missing in (("a", ["x"], None), ("b", ["x"], []), ("c", ["x", "y"], float("nan")))
    ]
    assert describe(Splits(*tables, dropped=0), [])["test/unseen_words_share"] == 0.5
