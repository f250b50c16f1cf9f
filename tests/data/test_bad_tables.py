"""Bad tables: each is refused in one line with its place, the value, the rule and the remedy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio
from audiomtl.data.datasets import manifest
from audiomtl.errors import UserError

GOOD = "path,label,speaker\na.wav,x,1\nb.wav,y,2\nc.wav,x,3\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings of 1 s."""
    place = tmp_path_factory.mktemp("tables")
    for number, name in enumerate("abc"):
        y = 0.1 * np.random.default_rng(number).standard_normal(8000)
        audio.save(place / f"{name}.wav", y.clip(-1, 1), sample_rate=8000)
    return place


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))


def message(table: str, **changes: Any) -> str:
    values = {
        "dataset": "manifest",
        "table": table,
        "label": "label",
        "groups": ["speaker"],
        "on_bad": "error",
    }
    with pytest.raises(UserError) as raised:
        manifest.clips(manifest.Settings(**{**values, **changes}), Path())
    text = str(raised.value)
    assert "\n" not in text and len(text) < 700, text
    return text


FILES = {  # name of the file, its content, what the message says
    "nothing": ("t.csv", b"", ["t.csv", "the table is empty", "write a row of column names"]),
    "blanks": ("t.csv", b" \n\n  \n", ["the table is empty"]),
    "byte order mark alone": ("t.csv", b"\xef\xbb\xbf", ["the table is empty"]),
    "header alone": ("t.csv", b"path,label,speaker\n", ["has a header (path, label, speaker) but no rows", "write a row per clip"]),
    "no header": ("t.csv", b"a.wav,x,1\nb.wav,y,2\n", ["has no header: its first row is a.wav, x, 1", "write the names of the columns above it"]),
    "no header, numbers": ("t.csv", b"1,2\n3,4\n", ["has no header", "path,label"]),
    "trailing commas": ("t.csv", b"path,label,speaker\na.wav,x,1,\nb.wav,y,2,\n", ["row 1 (and 2)", 'ends with "," after the last of the 3 columns', "remove the trailing separators"]),
    "one trailing comma": ("t.csv", GOOD.replace("y,2", "y,2,").encode(), ["row 2 ends with"]),
    "trailing comma in the header": ("t.csv", b"path,label,speaker,\na.wav,x,1,\n", ["column 4 of 4 has no name", "remove the column"]),
    "too few cells": ("t.csv", GOOD.replace("b.wav,y,2", "b.wav,y").encode(), ["row 2 has 2 cells, but the header has 3 columns", "leave empty cells empty"]),
    "too many cells": ("t.csv", GOOD.replace("y,2", "y, z,2").encode(), ["row 2 has 4 cells", "in quotes"]),
    "many ragged rows": ("t.csv", ("path,label,speaker\n" + "a.wav,x,1,2\n" * 9).encode(), ["row 1 (and 2, 3, 4 and 5 more)"]),
    "two columns of one name": ("t.csv", b"path,label,label\na.wav,x,1\n", ['columns 2 and 3 are both named "label"', "rename or remove one"]),
    "two names in two Unicode forms": ("t.csv", "path,Sänger,Sänger\na.wav,x,1\n".encode(), ["columns 2 and 3 are both named"]),
    "two names that differ in blanks": ("t.csv", b"path,label, label \na.wav,x,1\n", ["columns 2 and 3 are both named"]),
    "open quote": ("t.csv", b'path,label,speaker\na.wav,"x,1\nb.wav,y,2\n', ["a quotation mark is not closed", "double it"]),
    "text behind a quote": ("t.csv", b'path,label,speaker\na.wav,"x"y,1\n', ["a quotation mark"]),
    "Excel by name": ("t.xlsx", b"anything", ["is a spreadsheet", 'save the sheet as "CSV UTF-8"']),
    "Excel by content": ("t.csv", b"PK\x03\x04 and more", ["is a spreadsheet"]),
    "old Excel by content": ("t.csv", b"\xd0\xcf\x11\xe0 and more", ["is a spreadsheet"]),
    "LibreOffice": ("t.ods", b"anything", ["is a spreadsheet"]),
    "zero bytes": ("t.csv", b"path,label\n\0\0\1\2", ["contains zero bytes", "UTF-8"]),
    "broken UTF-16": ("t.csv", b"\xff\xfep\0a\0\0", ["is not UTF-16, which its first bytes announce"]),
    "broken UTF-8 with its mark": ("t.csv", b"\xef\xbb\xbfpath\xff,a\n", ["is not UTF-8, which its first bytes announce"]),
    "no Parquet": ("t.parquet", b"no parquet", ["cannot be read as CSV or Parquet"]),
    "JSON that is none": ("t.jsonl", b'{"path": "a.wav"}\n{"path"\n', ["t.jsonl line 2: is no JSON", "one object per line"]),
    "JSON without objects": ("t.jsonl", b"[1, 2]\n", ["t.jsonl line 1: [1, 2]: must be an object"]),
    "JSON without rows": ("t.jsonl", b"\n", ["the table has no rows"]),
    "no path": ("t.csv", b"wav,label,speaker\na.wav,x,1\n", ["needs a column path, array_path or embedding_path", "data.path_column names another"]),
    "no label": ("t.csv", b"path,lable,speaker\na.wav,x,1\n", ['data.label = "label": no such column; did you mean lable?', "it has path, lable, speaker"]),
    "no group": ("t.csv", b"path,label,singer\na.wav,x,1\n", ['data.groups = "speaker": no such column']),
}  # fmt: skip


