"""Divisions: whole groups, every clip once, the same for any order of the rows; and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomtl import config
from audiomtl.data import catalog, protocols
from audiomtl.data.corpora import german_speech
from audiomtl.data.datasets import emodb
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import DataSet
from audiomtl.settings.protocol import Protocol

PROJECT = Path(__file__).parents[2]


def protocol(kind: str = "split", **changes) -> Protocol:
    values = {
        "test_share": 0.2,
        "validation_share": 0.2,
        "stratified": True,
        "column": "",
        "folds": 5,
        "rotations": 1,
        "leaky": False,
    }
    return Protocol(**{"kind": kind, **values, "test_values": [1], "validation_values": [1], **changes})


def labelled(groups=("artist",), label: str = "style") -> DataSet:
    return DataSet(dataset="any", label=label, groups=list(groups))


def random_table(seed: int, clips: int = 120, artists: int = 30, albums: int = 60) -> pd.DataFrame:
    """Clips with an artist, an album (sometimes shared by two artists), a style and a fold by artist."""
    rng = np.random.default_rng(seed)
    artist = rng.integers(0, artists, clips)
    album = np.where(
        rng.random(clips) < 0.05, rng.integers(0, albums, clips), artist * 2 + rng.integers(0, 2, clips)
    )
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
        # no class may hang on one artist
        table["style"] = np.where(np.arange(len(table)) % 2, "jazz", "rock")
    divided = protocols.divide(table, labelled(groups), protocol(kind, **changes), seed)
    sides = divided.sides()
    ids = [clip for rows in sides.values() for clip in rows["clip_id"]]
    assert sorted(ids) == sorted(table["clip_id"])
    for group in groups:
        values = [set(rows[group]) for rows in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
    shuffled = protocols.divide(
        table.sample(frac=1, random_state=seed + 1), labelled(groups), protocol(kind, **changes), seed
    )
    for name, rows in sides.items():
        assert set(rows["clip_id"]) == set(shuffled.sides()[name]["clip_id"])


@settings(derandomize=True, deadline=None, max_examples=250, database=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 14), st.sampled_from("ab")), min_size=1, max_size=40
    ),
    kind=st.sampled_from(["split", "folds", "leave_one_out", "blocks"]),
    groups=st.sampled_from([("artist",), ("artist", "album")]),
    stratified=st.booleans(),
    shares=st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45)),
    folds=st.integers(3, 5),
    seed=st.integers(0, 20),
)
def test_whatever_the_table_groups_stay_whole_or_it_is_refused(
    rows, kind, groups, stratified, shares, folds, seed
):
    table = pd.DataFrame(rows, columns=["artist", "album", "style"])
    table.insert(0, "clip_id", [f"c{number}" for number in range(len(rows))])
    ones = {"test_values": [1] * len(groups), "validation_values": [1] * len(groups)}
    chosen = protocol(
        kind,
        stratified=stratified,
        test_share=shares[0],
        validation_share=shares[1],
        folds=folds,
        rotations=3,
        **ones,
    )
    try:
        divided = protocols.divide(table, labelled(groups), chosen, seed)
    except UserError as refused:
        assert "\n" not in str(refused)
        return
    sides = divided.sides()
    ids = [clip for one in sides.values() for clip in one["clip_id"]]
    assert len(ids) == len(set(ids)) == len(rows) - divided.dropped and all(
        len(one) for one in sides.values()
    )
    assert kind == "blocks" or divided.dropped == 0
    for group in groups:
        values = [set(one[group]) for one in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])
    again = protocols.divide(table.iloc[::-1], labelled(groups), chosen, seed)
    assert all(one.equals(again.sides()[name]) for name, one in sides.items())


@pytest.mark.parametrize("test, validation", [(0.02, 0.02), (0.2, 0.2), (0.45, 0.45), (0.9, 0.05)])
@pytest.mark.parametrize("kind", ["split", "folds"])
def test_three_groups_are_enough_for_three_sides_whatever_the_shares(kind, test, validation):
    table = random_table(6, clips=60, artists=3)
    chosen = protocol(kind, test_share=test, validation_share=validation, folds=3)
    assert [
        rows["artist"].nunique() for rows in protocols.divide(table, labelled(), chosen, 1).sides().values()
    ] == [1, 1, 1]


def test_clips_that_hang_together_through_others_are_one_cluster():
    """Artists 0-1-2-3 are chained by albums, so that only artists 4 to 9 can be dealt apart from them."""
    chained = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]
    rows = chained + [(artist, 10 + artist) for artist in range(4, 10)]
    table = pd.DataFrame(rows, columns=["artist", "album"]).assign(style=["a", "b"] * 6 + ["a"])
    table["clip_id"] = [f"c{number:02}" for number in np.random.default_rng(0).permutation(len(rows))]
    chain = set(table["clip_id"][: len(chained)])
    for kind, seed in [("split", 0), ("split", 1), ("folds", 0), ("folds", 1)]:
        sides = protocols.divide(table, labelled(("artist", "album")), protocol(kind, folds=3), seed).sides()
        assert sum(bool(chain & set(rows["clip_id"])) for rows in sides.values()) == 1


def test_one_large_group_leaves_the_shares_as_asked():
    artist = ["large"] * 60 + [f"small_{number}" for number in range(60)]
    table = pd.DataFrame(
        {"clip_id": [f"c{number:03}" for number in range(120)], "artist": artist, "style": ["a", "b"] * 60}
    )
    for seed in range(3):
        sides = protocols.divide(table, labelled(), protocol(), seed).sides()
        assert all(
            abs(len(sides[name]) - count) <= 2
            for name, count in (("test", 24), ("validation", 24), ("train", 72))
        )


def test_folds_that_the_project_makes_are_alike_in_size_and_classes():
    table = random_table(7, clips=600, artists=120, albums=240)
    for seed in range(5):
        tested = protocols.divide(table, labelled(), protocol("folds"), seed).test
        assert abs(len(tested) - 120) <= 6
        for style, part in table["style"].value_counts(normalize=True).items():
            assert abs((tested["style"] == style).mean() - part) < 0.03


def test_without_stratified_classes_have_no_say():
    table = random_table(8)
    other = table.assign(
        style=table["style"]
        .map({"blues": "jazz", "jazz": "rock", "rock": "blues"})
        .sample(frac=1, random_state=0)
        .to_numpy()
    )
    for stratified in (False, True):
        one, two = (
            protocols.divide(rows, labelled(), protocol(stratified=stratified), 0) for rows in (table, other)
        )
        assert (one.test["clip_id"].tolist() == two.test["clip_id"].tolist()) != stratified


def test_folds_of_a_column_may_be_numbers_and_words():
    table = random_table(9).assign(fold=lambda t: t["fold"].map({0: 10, 1: 9, 2: "1a", 3: "1b"}))
    tested = [
        protocols.divide(table, labelled(), protocol("folds", column="fold"), seed)
        .test["fold"]
        .unique()
        .tolist()
        for seed in range(4)
    ]
    assert tested == [[9], [10], ["1a"], ["1b"]]


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
    divided = [
        protocols.divide(table, labelled(), protocol("folds", **changes), seed) for seed in range(count)
    ]
    assert sorted(clip for one in divided for clip in one.test["clip_id"]) == sorted(table["clip_id"])
    for one, following in zip(divided, divided[1:] + divided[:1], strict=True):
        assert set(one.validation["clip_id"]) == set(following.test["clip_id"])


def test_leave_one_out_tests_one_value():
    table = random_table(3).assign(style=lambda t: np.where(np.arange(len(t)) % 2, "a", "b"))
    values = sorted(table["artist"].unique())
    for seed in (0, 7, len(values)):
        assert set(protocols.divide(table, labelled(), protocol("leave_one_out"), seed).test["artist"]) == {
            values[seed % len(values)]
        }


def test_a_column_names_the_sides():
    table = random_table(4).assign(
        side=lambda t: t["fold"].map({0: "test", 1: "validation", 2: "train", 3: "train"})
    )
    divided = protocols.divide(table, labelled(), protocol(column="side"), 0)
    assert set(divided.test["fold"]) == {0} and set(divided.train["fold"]) == {2, 3}


@pytest.mark.parametrize(
    "change, data, settings, message",
    [
        (
            {},
            labelled(label="stile"),
            protocol(),
            r'data.label = "stile": the clip table has no such column; did you mean style',
        ),
        ({}, labelled(("singer",)), protocol(), r'data.groups = "singer"'),
        ({"style": "jazz"}, labelled(), protocol(), "every clip has the same class"),
        ({"clip_id": "a"}, labelled(), protocol(), "clip_id must be unique, but there are duplicates: a"),
        ({"style": None}, labelled(), protocol(), "120 clips have no style: clip_000"),
        (
            {"style": ["jazz", " ", ""] + ["rock"] * 117},
            labelled(),
            protocol(),
            "2 clips have no style: clip_001, clip_002",
        ),
        ({"artist": ["x"] * 119 + [None]}, labelled(), protocol(), "1 clips have no artist: clip_119"),
        (
            {"fold": ["train"] * 118 + ["dev", None]},
            labelled(),
            protocol(column="fold"),
            "got None, dev .of clip_118, clip_119",
        ),
        (
            {"fold": ["train"] * 119 + ["test"]},
            labelled(()),
            protocol(column="fold"),
            "the validation split is empty",
        ),
        (
            {"fold": [1.0] * 60 + [2.0] * 59 + [None]},
            labelled(()),
            protocol("folds", column="fold"),
            "no value for clip_119",
        ),
        (
            {},
            labelled(()),
            protocol("leave_one_out"),
            "leave_one_out leaves out values of the first of data.groups",
        ),
        (
            {},
            labelled(()),
            protocol("blocks", test_values=[], validation_values=[]),
            "blocks need one number",
        ),
        (
            {},
            labelled(),
            protocol("blocks", test_values=[1, 1]),
            r"protocol.test_values = \[1, 1\]: blocks need one number >= 1",
        ),
        (
            {},
            labelled(),
            protocol("blocks", validation_values=[0]),
            r"protocol.validation_values = \[0\]: blocks need",
        ),
        (
            {"artist": [f"{number % 2}" for number in range(120)]},
            labelled(),
            protocol("leave_one_out"),
            "2 values, but one each",
        ),
        ({"artist": "one"}, labelled(), protocol(), "1 groups by"),
        ({"artist": "one"}, labelled(), protocol("folds"), "must be at most 1, the number of groups"),
        ({}, labelled(), protocol("folds", column="fol"), r'protocol.column = "fol".*did you mean fold'),
        ({}, labelled(), protocol("split", column="fold"), "values must be train, validation, test"),
        ({"fold": range(120)}, labelled(), protocol("folds", column="fold"), "artist artist_.* is in both"),
        ({"fold": 1}, labelled(), protocol("folds", column="fold"), "1 values, but one each"),
        (
            {"style": ["only"] + ["jazz", "rock"] * 59 + ["rock"]},
            labelled(()),
            protocol("folds", column="fold"),
            None,
        ),
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


def test_a_table_without_ids_is_refused():
    with pytest.raises(UserError, match="no column clip_id"):
        protocols.divide(random_table(0).drop(columns="clip_id"), labelled(), protocol(), 0)


@pytest.mark.parametrize("seed", range(3))
def test_leaky_windows_deal_every_window_once_and_cut_through_clips(seed):
    counts = {f"clip_{number}": 5 + number % 7 for number in range(30)}
    dealt = protocols.leaky_windows(counts, {"test": 0.3, "validation": 0.2}, seed)
    every = [
        (clip, int(number))
        for clips in dealt.values()
        for clip, numbers in clips.items()
        for number in numbers
    ]
    assert sorted(every) == sorted(
        (clip, number) for clip, count in counts.items() for number in range(count)
    )
    assert len(dealt["train"].keys() & dealt["test"].keys()) > 15
    sizes = {side: sum(map(len, clips.values())) / sum(counts.values()) for side, clips in dealt.items()}
    assert sizes == pytest.approx({"test": 0.3, "validation": 0.2, "train": 0.5}, abs=0.01)
    assert dealt.keys() == {"train", "validation", "test"}
    again = protocols.leaky_windows(dict(reversed(counts.items())), {"test": 0.3, "validation": 0.2}, seed)
    assert all(np.array_equal(dealt[side][clip], again[side][clip]) for side in dealt for clip in dealt[side])


def test_too_few_leaky_windows_are_refused():
    with pytest.raises(UserError, match="2 windows are too few"):
        protocols.leaky_windows({"a": 1, "b": 1, "c": 0}, {"test": 0.3, "validation": 0.2}, 0)


# ---------------------------------------------------------------- CTC's blocks


def sides_of_0_1_0(
    table: pd.DataFrame, groups: dict[str, tuple[int, int]], rotations: int, seed: int
) -> dict[str, list[str]]:
    """Clip ids of each side as version 0.1.0 divided for the CTC family, whose ``[data]`` named the
    blocks: its formula, written anew.
    """
    sides: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    turned = {}
    for group, (n_test, _) in groups.items():
        values = sorted(set(table[group]))
        turn = (seed % rotations) * n_test % len(values)
        turned[group] = values[turn:] + values[:turn]
    for row in table.to_dict("records"):
        places = {group: turned[group].index(row[group]) for group in groups}
        of = {
            (
                "test"
                if places[group] < n_test
                else "validation"
                if places[group] < n_test + n_validation
                else "train"
            )
            for group, (n_test, n_validation) in groups.items()
        }
        if len(of) == 1:
            sides[of.pop()].append(row["clip_id"])
    return sides


@pytest.mark.parametrize(
    ("name", "groups", "rotations", "sizes"),
    [
        (
            "ctc_german",
            {"speaker": (10, 4), "sentence": (60, 60)},
            1,
            None,
        ),
        (
            "quickstart",
            {"speaker": (3, 2), "sentence": (20, 20)},
            1,
            {"train": 196, "validation": 38, "test": 60},
        ),
        ("ctc_emodb", {"speaker": (2, 2), "sentence": (2, 1)}, 4, None),
    ],
)
def test_the_sides_of_ctc_are_those_that_its_own_split_made(name, groups, rotations, sizes):
    settings = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml")).settings
    if settings.data.dataset == "german_speech":  # the pairs that are spoken; no need to speak them
        pairs = [
            (f"s{speaker:02d}", f"t{sentence:03d}")
            for speaker, sentence in german_speech.pairs(settings.data)
        ]
        table = pd.DataFrame(
            [(f"{speaker}_{sentence}", speaker, sentence) for speaker, sentence in pairs],
            columns=["clip_id", *groups],
        )
    else:
        try:
            table = emodb.clips(settings.data, catalog.data_folder())
        except MissingData as absent:
            pytest.skip(str(absent))
    for seed in (0, 1, 2, 3, 4, 5, 7):
        divided = protocols.divide(table, settings.data, settings.protocol, seed)
        found = {side: list(rows["clip_id"]) for side, rows in divided.sides().items()}
        assert found == sides_of_0_1_0(table, groups, rotations, seed)
        assert sizes is None or {side: len(clips) for side, clips in found.items()} == sizes


@pytest.mark.parametrize("kind", ["split", "folds", "leave_one_out"])
def test_clips_without_a_label_are_divided_as_well(kind):
    data = labelled(label="")
    for seed in range(3):
        divided = protocols.divide(
            random_table(3).drop(columns="style"), data, protocol(kind, stratified=False), seed
        )
        assert sum(map(len, divided.sides().values())) == 120
    if kind != "leave_one_out":
        with pytest.raises(
            UserError,
            match=r"protocol.stratified = true: it balances the classes of data.label, which is missing",
        ):
            protocols.divide(random_table(3), data, protocol(kind), 0)


@pytest.mark.parametrize(
    ("kind", "changes", "groups"),
    [
        ("split", {}, ("artist",)),
        ("folds", {}, ("artist",)),
        ("blocks", {"test_values": [5, 10], "validation_values": [5, 10]}, ("artist", "album")),
    ],
)
def test_what_is_trained_on_beside_train(kind, changes, groups):
    """Validation joins train, test stays whole and unseen; of blocks, clips that only validation kept out
    come back.
    """
    table, data = random_table(3), labelled(groups, label="")
    plain, more, every = (
        protocols.divide(table, data, protocol(kind, stratified=False, train_on=on, **changes), 1)
        for on in ("train", "train_and_validation", "all")
    )
    for side in ("validation", "test"):
        assert getattr(plain, side).equals(getattr(more, side)) and getattr(plain, side).equals(
            getattr(every, side)
        )
    of_both = {*plain.train["clip_id"], *plain.validation["clip_id"]}
    assert of_both <= {*more.train["clip_id"]} and len(every.train) == len(table) and every.dropped == 0
    assert (of_both == {*more.train["clip_id"]}) == (kind != "blocks")
    assert len(more.train) + len(more.test) + more.dropped == len(table)
    for group in groups:
        assert not set(more.train[group]) & set(more.test[group])
    assert protocol(kind, train_on="all").scored == () and protocol(kind).scored == ("validation", "test")
