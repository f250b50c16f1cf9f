"""A table of one's own: everything that is wrong is said at once, and what is skipped is counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl.data import audio, catalog
from audiomtl.data.datasets import manifest
from audiomtl.errors import MissingData, UserError
from audiomtl.settings.clips import Manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with ``mine/`` of six recordings, one of them broken."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number in range(5):
        y = 0.1 * np.random.default_rng(number).standard_normal(8000 + 1000 * number)
        audio.save(tmp_path / "mine" / f"{number}.wav", y, sample_rate=8000)
    (tmp_path / "mine" / "broken.mp3").write_bytes(b"no sound at all" * 20)
    return tmp_path


def settings(**changes) -> Manifest:
    values = {"dataset": "manifest", "table": "mine/clips.csv", "label": "genre", "groups": ["artist"], "on_bad": "error"}
    return Manifest(**{**values, **changes})


def write(rows: dict, name: str = "mine/clips.csv") -> None:
    table = pd.DataFrame(rows)
    table.to_parquet(name) if name.endswith(".parquet") else table.to_csv(name, index=False)


def good() -> dict:
    return {"path": [f"{number}.wav" for number in (3, 0, 1)], "genre": ["rock", "jazz", "rock"], "artist": list("aab"), "year": [1, 2, 3]}


@pytest.mark.parametrize("name", ["mine/clips.csv", "mine/clips.parquet"])
def test_a_good_table_is_sorted_and_keeps_its_columns(folder, name):
    write(good(), name)
    table = manifest.clips(settings(table=name), folder)
    assert table["clip_id"].tolist() == ["0", "1", "3"] and table["year"].tolist() == [2, 3, 1]
    assert table["seconds"].tolist() == [1.0, 1.125, 1.375]
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in table["path"])
    assert catalog.clips(settings(table=name))["clip_id"].tolist() == ["0", "1", "3"]


def bad() -> dict:
    (Path("mine") / "copy.wav").write_bytes((Path("mine") / "0.wav").read_bytes())
    y, rate = soundfile.read("mine/4.wav")
    soundfile.write("mine/cut.flac", y, rate)
    Path("mine/cut.flac").write_bytes(Path("mine/cut.flac").read_bytes()[:4000])
    paths = ["0.wav", "1.wav", "gone.wav", "broken.mp3", "1.wav", "copy.wav", "2.wav", None, "3.wav", "cut.flac"]
    genres = ["rock", "jazz", "rock", "rock", "rock", "rock", None, "rock", "jazz", "rock"]
    ids = ["a", "b", "c", "d", "e", "f", "g", "h", "a", "i"]
    return {"clip_id": ids, "path": paths, "genre": genres, "artist": list("abcdefghij")}


def test_every_fault_is_listed_at_once_with_its_reason(folder):
    write(bad())
    with pytest.raises(UserError) as raised:
        manifest.clips(settings(), folder)
    text = str(raised.value)
    assert "8 of 10 rows are bad" in text and "\n" not in text
    for part in (
        "row 3: ",
        "gone.wav: no such file",
        "broken.mp3: cannot be read as sound",
        "1.wav stands in row 2 already",
        "copy.wav has the bytes of row 1",
        "row 7: g: no genre",
        "row 8: no file is named",
        "row 9: clip_id a is another file's, of row 1",
        "cut.flac",
    ):
        assert part in text, part


def test_bad_rows_can_be_skipped_and_are_counted(folder, capsys):
    write(bad())
    table = manifest.clips(settings(on_bad="skip"), folder)
    assert table["clip_id"].tolist() == ["a", "b"]
    assert table.attrs["left_out"] == {"doubled": 3, "empty": 1, "missing": 2, "unreadable": 2}
    assert "8 of 10 rows are bad" in capsys.readouterr().out


def test_nothing_but_bad_rows_is_refused_even_so(folder):
    write({"path": ["gone.wav"], "genre": ["rock"], "artist": ["a"]})
    with pytest.raises(UserError, match="1 of 1 rows are bad"):
        manifest.clips(settings(on_bad="skip"), folder)


def test_arrays_are_clips_too(folder):
    for number in range(3):
        np.save(folder / "mine" / f"{number}.npy", np.ones((4, 2), np.float32) * number)
    np.save(folder / "mine" / "flat.npy", np.ones(3))
    np.save(folder / "mine" / "nan.npy", np.full((2, 2), np.nan))
    (folder / "mine" / "text.npy").write_text("no array")
    names = ["0.npy", "1.npy", "2.npy", "flat.npy", "nan.npy", "text.npy"]
    write({"embedding_path": names, "genre": list("rjrjrj"), "artist": list("abcdef")})
    table = manifest.clips(settings(on_bad="skip"), folder)
    assert table["clip_id"].tolist() == ["0", "1", "2"] and table["seconds"].isna().all()
    assert table.attrs["left_out"] == {"unreadable": 3}
    assert all(path.endswith(".npy") and Path(path).is_absolute() for path in table["path"])


def test_the_key_of_the_data_does_not_depend_on_where_it_is(folder, tmp_path_factory, monkeypatch):
    write(good())
    first = catalog.fingerprint(manifest.clips(settings(), folder))
    other = tmp_path_factory.mktemp("elsewhere")
    (folder / "mine").rename(other / "mine")
    monkeypatch.chdir(other)
    assert catalog.fingerprint(manifest.clips(settings(), other)) == first


@pytest.mark.parametrize(
    "rows, changes, error, message",
    [
        (good(), {"table": "none.csv"}, MissingData, r'data.table = "none.csv": no such file'),
        (good(), {"label": "genres"}, UserError, r'data.label = "genres": no such column; did you mean genre'),
        (good(), {"groups": ["singer"]}, UserError, r'data.groups = "singer": no such column'),
        ({"file": ["a"], "genre": ["b"]}, {}, UserError, "needs a column path, array_path or embedding_path, but has file, genre"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, rows, changes, error, message):
    write(rows)
    with pytest.raises(error, match=message):
        manifest.clips(settings(**changes), folder)


def test_a_file_that_is_no_table_is_refused(folder):
    Path("mine/clips.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read as CSV or Parquet"):
        manifest.clips(settings(table="mine/clips.parquet"), folder)
