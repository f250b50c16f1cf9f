"""The line that says what was found, from a store that is filled by hand: no training."""

import pytest

from audiomtl.harness.report import summary
from tests.harness.report.conftest import Store


def fill(store: Store, *kinds: str) -> None:
    if "study" in kinds:
        store.parent()
        for number, score in enumerate((1.0, 0.45, 0.4)):
            store.trial(number, {"best/validation/error_rate": score}, "complete")
    for seed in (1, 2, 3) if "best" in kinds else ():
        store.best(seed, 0.3 + seed / 100, 0.4)
    for seed in (1, 2, 3) if "arm" in kinds else ():
        store.narrow(seed, 0.9 + seed / 100)


SWEEP = "validation/error_rate 1.0000 in trial 0, 0.4000 in trial 2"


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ((), ""),
        (("study",), f"tiny: {SWEEP}"),
        (("best",), "tiny: test/error_rate 0.3200 [0.2961, 0.3458] over 3 seeds"),
        (
            ("study", "best", "arm"),
            f"tiny: {SWEEP}; test/error_rate 0.3200 [0.2961, 0.3458] over 3 seeds; ablation narrow +0.5200 [+0.4952, +0.5448]",
        ),
    ],
)
def test_a_line_tells_sweep_best_runs_and_ablation_as_far_as_they_exist(store: Store, kinds, told) -> None:
    fill(store, *kinds)
    assert summary.lines(["tiny"]) == ([told] if told else [])


def test_a_study_that_did_not_beat_its_experiment_names_one_score(store: Store) -> None:
    store.parent()
    store.trial(0, {"best/validation/error_rate": 0.4}, "complete")
    store.trial(1, {"best/validation/error_rate": 0.5}, "complete")
    assert summary.lines(["tiny"]) == ["tiny: validation/error_rate 0.4000 in trial 0"]
