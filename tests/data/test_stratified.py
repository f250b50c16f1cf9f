"""Divisions of clips with several tags: whole groups, tags on every side where possible, like shares."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomtl.data import protocols, stratified, tags
from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet
from tests.data.test_protocols import protocol

SIDES = ("train", "validation", "test")


def data(groups=("artist",)) -> DataSet:
    return DataSet(dataset="any", label="tags", groups=list(groups), labels="several")


def table(seed: int, clips: int = 160, artists: int = 32, kinds: int = 6, rare: float = 0.45) -> pd.DataFrame:
    """Clips of artists who have some of the tags, each half as frequent as the one before."""
    rng = np.random.default_rng(seed)
    artist = rng.integers(0, artists, clips)
    has = rng.random((artists, kinds)) < 0.8 * np.exp(-rare * np.arange(kinds))
    cells = [tuple(f"t{k}" for k in range(kinds) if has[one, k] and rng.random() < 0.8) for one in artist]
    return pd.DataFrame(
        {
            "clip_id": [f"c{n:03}" for n in range(clips)],
            "artist": [f"a{one:02}" for one in artist],
            "tags": cells,
        }
    )


def groups_of(rows: pd.DataFrame) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for artist, cell in zip(rows["artist"], rows["tags"], strict=True):
        for tag in cell:
            found.setdefault(tag, set()).add(artist)
    return found


@pytest.mark.parametrize("kind, changes", [("split", {}), ("folds", {"folds": 4})])
@pytest.mark.parametrize("seed", range(6))
def test_every_tag_of_enough_groups_is_on_every_side_and_groups_stay_whole(kind, changes, seed) -> None:
    whole = table(seed)
    enough = 3 if kind == "split" else 4
    common = {tag for tag, artists in groups_of(whole).items() if len(artists) >= enough}
    whole["tags"] = [tuple(tag for tag in cell if tag in common) for cell in whole["tags"]]
    divided = protocols.divide(whole, data(), protocol(kind, **changes), seed)
    sides = divided.sides()
    assert sorted(clip for rows in sides.values() for clip in rows["clip_id"]) == sorted(whole["clip_id"])
    assert sum(rows["artist"].nunique() for rows in sides.values()) == whole["artist"].nunique()
    for name, rows in sides.items():
        assert set(groups_of(rows)) == common, name
    wanted = {"train": 0.6, "validation": 0.2, "test": 0.2} if kind == "split" else dict.fromkeys(SIDES, 0.25)
    for name in ("validation", "test"):
        assert len(sides[name]) / len(whole) == pytest.approx(wanted[name], abs=0.08)
    again = protocols.divide(
        whole.sample(frac=1, random_state=seed + 1), data(), protocol(kind, **changes), seed
    )
    assert all(set(rows["clip_id"]) == set(again.sides()[name]["clip_id"]) for name, rows in sides.items())


def test_it_is_nearer_to_equal_shares_than_groups_drawn_at_random() -> None:
    def far(sides) -> float:
        total = sum(np.stack([tags.target(cell, names) for cell in rows["tags"]]).sum(0) for rows in sides)
        test = np.stack([tags.target(cell, names) for cell in sides[2]["tags"]]).sum(axis=0)
        return float(np.abs(test / total - 0.2).mean())

    own, drawn = [], []
    for seed in range(6):
        whole = table(seed, rare=0.2)
        names = tags.classes_of(whole["tags"])
        for found, stratify in ((own, True), (drawn, False)):
            divided = protocols.divide(whole, data(), protocol("split", stratified=stratify), seed)
            found.append(far(list(divided.sides().values())))
    assert np.mean(own) < 0.5 * np.mean(drawn)


def test_a_tag_of_few_groups_is_on_train_first_then_on_test() -> None:
    rows = [(f"a{n:02}", ("common",) if n % 2 else ()) for n in range(40)]
    rows += [("x", ("once",)), ("y", ("twice",)), ("z", ("twice",))]
    whole = pd.DataFrame(rows, columns=["artist", "tags"])
    whole["clip_id"] = [f"c{n:02}" for n in range(len(whole))]
    for seed in range(8):
        divided = protocols.divide(whole, data(), protocol("split"), seed)
        where = {name: set(groups_of(rows)) for name, rows in divided.sides().items()}
        assert where["train"] == {"common", "once", "twice"}
        assert where["test"] == {"common", "twice"} and where["validation"] == {"common"}


@settings(derandomize=True, deadline=None, max_examples=150, database=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 12), st.sets(st.sampled_from("abcd"))),
        min_size=1,
        max_size=40,
    ),
    kind=st.sampled_from(["split", "folds", "leave_one_out", "blocks"]),
    groups=st.sampled_from([("artist",), ("artist", "album"), ()]),
    stratify=st.booleans(),
    seed=st.integers(0, 9),
)
def test_whatever_the_table_no_group_is_on_two_sides_or_it_is_refused(
    rows, kind, groups, stratify, seed
) -> None:
    whole = pd.DataFrame(rows, columns=["artist", "album", "tags"])
    whole["tags"] = [tuple(sorted(cell)) for cell in whole["tags"]]
    whole["clip_id"] = [f"c{number:02}" for number in range(len(whole))]
    ones = {"test_values": [1] * len(groups), "validation_values": [1] * len(groups)}
    try:
        divided = protocols.divide(
            whole, data(groups), protocol(kind, stratified=stratify, folds=3, rotations=3, **ones), seed
        )
    except UserError as error:
        assert "\n" not in str(error)
        return
    sides = divided.sides()
    known = set(tags.classes_of(sides["train"]["tags"]))
    assert all(len(side) and set(tags.classes_of(side["tags"])) <= known for side in sides.values())
    for group in ("clip_id", *groups):
        values = [set(side[group]) for side in sides.values()]
        assert not (values[0] & values[1] or values[0] & values[2] or values[1] & values[2])


def test_tags_that_a_side_cannot_score() -> None:
    whole = table(1)
    whole["tags"] = [("always", *cell) for cell in whole["tags"]]
    divided = protocols.divide(whole, data(), protocol("split"), 0)
    assert "always" in stratified.unscored(divided, "tags", "test")
    assert "t0" not in stratified.unscored(divided, "tags", "test")
    whole["tags"] = [("always",) for _ in whole["tags"]]
    with pytest.raises(
        UserError, match="no tag of tags has clips with it and clips without it in validation"
    ):
        protocols.divide(whole, data(), protocol("split"), 0)


def test_a_thousand_groups_and_a_hundred_tags() -> None:
    whole = table(0, clips=3000, artists=1000, kinds=100, rare=0.04)
    cluster = whole["artist"].str[1:].astype(int)
    dealt = stratified.deal(cluster, whole["tags"], {"test": 0.2, "rest": 0.8}, np.random.default_rng(0))
    assert dealt.value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.02)
