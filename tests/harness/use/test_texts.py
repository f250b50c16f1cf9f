"""Recordings with their texts: folders and tables, and what is wrong with them."""

from pathlib import Path

import pandas as pd
import pytest

from audiomtl.errors import UserError
from audiomtl.harness.use.texts import read, tasks


def _files(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def test_a_folder_has_a_text_beside_each_recording(tmp_path: Path, capsys) -> None:
    folder = _files(
        tmp_path / "corpus",
        {
            "b/two.WAV": "",
            "b/two.TXT": "\ufeffzwei Wörter\n",
            "a/one.flac": "",
            "a/one.txt": "not this",
            "a/one.lab": "eins",
            "a/timit.wav": "",
            "a/timit.txt": "0 46797 She had your dark suit.\n",
            "number.wav": "",
            "number.txt": "12 30",
            "alone.wav": "",
            "readme.txt": "no recording",
        },
    )
    found = {one.name: one.text for one in tasks(folder)}
    assert found == {
        "a/one": "eins",
        "a/timit": "She had your dark suit.",
        "b/two": "zwei Wörter",
        "number": "12 30",
    }
    assert "1 recordings without a text are left out" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_a_table_names_recordings_and_texts(tmp_path: Path, ending: str) -> None:
    elsewhere = tmp_path / "elsewhere" / "b.wav"
    rows = pd.DataFrame(
        {"path": ["in/b.wav", str(elsewhere)], "text": ["zwei, drei", "1"], "note": ["", "x"]}
    )
    place = tmp_path / "tables" / f"t.{ending}"
    place.parent.mkdir()
    if ending == "parquet":
        rows.to_parquet(place)
    else:
        rows.to_csv(place, index=False, sep=";" if ending == "csv" else "\t")
    found = sorted(tasks(place), key=lambda one: one.name)
    assert [(one.name, one.text) for one in found] == [("elsewhere/b", "1"), ("tables/in/b", "zwei, drei")]
    assert [one.path for one in found] == [elsewhere, place.parent / "in/b.wav"]
    rows.iloc[:1].to_csv(tmp_path / "tables" / "one.csv", index=False)
    assert [one.name for one in tasks(tmp_path / "tables" / "one.csv")] == ["in/b"]


@pytest.mark.parametrize(
    ("files", "source", "words"),
    [
        ({}, "nowhere", "nowhere: no such file or folder"),
        ({"d/a.txt": "x"}, "d", "d: no recordings in this folder; they end in .wav"),
        ({"d/a.wav": ""}, "d", "none of its 1 recordings has a text: a.lab or a.txt belongs beside a.wav"),
        ({"d/a.wav": "", "d/a.txt": b"\xff\xfe\x00"}, "d", "a.txt: cannot be read as text"),
        ({"d/a.wav": "", "d/a.lab": "0.0 0.5 a\n0.5 0.9 b\n"}, "d", "a.lab: holds times of labels"),
        ({"d/a.wav": "", "d/a.flac": "", "d/a.txt": "x"}, "d", "two recordings are called a"),
        ({"a.wav": ""}, "a.wav", "a.wav: TEXT is missing: give a text file, or the text in quotes"),
        ({"t.csv": "path,txt\na.wav,x\n"}, "t.csv", "no column text; did you mean txt?"),
        ({"t.csv": "file,text\na.wav,x\n"}, "t.csv", "no column path; it has file, text"),
        ({"t.csv": "path,text\na.wav,\n"}, "t.csv", "row 1 has no text"),
        ({"t.csv": "path,text\na.wav,x\n ,x\n"}, "t.csv", "row 2 has no path"),
        ({"t.csv": "path,text\n"}, "t.csv", "t.csv: has a header (path, text) but no rows"),
        ({"t.csv": "path,text\na.wav,x\na.wav,y\n"}, "t.csv", "two recordings are called a"),
        ({"t.parquet": "no parquet"}, "t.parquet", "cannot be read as CSV or Parquet"),
        ({"t.csv": b"path,text\n\xff\xfe\x00,x\n"}, "t.csv", "contains zero bytes, so it is no text"),
    ],
)
def test_what_cannot_be_aligned_is_refused_in_one_line(
    tmp_path: Path, files: dict[str, str | bytes], source: str, words: str
) -> None:
    _files(tmp_path, files)
    with pytest.raises(UserError) as caught:
        tasks(tmp_path / source)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_text_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as text"):
        read(tmp_path)
