"""A table of mixed code says so."""

from types import SimpleNamespace
from typing import Any

from audiomtl.harness.report.origins import mixed


def recorded(name: str, **origin: Any) -> Any:
    raw = {"data": {"dataset": "made"}}
    return SimpleNamespace(name=name, raw=raw, expected={"recorded": origin})


def test_rows_that_were_not_recorded_alike_are_named() -> None:
    alike = [recorded("a", lock="1", machine="x"), recorded("b", lock="1", machine="x")]
    assert mixed(alike) == []
    assert mixed([*alike, recorded("c", machine="x")]) == []  # not recorded: nothing is known
    [line] = mixed([*alike, recorded("c", lock="2", machine="x")])
    assert line.endswith("(`requirements.lock`): 1: a, b; 2: c.")
    lines = mixed([recorded("a", lock="1", machine="x"), recorded("b", lock="2", machine="y")])
    assert ["packages" in lines[0], "processors: x: a; y: b." in lines[1]] == [True, True]


def test_a_short_table_counts_them() -> None:
    one, two = recorded("a", lock="1", machine="x"), recorded("b", lock="2", machine="y")
    assert mixed([one, one], short=True) == []
    assert mixed([one, two], short=True) == [
        "The rows of this table were not recorded alike: 2 versions of packages (`requirements.lock`); 2"
        " processors."
    ]


def test_different_data_of_one_data_set_and_changed_files_are_named() -> None:
    data = recorded("a", data={"table": "1"}), recorded("b", data={"table": "2"})
    [line] = mixed(data)
    assert line.endswith("versions of the data set made (table): 1: a; 2: b.")
    assert mixed([data[0], recorded("c", data={"table": "1", "weights": "3"})]) == []
    [line] = mixed([recorded("a", commit="1"), recorded("b", commit="1", dirty=True)])
    assert "different commits: 1: a; 1 with uncommitted changes: b." in line
