"""Floors in reports: a score that is no better than its floor is marked and fails, unless acknowledged."""

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.report import floors
from tests.harness.report.conftest import Store

BY = {"floor_by/test/error_rate": "majority class"}
REFERENCE = """
[[reference]]
score = "test/error_rate"
number = 0.2
protocol = "another network, the same noise"
source = "A. Nobody, 2026"
comparable = false
why = "other noise"
"""


def fill(store: Store, floor: float) -> None:
    """Best runs with a mean error rate of 0.33."""
    for seed, test in ((1, 0.30), (2, 0.36), (3, 0.33)):
        run = store.best(seed, test, 0.4)
        store.tracking.add(run, {"floor/test/error_rate": floor}, BY)


@pytest.mark.parametrize(("floor", "fails"), [(0.5, False), (0.33, True), (0.2, True)])
def test_a_score_that_is_no_better_than_its_floor_is_marked_and_fails(
    store: Store, floor: float, fails: bool
) -> None:
    fill(store, floor)
    mark = " **not above its floor** |" if fails else ""  # a column that is empty in every row is left out
    assert f"| test/error_rate | 0.3300 | {floor:.4f} | majority class |{mark}\n" in store.write()
    found = floors.unacknowledged(["tiny"])
    assert bool(found) is fails
    if fails:
        assert f"test/error_rate 0.3300 is not above its floor {floor:.4f} (majority class)" in found[0]


def acknowledge(store: Store) -> None:
    path = store.project.folder / "experiments" / "tiny.toml"
    path.write_text('acknowledged = ["test/error_rate"]\n' + path.read_text())


def test_an_acknowledged_score_is_marked_and_passes(store: Store) -> None:
    acknowledge(store)
    fill(store, 0.2)
    assert "**not above its floor**, acknowledged" in store.write()
    assert floors.unacknowledged(["tiny"]) == []


def test_an_acknowledgement_that_is_no_longer_true_fails(store: Store) -> None:
    acknowledge(store)
    fill(store, 0.5)
    [fault] = floors.unacknowledged(["tiny"])
    assert "is above its floor 0.5000: remove it" in fault


def test_the_recorded_floor_stands_in_for_runs_without_one(store: Store) -> None:
    path = store.project.folder / "experiments" / "tiny.toml"
    text = '\n[expected.recorded]\nmachine = "m"\nseeds = [1]\n[expected."test/error_rate"]\n'
    path.write_text(path.read_text() + f"{text}mean = 0.4\nper_seed = [0.4]\nfloor = 0.3\n")
    assert len(floors.unacknowledged(["tiny"])) == 1


def test_published_figures_stand_beside_and_change_no_key(store: Store) -> None:
    path, before = store.project.folder / "experiments" / "tiny.toml", config.load_experiment("tiny")
    path.write_text(path.read_text() + REFERENCE)
    after = config.load_experiment("tiny")
    assert after.raw == before.raw
    fill(store, 0.5)
    line = "| test/error_rate | 0.2 | another network, the same noise | A. Nobody, 2026 | no: other noise |"
    assert line in store.write()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('acknowledged = ["test/error_rat"]\n', "did you mean test/error_rate"),
        ('acknowledged = ["chosen_on_all_fold"]\n', "did you mean chosen_on_all_folds"),
        ('acknowledged = "test/error_rate"\n', "must be a list of scores"),
        ("reference = 3\n", "must be tables"),
        (REFERENCE.replace("number = 0.2\n", ""), "reference[0].number is missing"),
        (REFERENCE.replace("false", '"no"'), "must be true or false"),
        (REFERENCE.replace("test/error_rate", "test/accuracy"), "reports no such score"),
    ],
)
def test_mistakes_are_told_in_one_line(store: Store, text: str, said: str) -> None:
    path = store.project.folder / "experiments" / "tiny.toml"
    path.write_text(f"{text}{path.read_text()}" if "[[" not in text else f"{path.read_text()}{text}")
    with pytest.raises(UserError) as error:
        config.load_experiment("tiny")
    assert said in str(error.value) and "\n" not in str(error.value)
