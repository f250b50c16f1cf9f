"""What is audited: label, groups and sides of a table as a person wrote it, bad rows included."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data.audit import audit, subject
from audiomtl.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight noises of 0.2 s; the last has the bytes of the first."""
    place = tmp_path_factory.mktemp("sounds")
    for number in range(8):
        y = 0.1 * np.random.default_rng(number % 7).standard_normal(1600)
        soundfile.write(place / f"{number}.wav", y, 8000)
    (place / "broken.wav").write_bytes(b"RIFF")
    return place


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))


def table(folder, name: str, **columns) -> str:
    paths = [f"{number}.wav" for number in range(8)]
    pd.DataFrame({"path": paths} | columns).to_csv(folder / f"{name}.csv", index=False)
    return str(folder / f"{name}.csv")


KIND = ["a", "b"] * 4


@pytest.mark.parametrize(
    ("columns", "label", "kind", "groups", "divisions"),
    [
        ({"label": KIND, "speaker": list("xxyyzzww")}, "label", "class", ("speaker",), []),
        ({"genre": KIND, "spk_id": list("11223344")}, "genre", "class", ("spk_id",), []),
        ({"label": KIND, "recording_site": list("xxyyzzww")}, "label", "class", ("recording_site",), []),
        ({"label": KIND, "fold": list("11223344")}, "label", "class", (), ["column fold"]),
        (
            {"label": KIND, "split": ["train"] * 4 + ["validation", "test"] * 2},
            "label",
            "class",
            (),
            ["column split"],
        ),
        ({"labels": ['["a"]', '["a", "b"]'] * 4}, "labels", "tags", (), []),
        ({"arousal": [0.5 + number for number in range(8)]}, "", "", (), []),
    ],
)
def test_columns_are_found_by_their_names(folder, columns, label, kind, groups, divisions):
    seen = subject.of_place(table(folder, "named", **columns))
    assert (seen.label, seen.kind, seen.groups) == (label, kind, groups)
    assert [name for name, _ in seen.divisions] == divisions
    assert len(seen.table) == 8 and seen.recordings  # the doubled recording stays
    assert any("group" in line for line in seen.assumed)


def test_options_come_first(folder):
    place = table(folder, "options", label=KIND, arousal=np.arange(8) / 3, voice=list("xxyyzzww"))
    seen = subject.of_place(place, label="arousal", groups=("voice",))
    assert (seen.label, seen.kind, seen.groups) == ("arousal", "value", ("voice",))
    with pytest.raises(UserError, match="no column arousl"):
        subject.of_place(place, label="arousl")


def test_bad_rows_are_told_and_the_others_are_audited(folder):
    place = folder / "bad.csv"
    rows = [*(f"{number}.wav" for number in range(8)), "0.wav", "absent.wav", "broken.wav"]
    pd.DataFrame({"path": rows, "label": [*KIND, "b", "a", "a"]}).to_csv(place, index=False)
    seen = audit(subject.of_place(place), repetitions=1)
    assert sorted(kind for kind, _ in seen.subject.bad) == ["missing", "unreadable"]
    assert len(seen.subject.table) == 9 and seen.subject.table["clip_id"].is_unique
    told = " ".join(seen.warnings)
    assert "row 10" in told and "absent.wav" in told and "row 11" in told
    assert {(copy.first, copy.second) for copy in seen.copies} >= {(0, 1)}
    assert "copies with different label" in told


def test_a_missing_group_is_a_group_of_its_own(folder):
    seen = subject.of_place(table(folder, "gaps", label=KIND, speaker=["x", "", "x", "", "y", "y", "z", "z"]))
    assert seen.table["speaker"].nunique() == 5


def test_arrays_cannot_be_listened_to(folder):
    np.save(folder / "one.npy", np.zeros((2, 3)))
    np.save(folder / "two.npy", np.ones((2, 3)))
    pd.DataFrame({"array_path": ["one.npy", "two.npy"], "label": ["a", "b"]}).to_csv(
        folder / "arrays.csv", index=False
    )
    seen = audit(subject.of_place(folder / "arrays.csv"))
    assert seen.bill == "the clips are no recordings" and seen.serious == () and "2 clips" in seen.text
