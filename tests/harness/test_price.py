"""Detectable differences: against printed power tables, and where more seeds cannot help."""

import math

import pytest

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
