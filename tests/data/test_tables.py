"""Tables of text in every common form are one table, and what was assumed is said."""

import datetime
import decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import tables

ROWS = [
    ["path", "label", "size"],
    ["Zoë, 1.wav", 'say "a"', "1.5"],
    ["b.wav", "NA", ""],
    ["c;d.wav", "", "-2"],
]
WANTED = {
    "path": ["Zoë, 1.wav", "b.wav", "c;d.wav"],
    "label": ['say "a"', "NA", np.nan],
    "size": [1.5, np.nan, -2.0],
}


def written(separator: str, end: str = "\n") -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if separator in text or '"' in text else text

    return "".join(separator.join(map(cell, row)) + end for row in ROWS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16 without a byte order mark"), ("cp1252", "Windows-1252 (Latin-1)")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("separator", "words"), [(",", ""), (";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_a_table_in_any_form_is_one_table(separator, words, encoding, said, end, tmp_path):
    (tmp_path / "t.csv").write_bytes(written(separator, end).encode(encoding))
    table, assumptions = tables.read(tmp_path / "t.csv", text=("path", "label"))
    pd.testing.assert_frame_equal(table, pd.DataFrame(WANTED))
    assert bool(words) + bool(said) == len(assumptions)
    assert all(word in " ".join(assumptions) for word in (words, said))


@pytest.mark.parametrize(
    ("text", "column", "values"),
    [
        ("path;size\na;1,5\nb;2\n", "size", [1.5, 2.0]),
        ("path;size\na;1,5\nb;2.5\n", "size", ["1,5", "2.5"]),
        ("path,size\na,2\n\nb,3\n  \n", "size", [2, 3]),
        ("sep=;\npath;size\na;2\n", "size", [2]),
        (",path\n0,a\n1,b\n", "path", ["a", "b"]),
        ("path\na.b\nc\n", "path", ["a.b", "c"]),
        (" path , size \na,1\n", "size", [1]),
        ("path,on\na,True\nb,False\n", "on", [True, False]),
        ("path,text\na,x;y;z\nb,u\n", "text", ["x;y;z", "u"]),
    ],
)
def test_forms_of_tables(text, column, values, tmp_path: Path):
    (tmp_path / "t.csv").write_text(text)
    assert tables.read(tmp_path / "t.csv").table[column].tolist() == values


def test_ids_stay_as_they_are_written_and_long_cells_are_read(tmp_path):
    long = "a " * 100_000
    (tmp_path / "t.csv").write_text(f"path,id,words\na,007,{long}\n")
    table = tables.read(tmp_path / "t.csv", text=("id",)).table
    assert table["id"].tolist() == ["007"] and len(table["words"][0]) == 200_000


def test_columns_and_index_of_parquet(tmp_path):
    table = pd.DataFrame({"path": ["a"], "phones": [["b", "c"]]}, index=pd.Index(["x"], name="clip_id"))
    table.to_parquet(tmp_path / "t.parquet")
    found = tables.read(tmp_path / "t.parquet").table
    assert found["clip_id"].tolist() == ["x"] and found["phones"][0].tolist() == ["b", "c"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        (pd.to_datetime(["2020-01-02", "2021-01-01"]), ["2020-01-02 00:00:00", "2021-01-01 00:00:00"]),
        ([datetime.date(2020, 1, 2), None], ["2020-01-02", None]),
        ([decimal.Decimal("1.50"), decimal.Decimal("2")], [1.5, 2.0]),
        (pd.array([1, 2], dtype="Int64"), [1, 2]),
        (pd.array([True, None], dtype="boolean"), [True, None]),
        (pd.array(["a", None], dtype="string"), ["a", None]),
        ([[{"onset": 1}], []], [[{"onset": 1}], []]),
    ],
)
def test_cells_of_parquet_are_plain(written, read, tmp_path):
    pd.DataFrame({"path": ["a", "b"], "cell": written, "sound": [b"1", b"2"]}).to_parquet(
        tmp_path / "t.parquet"
    )
    table, assumptions = tables.read(tmp_path / "t.parquet")
    found = [list(cell) if isinstance(cell, np.ndarray) else cell for cell in table["cell"]]
    assert found == read and [type(cell) for cell in found] == [type(cell) for cell in read]
    assert list(table.columns) == ["path", "cell"]
    assert assumptions == ("t.parquet: column sound has bytes, which are not read",)


def test_json_lines(tmp_path):
    lines = '{"path": "a", "id": "007", "phones": ["b"]}\n\n{"path": "c", "size": 1.5}\n'
    (tmp_path / "t.jsonl").write_text(lines)
    table = tables.read(tmp_path / "t.jsonl").table
    assert table["path"].tolist() == ["a", "c"] and table["id"][0] == "007" and table["phones"][0] == ["b"]