@pytest.mark.parametrize("on_bad", ["error", "skip"])
def test_leaving_bad_rows_out_is_not_advised_where_none_would_be_left(folder, on_bad):
    (folder / "t.csv").write_text("path,label,speaker\ngone.wav,x,1\nlost.wav,y,2\n")
    text = message("t.csv", on_bad=on_bad)
    assert text.endswith("; fix them: none of the rows can be used") and "2 of 2 rows are bad" in text


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused(folder, case):
    name, content, parts = FILES[case]
    (folder / name).write_bytes(content)
    text = message(name)
    assert all(part in text for part in (name, *parts)), text


CELLS = {  # changed cells of the second row, what the message says
    "a path that is empty": ({"path": ""}, ["row 2: no file is named"]),
    "a file that is not there": ({"path": "gone.wav"}, ["row 2: ", "gone.wav: no such file", 'data.on_bad = "skip"']),
    "a folder": ({"path": "."}, ["row 2: ", "no such file"]),
    "the same file twice": ({"path": "a.wav"}, ["row 2: ", "a.wav is already in row 1"]),
    "an empty class": ({"label": " "}, ["row 2: b: no label"]),
    "an empty group": ({"speaker": "\u00a0"}, ["row 2: b: no speaker"]),
    "a class in another case": ({"label": "X"}, ['label: "X" (row 2) and "x" (row 1, row 3): probably one name', 'data.on_variants = "keep"']),
    "a class with another hyphen": ({"label": "hip-hop"}, ['"hip hop" (row 1) and "hip-hop" (row 2)'], {"label": "hip hop"}),
    "a group in another case": ({"speaker": "ANNA"}, ['speaker: "ANNA" (row 2) and "anna" (row 1)'], {"speaker": "anna"}),
    "a class of full width": ({"label": "ｘ"}, ["probably one name"]),
    "two numbers that are one": ({"speaker": "1.0"}, ['"1" (row 1) and "1.0" (row 2)'], {"speaker": "1"}),
    "two classes in a cell": ({"label": "x|y"}, ['"x|y" (row 2) looks like several classes in one cell', "a list of classes"]),
    "phones with commas": ({"phones": "a, b, c"}, ["row 2: b: phones:", "separated by ','", "separate them by blanks"]),
    "phones in one word with bars": ({"phones": "a|b|c"}, ['"a|b|c": is a single item']),
    "phones that are numbers": ({"phones": "[1, 2]"}, ["must be a list of texts, but has 1"]),
    "phones in an open list": ({"phones": '["a", "b"'}, ["is no list; write JSON"]),
    "phones as numpy prints them": ({"phones": "['a' 'b']"}, ["has no commas between its items"]),
    "phones cut short": ({"phones": "['a', ..., 'b']"}, ["is abbreviated, items are missing"]),
    "an empty phone": ({"phones": '["a", ""]'}, ["has an empty item"]),
    "phones in lists of lists": ({"phones": '[["a"]]'}, ["must be a list of texts"]),
    "times that are fewer": ({"phones": "a b", "starts": "0.1"}, ["2 phones, but 1 starts; they must have one length"]),
    "no times": ({"phones": "a b", "starts": ""}, ["phones without starts"]),
    "times that decrease": ({"phones": "a b", "starts": "0.5 0.1"}, ["starts: 0.1 after 0.5: must not decrease"]),
    "a negative time": ({"phones": "a b", "starts": "-1 0.1"}, ["starts: -1: times must be at least 0 s"]),
    "a time that is no number": ({"phones": "a b", "starts": "0 x"}, ['starts: "x": must be a number']),
    "a decimal comma": ({"phones": "a b", "starts": "0 0,5"}, ['"0,5": must be a number; use a decimal point']),
    "an infinite time": ({"phones": "a b", "starts": "0 inf"}, ["must be a finite number"]),
    "times in milliseconds": ({"phones": "a b", "starts": "0 500"}, ["starts reach 500.000 s, but the recording ends at 1.000 s", "another unit"]),
    "an end before its start": ({"phones": "a b", "starts": "0 0.5", "ends": "0.5 0.4"}, ["b from 0.5 to 0.4 s: must end after its start"]),
    "a note with a length": ({"notes": "[[0.5, 0.4, 60]]"}, ["must end after its start; is the second number a length?"]),
    "a note in Hz": ({"notes": "[[0.1, 0.4, 440]]"}, ["must be a whole MIDI number from 0 to 127", "69 + 12 log2"]),
    "two numbers of a note": ({"notes": "0.1 0.4"}, ["2 numbers: must be 3 per item, (onset, offset, MIDI pitch)"]),
    "a note behind the end": ({"notes": "0.1 1.4 60"}, ["notes reach 1.400 s, but the recording ends at 1.000 s"]),
    "a passage of three": ({"passages": "[[0.1, 0.2, 0.3]]"}, ["must be (onset, offset)"]),
    "an event without a class": ({"events": "[[0.1, 0.2]]"}, ["must be (onset, offset, class)"]),
    "an event whose class is a number": ({"events": "[[0.1, 0.2, 3]]"}, ["must be the class of an event, in quotes"]),
    "an event in a dict without its onset": ({"events": '[{"offset": 1, "label": "a"}]'}, ["has no onset"]),
}  # fmt: skip
# what the other rows have
OTHERS = {"phones": "a b", "starts": "0.1 0.2", "ends": "0.2 0.3", "notes": "0.1 0.2 60", "passages": "0.1 0.2", "events": '[[0.1, 0.2, "dog"]]'}  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", CELLS)
def test_a_bad_cell_is_refused(folder, case, kind):
    changed, parts, *first = CELLS[case]
    rows: list[dict[str, Any]] = [
        {"path": f"{name}.wav", "label": "x" if name != "b" else "y", "speaker": f"s {name}"}
        for name in "abc"
    ]
    for row in rows:
        row |= {
            name: OTHERS[name]
            for name in OTHERS
            if name in changed or (name == "starts" and "phones" in changed)
        }
    rows[1] |= changed
    rows[0] |= first[0] if first else {}
    table = pd.DataFrame(rows)
    table.to_csv("t.csv", index=False) if kind == "csv" else table.to_parquet("t.parquet")
    text = message(f"t.{kind}")
    assert all(part in text for part in (f"t.{kind}", *parts)), text


