"""Ablations, trained on every seed of the best runs and compared with them on test."""

import pytest

pytestmark = pytest.mark.slow


def test_ablations_are_paired_with_the_best_runs_on_test_clips_that_no_study_has_seen(project) -> None:
    """One split: its test side is never seen by a study. Each look is counted."""
    output = project.run("ablations", "tiny", "--slots", "2", COLUMNS="200")
    assert "same settings as the best run" in output  # [ablation.same]
    narrow = project.tracking().runs("tiny", "tags.kind = 'ablation'")
    assert sorted(run.data.tags["seed"] for run in narrow) == ["1", "2"]
    assert all("test/error_rate" in run.data.metrics for run in narrow)
    assert "evaluations on test so far, over all runs of tiny: 4" in output and "Bias" not in output
    assert {run.data.params["network.units"] for run in narrow} == {"4"}
    best = project.tracking().runs("tiny", "tags.kind = 'best'")
    assert sorted(run.data.tags["seed"] for run in best) == ["1", "2"]
    key = "test/error_rate"
    scores = [{run.data.tags["seed"]: run.data.metrics[key] for run in runs} for runs in (narrow, best)]
    difference = sum(scores[0][seed] - scores[1][seed] for seed in "12") / 2
    [line] = [line for line in output.splitlines() if " narrow " in line]
    assert f"{difference:+.4f}" in line
