"""A study of every combination as a heat map."""

import math
from itertools import product
from types import SimpleNamespace
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from audiomtl.harness.record.runs import Swept
from audiomtl.harness.report import heat_map

SCALING, RATE, CLIP = "features.scaling", "optimizer.learning_rate", "optimizer.clipnorm"
VALUES: dict[str, list[str]] = {
    SCALING: ["none", "minmax"],
    RATE: ["0.1", "0.01", "0.001"],
    CLIP: ["0.0", "5.0"],
}


def study(paths: tuple[str, ...], *, less: int = 0, failed: int = 0, when: dict | None = None) -> Swept:
    """A study over some settings without its last trials; the first ones failed."""
    trials: dict[int, Any] = {}
    points = list(product(*(VALUES[path] for path in paths)))
    for number, point in enumerate(points[: len(points) - less]):
        data = SimpleNamespace(
            params=dict(zip(paths, point, strict=True)),
            metrics={"best/validation/error": number / 10},
            tags={"outcome": "failed" if number < failed else "complete"},
        )
        trials[number] = SimpleNamespace(data=data, info=SimpleNamespace(status="FINISHED"))
    swept = {path: when or {} for path in paths}
    return Swept("grid", "key", {"validation/error": "minimize"}, "", swept, trials, 0)


def test_fields_are_the_scores_of_their_values():
    grid = heat_map.grid_of(study((SCALING, RATE, CLIP), failed=1))
    assert grid.paths == (SCALING, CLIP, RATE)  # the most values lie along
    assert grid.values == (["minmax", "none"], [0.0, 5.0], [0.001, 0.01, 0.1])
    assert math.isnan(grid.scores[1, 0, 2])  # trial 0: none, 0.1, 0.0
    assert grid.scores[1, 1, 2] == 0.1 and grid.scores[0, 1, 0] == 1.1  # trials 1 and 11
    assert np.isfinite(grid.scores).sum() == 11
    assert heat_map.grid_of(study((SCALING, RATE))).scores.shape == (1, 2, 3)


@pytest.mark.parametrize(
    "swept",
    [
        study((SCALING,)),
        study((SCALING, RATE, CLIP), less=1),
        study((SCALING, RATE), when={"optimizer.name": ["sgd"]}),
        study((SCALING, RATE), less=6),
    ],
    ids=["one setting", "a combination lacks", "conditional", "no trial"],
)
def test_what_is_no_grid_has_no_map(swept, tmp_path):
    assert heat_map.grid_of(swept) is None and heat_map.part(swept, tmp_path) == []


@pytest.mark.parametrize("failed", [0, 3, 12])
def test_a_map_is_drawn_also_where_trials_failed(failed, tmp_path):
    [text] = heat_map.part(study((SCALING, RATE, CLIP), failed=failed), tmp_path)
    assert str(text) == "![Heat map of study grid](study_grid_heat_map.png)"
    picture = tmp_path / "study_grid_heat_map.png"
    assert matplotlib.image.imread(picture).std() > 0.05
    first = picture.read_bytes()
    heat_map.part(study((SCALING, RATE, CLIP), failed=failed), tmp_path)
    assert picture.read_bytes() == first
