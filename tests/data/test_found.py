"""What `audiomtl new` is told of a table or folder."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio
from audiomtl.data.found import describe
from audiomtl.errors import MissingData, UserError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six recordings of two rates in mine/audio."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    for number in range(6):
        path = tmp_path / "mine" / "audio" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        y = 0.1 * np.random.default_rng(number).standard_normal(4000)
        audio.save(path, y.clip(-1, 1), sample_rate=8000 if number else 4000)
    return tmp_path / "mine"


PATHS = [f"audio/{number}.wav" for number in range(6)]


def kinds(found) -> dict[str, str]:
    return {column.name: column.kind for column in found.columns}


def test_a_table_of_classes_groups_and_folds(folder):
    rows = {"path": PATHS, "genre": list("ababab"), "artist": list("xxyyzz"), "fold": [1, 2, 3] * 2}
    pd.DataFrame({**rows, "year": range(6), "remark": list("uvwxyz")}).to_csv("mine/clips.csv", index=False)
    found = describe("mine/clips.csv")
    assert found.data == {"dataset": "manifest", "table": "mine/clips.csv", "on_bad": "error"}
    assert found.labels == ("genre",) and found.groups == ("artist",) and found.fold == "fold"
    assert (
        found.seconds == (1.0, *[0.5] * 5) and found.rates == (4000, *[8000] * 5) and found.source == "path"
    )
    assert kinds(found) == {
        **{"path": "recording", "genre": "class", "artist": "group", "fold": "fold", "year": "number"},
        **{"remark": "other", "clip_id": "id"},
    }
    assert found.of_kind("class")[0].counts == {"a": 3, "b": 3} and found.assumptions == ()


def test_the_column_and_folder_of_paths_are_found(folder):
    rows = {"Filename": [Path(path).name for path in PATHS], "class": list("ababab"), "split": ["train"] * 6}
    pd.DataFrame(rows).to_csv("mine/clips.csv", index=False, sep=";")
    found = describe("mine/clips.csv", on_bad="skip")
    assert found.data == {
        **{"dataset": "manifest", "table": "mine/clips.csv", "path_column": "Filename"},
        **{"path_folder": "audio", "on_bad": "skip"},
    }
    assert found.labels == ("class",) and found.split == ""
    assert found.assumptions == (
        "clips.csv: columns are separated by semicolons",
        "column Filename has the paths of the recordings",
        "the paths begin in the folder audio",
        "column split is not used for the split: it has no test and no validation",
    )


def test_lists_are_typed_by_name_or_by_their_cells(folder):
    lists = {"phones": ["a b"] * 6, "starts": ["0 0.1"] * 6, "ends": ["0.1 0.2"] * 6, "text": list("uvwxyz")}
    rows = {"path": PATHS, **lists, "moods": ['["sad", "slow"]', '["slow"]'] * 3, "mfcc": ["[1, 2]"] * 6}
    pd.DataFrame(rows).to_csv("mine/clips.csv", index=False)
    found = describe("mine/clips.csv")
    assert found.data["cells"] == {"moods": "labels", "mfcc": "numbers"} and found.labels == ("moods",)
    phones, moods = found.of_kind("phones")[0], found.of_kind("labels")[0]
    assert phones.timed and (phones.filled, phones.values) == (6, 2)
    assert moods.counts == {"sad": 3, "slow": 6} and found.of_kind("text")[0].name == "text"


def test_lists_of_parquet_are_labels_whatever_their_column_is_called(folder):
    rows = {"path": PATHS, "moods": [["calm"], [], ["calm", "sad"]] * 2, "phones": [["a", "b"]] * 6}
    pd.DataFrame(rows).to_parquet("mine/clips.parquet")
    found = describe("mine/clips.parquet")
    assert found.data["cells"] == {"moods": "labels"} and found.labels == ("moods",)
    again = describe("mine/clips.parquet", label="moods", labels="several")
    assert again.table["moods"].tolist() == [("calm",), (), ("calm", "sad")] * 2


def test_arrays(folder):
    for number in range(3):
        np.save(f"mine/{number}.npy", np.full((4, 2), number, np.float32))
    rows = {"embedding_path": [f"{number}.npy" for number in range(3)], "label": list("aba")}
    pd.DataFrame(rows).to_csv("mine/clips.csv", index=False)
    found = describe("mine/clips.csv")
    assert found.source == "embedding_path" and found.rates == (0, 0, 0) and np.isnan(found.seconds).all()
    assert found.labels == ("label",)


def test_a_folder(folder):
    for number in range(6):
        (folder / "audio" / f"{number}.txt").write_text("hello" if number % 2 else f"number {number}")
    found = describe("mine")
    assert found.data == {"dataset": "folder", "folder": "mine", "on_bad": "error"}
    assert found.groups == ("sentence",) and found.labels == () and kinds(found)["text"] == "text"
    assert found.assumptions == ("*.txt has the text of 6 of 6 recordings",)


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"a": ["x"], "b": ["y"]}, {}, r"which column has the paths .* cannot be told; name it \(--path COLUMN\): it has a, b"),
        ({"file": ["x.wav"], "audio": ["y.wav"]}, {}, "cannot be told"),
        ({"path": PATHS[:1]}, {"path_column": "pth"}, 'data.path_column = "pth": no such column; did you mean path'),
        ({"path": PATHS[:1]}, {"teir": "x"}, r"data\.teir = \"x\": no such setting"),
        ({"path": PATHS[:1]}, {"on_bad": "ask"}, r'data\.on_bad = "ask": must be one of "error", "skip"'),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(rows, options, message):
    pd.DataFrame(rows).to_csv("mine/clips.csv", index=False)
    with pytest.raises(UserError, match=message):
        describe("mine/clips.csv", **options)
    with pytest.raises(MissingData, match="no such file"):
        describe("none.csv")
