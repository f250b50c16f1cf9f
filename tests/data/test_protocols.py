"""Divisions: whole groups, every clip once, the same for any order of the rows; and what is refused."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import protocols
from audiomtl.errors import UserError
from audiomtl.settings.clips import Labelled, Protocol


def protocol(kind: str = "split", **changes) -> Protocol:
    values = {"test_share": 0.2, "validation_share": 0.2, "stratified": True, "column": "", "folds": 5, "rotations": 1, "leaky": False}
    return Protocol(**{"kind": kind, **values, "test_values": [1], "validation_values": [1], **changes})


def labelled(groups=("artist",), label: str = "style") -> Labelled:
    return Labelled(label=label, groups=list(groups))


def random_table(seed: int, clips: int = 120, artists: int = 30, albums: int = 60) -> pd.DataFrame:
    """Clips with an artist, an album (sometimes shared by two artists), a style and a fold by artist."""
    rng = np.random.default_rng(seed)
    artist = rng.integers(0, artists, clips)
    album = np.where(rng.random(clips) < 0.05, rng.integers(0, albums, clips), artist * 2 + rng.integers(0, 2, clips))
    return pd.DataFrame(
        {
            "clip_id": [f"clip_{number:03}" for number in range(clips)],
            "path": "x.wav",
            "artist": [f"artist_{number}" for number in artist],
            "album": [f"album_{number}" for number in album],
            "style": rng.choice(["blues", "jazz", "rock"], clips),
            "fold": artist % 4,
        }
    )


KINDS = [
    ("split", {}, ("artist",)),
    ("split", {}, ("artist", "album")),
    ("split", {"stratified": False}, ("album",)),
    ("split", {}, ()),
    ("folds", {}, ("artist",)),
    ("folds", {"folds": 3}, ("artist", "album")),
    ("folds", {"column": "fold"}, ("artist",)),
    ("leave_one_out", {}, ("artist",)),
    ("blocks", {"test_values": [6], "validation_values": [6], "rotations": 3}, ("artist",)),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind, changes, groups", KINDS)
def test_whole_groups_every_clip_once_and_any_order_of_rows(kind, changes, groups, seed):
    table = random_table(seed)
    if kind == "leave_one_out":
        table["style"] = np.where(np.arange(len(table)) % 2, "jazz", "rock")  # no class may hang on one artist
    divided = protocols.divide(table, labelled(groups), protocol(kind, **changes), seed)
    sides = divided.sides()
    ids = [clip for rows in sides.values() for clip in rows["clip_id"]]
    assert sorted(ids) == sorted(table["clip_id"])
    for group in groups:
        values = [set(rows[group]) for rows in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
    shuffled = protocols.divide(table.sample(frac=1, random_state=seed + 1), labelled(groups), protocol(kind, **changes), seed)
    for name, rows in sides.items():
        assert set(rows["clip_id"]) == set(shuffled.sides()[name]["clip_id"])


def test_shares_and_classes_come_near_to_what_was_asked():
    table = random_table(0, clips=600, artists=120, albums=240)
    sides = protocols.divide(table, labelled(), protocol(test_share=0.25, validation_share=0.15), 1).sides()
    for name, share in (("test", 0.25), ("validation", 0.15), ("train", 0.6)):
        assert abs(len(sides[name]) / 600 - share) < 0.03
        for style, part in table["style"].value_counts(normalize=True).items():
            assert abs((sides[name]["style"] == style).mean() - part) < 0.06


def test_the_test_side_is_the_same_for_every_seed_and_the_validation_side_is_not():
    table = random_table(1)
    divided = [protocols.divide(table, labelled(), protocol(), seed) for seed in range(3)]
    assert len({tuple(one.test["clip_id"]) for one in divided}) == 1
    assert len({tuple(one.validation["clip_id"]) for one in divided}) == 3


@pytest.mark.parametrize("changes", [{}, {"column": "fold"}])
def test_folds_test_every_clip_once_over_their_seeds(changes):
    table, count = random_table(2), 4 if changes else 5
    divided = [protocols.divide(table, labelled(), protocol("folds", **changes), seed) for seed in range(count)]
    assert sorted(clip for one in divided for clip in one.test["clip_id"]) == sorted(table["clip_id"])
    for one, following in zip(divided, divided[1:] + divided[:1], strict=True):
        assert set(one.validation["clip_id"]) == set(following.test["clip_id"])


def test_leave_one_out_tests_one_value():
    table = random_table(3).assign(style=lambda t: np.where(np.arange(len(t)) % 2, "a", "b"))
    values = sorted(table["artist"].unique())
    for seed in (0, 7, len(values)):
        assert set(protocols.divide(table, labelled(), protocol("leave_one_out"), seed).test["artist"]) == {values[seed % len(values)]}


def test_a_column_names_the_sides():
    table = random_table(4).assign(side=lambda t: t["fold"].map({0: "test", 1: "validation", 2: "train", 3: "train"}))
    divided = protocols.divide(table, labelled(), protocol(column="side"), 0)
    assert set(divided.test["fold"]) == {0} and set(divided.train["fold"]) == {2, 3}


@pytest.mark.parametrize(
    "change, data, settings, message",
    [
        ({}, labelled(label="stile"), protocol(), r'data.label = "stile": the clip table has no such column; did you mean style'),
        ({}, labelled(("singer",)), protocol(), r'data.groups = "singer"'),
        ({"style": "jazz"}, labelled(), protocol(), "every clip has the same class"),
        ({"clip_id": "a"}, labelled(), protocol(), "clip_id must be unique, but a stand"),
        ({"style": None}, labelled(), protocol(), "120 clips have no style: clip_000"),
        ({"artist": "one"}, labelled(), protocol(), "1 groups by"),
        ({"artist": "one"}, labelled(), protocol("folds"), "fewer than folds"),
        ({}, labelled(), protocol("folds", column="fol"), r'protocol.column = "fol".*did you mean fold'),
        ({}, labelled(), protocol("split", column="fold"), "values must be train, validation, test"),
        ({"fold": range(120)}, labelled(), protocol("folds", column="fold"), "artist artist_.* is both in"),
        ({"fold": 1}, labelled(), protocol("folds", column="fold"), "1 values, but one each"),
        ({"style": ["only"] + ["jazz", "rock"] * 59 + ["rock"]}, labelled(()), protocol("folds", column="fold"), None),
    ],
)
def test_what_cannot_be_divided_is_refused_with_a_line(change, data, settings, message):
    table = random_table(5).assign(**change)
    if message is None:  # a class of one clip is absent from train when that clip is tested
        table.loc[0, "fold"] = 9
        message = "style only of (test|validation) .1 clips: clip_000. is absent from train"
    with pytest.raises(UserError, match=message):
        for seed in range(5):
            protocols.divide(table, data, settings, seed)


@pytest.mark.parametrize("seed", range(3))
def test_leaky_windows_deal_every_window_once_and_cut_through_clips(seed):
    counts = {f"clip_{number}": 5 + number % 7 for number in range(30)}
    dealt = protocols.leaky_windows(counts, {"test": 0.3, "validation": 0.2}, seed)
    every = [(clip, int(number)) for clips in dealt.values() for clip, numbers in clips.items() for number in numbers]
    assert sorted(every) == sorted((clip, number) for clip, count in counts.items() for number in range(count))
    assert len(dealt["train"].keys() & dealt["test"].keys()) > 15
    assert dealt.keys() == {"train", "validation", "test"}
    again = protocols.leaky_windows(dict(reversed(counts.items())), {"test": 0.3, "validation": 0.2}, seed)
    assert all(np.array_equal(dealt[side][clip], again[side][clip]) for side in dealt for clip in dealt[side])
