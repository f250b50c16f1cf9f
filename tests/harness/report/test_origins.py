"""A table of mixed code says so."""

from types import SimpleNamespace
from typing import Any

from audiomtl.harness.report.origins import mixed


def recorded(name: str, **origin: str) -> Any:
    return SimpleNamespace(name=name, expected={"recorded": origin})


def test_rows_that_were_not_recorded_alike_are_named() -> None:
    alike = [recorded("a", lock="1", machine="x"), recorded("b", lock="1", machine="x")]
    assert mixed(alike) == []
    assert mixed([*alike, recorded("c", machine="x")]) == []  # not recorded: nothing is known
    [line] = mixed([*alike, recorded("c", lock="2", machine="x")])
    assert line.endswith("(`requirements.lock`): 1: a, b; 2: c.")
    lines = mixed([recorded("a", lock="1", machine="x"), recorded("b", lock="2", machine="y")])
    assert ["packages" in lines[0], "processors: x: a; y: b." in lines[1]] == [True, True]
