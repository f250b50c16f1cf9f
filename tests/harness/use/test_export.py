"""When two answers are the same. Exports themselves: ``test_predict`` and ``tests/families/test_contract``."""

import pytest

from audiomtl.harness.use.export import _near

CLASSES = [{"label": "a", "probability": 0.50000}, {"label": "b", "probability": 0.49999}]
SPANS = [{"start_seconds": 0.0, "end_seconds": 0.5, "label": "a", "score": None}]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (0.5, 0.5004, True),
        (0.5, 0.502, False),
        ({"x": CLASSES}, {"x": [{"label": "b", "probability": 0.5}, CLASSES[0]]}, True),  # a tie changes places
        ({"x": CLASSES}, {"x": [{"label": "c", "probability": 0.5}, CLASSES[0]]}, False),
        ({"x": SPANS}, {"x": [SPANS[0] | {"end_seconds": 0.50001}]}, True),
        ({"x": SPANS}, {"x": [SPANS[0] | {"label": "b"}]}, False),
        ({"x": SPANS}, {"x": []}, False),
        ({"x": SPANS}, {"y": SPANS}, False),
    ],
)  # fmt: skip
def test_answers_are_near(one, other, same) -> None:
    assert _near(one, other) is same
