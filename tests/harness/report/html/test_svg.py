"""Elements, scales and ticks of drawings."""

import math
from xml.etree import ElementTree

import pytest

from audiomtl.harness.report.html import svg


def test_texts_and_attributes_are_escaped() -> None:
    hard = "<script>a & 'b' \"c\"</script>"
    parts = [svg.text(1, 2.0, hard, data_name=hard), svg.path([(0, 0), (1, 1)], "curve", svg.title(hard))]
    whole = ElementTree.fromstring(svg.drawing(10, hard, parts))
    assert whole.attrib["aria-label"] == hard and whole[0].text == hard
    assert whole[0].attrib == {"x": "1", "y": "2", "text-anchor": "start", "data-name": hard}
    assert whole[1][0].text == hard


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.11, 0.13, False, [-0.1, -0.05, 0, 0.05, 0.1]),
        (3.0, 3.0004, False, [3.0, 3.0001, 3.0002, 3.0003, 3.0004]),
        (1, 60, False, [10, 20, 30, 40, 50, 60]),
        (1e-3, 0.09, True, [1e-3, 1e-2]),
        (2e-3, 1.1e-2, True, [2e-3, 5e-3, 1e-2]),
        (1e-8, 1.0, True, [1e-8, 1e-6, 1e-4, 1e-2, 1.0]),
        (1.2, 1.7, True, [1.2, 1.3, 1.4, 1.5, 1.6, 1.7]),
    ],
)
def test_ticks_are_round_and_lie_on_the_scale(
    low: float, high: float, log: bool, expected: list[float]
) -> None:
    scale = svg.Scale(low, high, 0, 100, log)
    assert svg.ticks(scale) == pytest.approx(expected)
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in expected)


def test_a_scale_holds_what_is_finite_and_is_never_without_width() -> None:
    assert svg.Scale.over([1.0, math.nan, 3.0, math.inf], 10, 20, margin=0.5)(2.0) == 15
    for values in ([], [0.0], [5.0, 5.0], [-1.0]):
        scale = svg.Scale.over(values, 0, 100)
        assert scale.low < scale.high and all(0 < scale(value) < 100 for value in values)
    scale = svg.Scale.over([1.0, 100.0], 0, 100, log=True, margin=0)
    assert scale(10.0) == pytest.approx(50)
    same = svg.Scale.over([0.1, 0.1], 0, 100, log=True)
    assert same.low < 0.1 < same.high


@pytest.mark.parametrize(("room", "expected"), [(100, "optimizer.rate"), (62, "optim…rate"), (1, "op…e")])
def test_what_is_too_long_loses_its_middle(room: float, expected: str) -> None:
    assert svg.shortened("optimizer.rate", room) == expected