def test_numbers_are_no_classes(folder):
    Path("t.csv").write_text("path,label,speaker\na.wav,3.72,1\nb.wav,4.1,2\nc.wav,3.9,3\n")
    assert 'label: "3.72" and 2 others are numbers, not classes' in message("t.csv")


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"table": "none.csv"}, 'data.table = "none.csv": no such file in '),
        ({"path_column": "file"}, 'data.path_column = "file": no such column; it has path, label, speaker'),
        ({"path_column": "label"}, "there is also a column path; rename it"),
        ({"path_folder": "none"}, 'data.path_folder = "none": no such folder in '),
        ({"cells": {"phone": "symbols"}}, 'data.cells = "phone": no such column'),
        ({"cells": {"label": "times"}}, 'label: "x": must be a number'),
    ],
)
def test_settings_that_do_not_fit_the_table_are_refused(changes, part):
    Path("t.csv").write_text(GOOD)
    assert part in message(**{"table": "t.csv", **changes})


@pytest.mark.parametrize("cells", [json.dumps(["a", "b"]), "a b", "['a', 'b']"])
def test_what_is_not_bad_is_read(folder, cells):
    pd.DataFrame({"path": ["a.wav", "b.wav"], "phones": [cells, cells]}).to_csv("t.csv", index=False)
    data = manifest.Settings(dataset="manifest", table="t.csv", groups=[], on_bad="error")
    assert manifest.clips(data, folder)["phones"].tolist() == [["a", "b"]] * 2
