"""The number of trials that a sampler needs, and the points of a grid."""

import pytest

from audiomtl.errors import UserError
from audiomtl.settings import budget
from audiomtl.settings.study import Dimension, Study

RAW = {"optimizer": {"name": "sgd", "momentum": 0.9, "clipnorm": 0.0}, "network": {"units": [4]}}
UNITS = {"choices": [[4], [8]]}
NAMES = {"choices": ["sgd", "adam"]}
MOMENTUM = {"low": 0.0, "high": 0.9, "step": 0.3, "when": {"optimizer.name": ["sgd"]}}
RATE = {"low": 0.1, "high": 1.0}


def study(search: dict, **changes) -> Study:
    keys = {
        "experiment": "one",
        "description": "A study.",
        "metric": "validation/accuracy",
        "direction": "maximize",
        "prune_on": "validation/accuracy",
        "prune_direction": "maximize",
        "prune_after_epochs": 1,
        "trials": 20,
        "sampler_seed": 1,
        "search": search,
    }
    return Study.model_validate({**keys, **changes})


@pytest.mark.parametrize(
    "dimension, values",
    [
        ({"choices": ["a", "b"]}, ["a", "b"]),
        ({"low": 1, "high": 3}, [1, 2, 3]),
        ({"low": 0.0, "high": 0.3, "step": 0.1}, [0.0, 0.1, 0.2, 0.3]),
        ({"low": 2, "high": 8, "step": 3}, [2, 5, 8]),
        ({"low": 0.0, "high": 1.0}, None),
        ({"low": 1, "high": 8, "log": True}, None),
    ],
)
def test_values_of_a_dimension(dimension, values):
    assert Dimension(**dimension).grid == values


def test_a_conditional_setting_multiplies_only_where_it_is_used():
    search = study(
        {"network.units": UNITS, "optimizer.name": NAMES, "optimizer.momentum": MOMENTUM},
        sampler="grid",
    ).search
    points = list(budget.points(search, RAW))
    assert len(points) == 2 * (4 + 1) and all(points.count(point) == 1 for point in points)
    assert {"network.units": [8], "optimizer.name": "adam"} in points
    assert {"network.units": [4], "optimizer.name": "sgd", "optimizer.momentum": 0.3} in points


@pytest.mark.parametrize(
    "search, changes, message",
    [
        ({"a.b": RATE}, {"trials": 19}, 'trials = 19: sampler = "tpe" needs at least 20 trials'),
        (
            {f"a.{i}": RATE for i in range(5)},
            {"trials": 24},
            "needs at least 25 trials, max(20, 5 for each of 5",
        ),
        (
            {"network.units": UNITS, "a.rate": RATE},
            {"sampler": "grid"},
            'search.a.rate: sampler = "grid" needs choices, whole numbers without log, or a step',
        ),
        (
            {"network.units": UNITS},
            {"sampler": "grid", "trials": 3},
            "trials = 3: must be at most 2, the number of combinations",
        ),
        (
            {f"a.{i}": {"low": 1, "high": 9} for i in range(5)},
            {"sampler": "grid", "trials": 3},
            "must have at most 10000 combinations",
        ),
    ],
)
def test_too_few_trials_or_no_grid_are_refused_with_a_line(search, changes, message):
    with pytest.raises(UserError) as refused:
        budget.checked(study(search, **changes), RAW, "studies/one.toml")
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "search, changes",
    [
        ({"a.b": RATE}, {"trials": 20}),
        ({f"a.{i}": RATE for i in range(5)}, {"trials": 25}),
        ({f"a.{i}": RATE for i in range(5)}, {"trials": 3, "sampler": "random"}),
        ({"network.units": UNITS}, {"trials": 2, "sampler": "grid"}),
    ],
)
def test_a_study_with_enough_trials_stays_as_it_is(search, changes):
    given = study(search, **changes)
    assert budget.checked(given, RAW, "studies/one.toml") == given


def test_a_grid_without_a_number_of_trials_tries_every_combination():
    given = study({"network.units": UNITS, "optimizer.name": NAMES}, sampler="grid", trials=1)
    assert budget.checked(given, RAW, "studies/one.toml", trials_given=False).trials == 4
