"""Learning curves: the mean of the seeds, and a band from the lowest to the highest."""

import re

import pytest

from audiomtl.harness.report.html import curves


def points(drawing: str, class_: str) -> list[tuple[float, float]]:
    """Corners of the path of a class."""
    (path,) = [one for one in re.findall(r"<path[^>]*>", drawing) if f'class="{class_}"' in one]
    numbers = [float(one) for one in re.findall(r"-?\d+\.?\d*", re.search(r' d="([^"]*)"', path)[1])]  # type: ignore[index]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_the_band_holds_every_seed_and_the_line_is_their_mean() -> None:
    key = "validation/error_rate"
    seeds = {
        1: {key: [(1, 0.8), (2, 0.2)]},
        2: {key: [(1, 0.6), (2, 0.4)]},
        3: {key: [(1, 1.0)]},
    }  # one stopped
    (drawing,) = curves.drawings(seeds)
    line, band = points(drawing, "curve c1"), points(drawing, "band c1")
    assert len(line) == 2 and len(band) == 4
    unit = (line[1][1] - line[0][1]) / (0.8 - 0.3)  # means of epochs 1 and 2; upwards is less
    for (_, y), value in zip([*band[:2], *band[:1:-1]], [1.0, 0.4, 0.6, 0.2], strict=True):
        assert y - line[0][1] == pytest.approx(unit * (0.8 - value), abs=0.2)
    assert "mean over 3 seeds" in drawing and "error rate by epoch" in drawing


def test_one_seed_has_no_band() -> None:
    (drawing,) = curves.drawings({1: {"train/loss": [(1, 3.0), (2, 2.0)]}})
    assert "band" not in drawing and "curve c2 dashed" in drawing
