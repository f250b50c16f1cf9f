"""Typed cells: every way to write a list gives the same value; what is ambiguous is refused (test_bad_tables)."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import cells
from audiomtl.errors import UserError

NOTES = [(0.5, 1.0, 60), (1.0, 2.5, 62)]


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        ("symbols", ["h a", " h  a ", '["h", "a"]', "['h', 'a']", "('h', 'a')", ["h", "a"], np.array(["h", "a"], object)], ["h", "a"]),
        ("symbols", ["ɔʏ̯ː", '["ɔʏ̯ː"]'], ["ɔʏ̯ː"]),
        ("symbols", ["e\u0301 a", ["e\u0301", "a"]], ["é", "a"]),
        ("symbols", ["1 2"], ["1", "2"]),
        ("words", ["yes, sir", ["yes,", "sir"]], ["yes,", "sir"]),
        ("times", ["0.5 1", "[0.5, 1]", [0.5, 1], np.array([0.5, 1.0])], [0.5, 1.0]),
        ("times", ["0.5", 0.5, "[0.5]", np.float32(0.5)], [0.5]),
        ("notes", ["0.5 1.0 60 1.0 2.5 62", "[[1.0, 2.5, 62], [0.5, 1, 60.0]]", NOTES, np.array(NOTES), [0.5, 1.0, 60.0, 1.0, 2.5, 62.0]], NOTES),
        ("notes", ['[{"onset": 0.5, "offset": 1, "pitch": 60}, {"start": 1, "end": 2.5, "midi": 62}]'], NOTES),
        ("notes", [[], "[]"], []),
        ("passages", ["0.5 1 2 3", "[[0.5, 1], [2, 3]]", "[(0.5, 1.0), (2.0, 3.0)]"], [(0.5, 1.0), (2.0, 3.0)]),
        ("events", ['[[0.5, 1, "big dog"]]', [(0.5, 1.0, "big dog")], [{"onset": 0.5, "offset": 1, "event_label": "big dog"}]], [(0.5, 1.0, "big dog")]),
        ("labels", ['["big dog", "cat"]', ["big dog", "cat"]], ["big dog", "cat"]),
        ("numbers", ["0.5 -1e3", "[0.5, -1000]"], [0.5, -1000.0]),
    ],
)  # fmt: skip
def test_all_ways_to_write_a_list_are_one_value(kind, written, value):
    for cell in written:
        found = cells.read(cell, kind)
        assert found == value and type(found[0] if found else None) is type(value[0] if value else None), cell


def test_remarks_in_a_column_called_notes_stay_texts():
    remarks = ["loud", None, "a dog barks"]
    assert cells.column(remarks, "notes", named=False) == (None, {})
    found, faults = cells.column(remarks, "notes", named=True)
    assert found == [None] * 3 and list(faults) == [0, 2]


def test_a_melody_by_frames_stays_as_it_is():
    assert cells.column([np.array([60, 61, 62]), None], "notes", named=False) == (None, {})


def test_what_lies_behind_the_end_by_rounding_is_moved_there():
    assert cells.within([0.1, 1.02], "times", 1.0) == [0.1, 1.0]
    assert cells.within([(0.1, 1.02, 60)], "notes", 1.0) == [(0.1, 1.0, 60)]
    assert cells.within([(1.0, 1.02, 60)], "notes", 1.0) == []
    assert cells.spans_faults({"notes": [(0.1, 1.04, 60)]}, 1.0) == ""
    assert cells.spans_faults({"notes": [(0.1, 9.0, 60)]}, float("nan")) == ""
    assert "notes reach 1.060 s" in cells.spans_faults({"notes": [(0.1, 1.06, 60)]}, 1.0)


def test_texts_where_lists_are_read_are_refused():
    table = pd.DataFrame({"clip_id": ["a", "b"], "said": [["h"], "h a"]})
    with pytest.raises(
        UserError, match=r'inputs.text: clip b: column said has the text "h a".*said = "symbols"'
    ):
        cells.refuse_texts(table, "said", "symbols", "inputs.text")
