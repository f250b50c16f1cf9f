"""`audiomtl new`: a table of one's own becomes an experiment and a study that are valid as they are."""

from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness import new


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(columns: str, name: str = "my.csv") -> str:
    Path(name).write_text(columns + "\n" + ",".join("x" for _ in columns.split(",")) + "\n")
    return name


@pytest.mark.parametrize(
    "columns, groups, expected",
    [
        ("path,label", "", {"groups": [], "kind": "split", "column": "", "window": "answer"}),
        (
            "path,label,artist,mood",
            "",
            {"groups": ["artist"], "kind": "split", "column": "", "window": "answer"},
        ),
        (
            "path,label,artist,mood",
            "mood, artist",
            {"groups": ["mood", "artist"], "kind": "split", "column": "", "window": "answer"},
        ),
        (
            "path,label,song,fold",
            "",
            {"groups": ["song"], "kind": "folds", "column": "fold", "window": "answer"},
        ),
        ("embedding_path,label", "", {"groups": [], "kind": "split", "column": "", "window": "embedding"}),
    ],
)
def test_files_are_valid_and_fit_the_table(columns, groups, expected):
    experiment, study = new.write("mine", model="mil", table=table(columns), groups=groups)
    raw = config.load_study("mine").raw
    assert raw["data"] == {
        "dataset": "manifest",
        "table": "my.csv",
        "label": "label",
        "groups": expected["groups"],
        "on_bad": "error",
    }
    assert [raw["protocol"]["kind"], raw["protocol"]["column"], raw["network"]["window"]] == [
        expected["kind"],
        expected["column"],
        expected["window"],
    ]
    assert "@" not in experiment.read_text() + study.read_text()


@pytest.mark.parametrize(
    ("columns", "kind", "arms"), [("path,label,artist", "yamnet", 3), ("embedding_path,label", "stored", 2)]
)
def test_a_transfer_experiment_fits_the_table(columns, kind, arms):
    experiment, study = new.write("mine", model="transfer", table=table(columns))
    file = config.load_experiment("mine")
    assert file.raw["extractor"]["kind"] == kind and len(file.ablations) == arms
    assert "@" not in experiment.read_text() + study.read_text()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": "mill"}, "--model mill: no template; did you mean mil"),
        ({"label": "lable"}, "my.csv: has no column lable; did you mean label"),
        ({"groups": "singer"}, "my.csv: has no column singer"),
        ({"table": "none.csv"}, "--data none.csv: cannot be read"),
        ({"name": "a b"}, "a b: an experiment name"),
    ],
)
def test_mistakes_are_refused_and_nothing_is_written(change, message):
    table("path,label")
    with pytest.raises(UserError, match=message):
        new.write(**{"name": "mine", "model": "mil", "table": "my.csv", **change})
    assert not list(Path().glob("*/*.toml"))


def test_a_file_that_is_there_is_kept():
    new.write("mine", model="mil", table=table("path,label"))
    Path("studies/mine.toml").unlink()
    with pytest.raises(UserError, match=r"experiments/mine.toml: already exists"):
        new.write("mine", model="mil", table="my.csv")


def test_a_table_without_files_is_refused():
    with pytest.raises(UserError, match="needs a column path, array_path or embedding_path"):
        new.write("mine", model="mil", table=table("file,label"))
