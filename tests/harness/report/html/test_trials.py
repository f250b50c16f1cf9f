"""Figures of the trials of a study."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from audiomtl.harness.record.runs import Swept
from audiomtl.harness.report.html import trials

RATE, UNITS = "optimizer.learning_rate", "network.units"
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.02, 0.05]


def study(logarithmic: frozenset[str]) -> Swept:
    """Seven trials over a rate and a number of units."""
    runs: dict[int, Any] = {}
    for number, rate in enumerate(RATES):
        data = SimpleNamespace(
            params={RATE: str(rate), UNITS: str(10 * (number + 1))},
            metrics={"best/validation/error": 0.9 - number / 10},
            tags={"outcome": "complete"},
        )
        runs[number] = SimpleNamespace(data=data, info=SimpleNamespace(status="FINISHED"))
    paths: dict[str, dict[str, list[Any]]] = {RATE: {}, UNITS: {}}
    return Swept("s", "key", {"validation/error": "minimize"}, "", paths, runs, 0, logarithmic)


def marks(drawing: str) -> list[float]:
    """Where the trials stand, from left to right, from 0 to 1."""
    found = sorted(float(x) for x in re.findall(r'<circle[^>]*cx="([\d.]+)"', drawing))
    return [(x - found[0]) / (found[-1] - found[0]) for x in found]


@pytest.mark.parametrize("logarithmic", [True, False])
def test_an_axis_is_as_its_setting_was_sampled(logarithmic):
    swept = study(frozenset({RATE}) if logarithmic else frozenset())
    lines, slices = trials.parallel_and_slices(swept, [RATE, UNITS])
    rate, units = slices.drawings
    middle = marks(rate)[RATES[:5].index(0.01)]  # three rates are smaller or equal: the third from the left
    assert middle == pytest.approx(0.5 if logarithmic else 9 / 99, abs=0.01)
    assert marks(units)[3] == pytest.approx(0.5, abs=0.01)
    for drawing in (rate, *lines.drawings):
        assert ("(log scale)" in drawing) is logarithmic
    assert "(log scale)" not in units
    assert slices.note == trials.SLICES_NOTE  # no trial was pruned: nothing of crosses
