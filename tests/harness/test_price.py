"""Detectable differences: against printed power tables, and where more seeds cannot help."""

import math

import pytest

from audiomtl.harness import price
from audiomtl.harness.price import Design, detectable, seeds_needed


@pytest.mark.parametrize(
    # paired t test, 80 % power, two-sided 5 %: n = 34, 15 and 10 for effects of 0.5, 0.78 and 1 standard
    # deviation (Cohen, Statistical Power Analysis, 1988, table 2.4, and G*Power)
    ("count", "effect"),
    [(34, 0.5), (15, 0.78), (10, 1.0)],
)
def test_the_detectable_difference_is_that_of_power_tables(count: int, effect: float) -> None:
    assert detectable(1 / math.sqrt(count), count - 1) == pytest.approx(effect, rel=0.02)


def test_no_spread_detects_everything() -> None:
    assert detectable(0.0, 3) == 0.0


def test_more_seeds_help_until_the_folds_are_the_limit() -> None:
    design = Design(folds=5, seeds=1, between=0.01, within=0.05, source="made")
    assert design.detectable(1) > design.detectable(4) > design.detectable(100)
    assert seeds_needed(design, 0.04) is not None
    assert seeds_needed(design, 0.01) is None  # 0.01 / sqrt(5) alone gives 0.017


def test_seeds_of_one_fold_are_the_replicates() -> None:
    design = Design(folds=1, seeds=5, between=0.0, within=0.02, source="made")
    assert math.isnan(design.detectable(1))
    assert design.detectable(20) < design.detectable(5)
    assert seeds_needed(design, 0.02) == 10  # as in the tables: one standard deviation


def told(monkeypatch: pytest.MonkeyPatch, design: Design, minutes_each: float = 2.0) -> list[str]:
    monkeypatch.setattr(price, "design_of", lambda *_: design)
    monkeypatch.setattr(price.experiment, "main_score", lambda _: "accuracy")
    return price._told(None, [], minutes_each)  # type: ignore[arg-type]


def test_equal_scores_tell_no_detectable_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = told(monkeypatch, Design(folds=4, seeds=2, between=0.0, within=0.0, source="[expected]"))
    assert line.startswith("detectable difference in accuracy: unknown, all recorded values are equal")
    assert "0.000" not in line


def test_one_seed_per_fold_has_a_least_price(monkeypatch: pytest.MonkeyPatch) -> None:
    design = Design(folds=4, seeds=1, between=0.03, within=0.0, source="made")
    needed = seeds_needed(Design(folds=4, seeds=1, between=0.0, within=0.03, source="made"), 0.02)
    _, least, why = told(monkeypatch, design)
    further = 4 * (needed - 1)
    assert f"0.02 would need at least {needed} seeds per fold: {further} further trainings" in least
    assert price.terminal.minutes(60 * 2 * further * 2.0) in least  # best run and ablation, 2 minutes each
    assert "4 further trainings each" in why and price.terminal.minutes(60 * 2 * 4 * 2.0) in why
    _, least, _ = told(monkeypatch, Design(folds=4, seeds=1, between=3.0, within=0.0, source="made"))
    assert "more than 100 seeds per fold" in least
