"""Trainings of an experiment on every seed: what their runs hold, and that none is done twice unasked."""

from types import SimpleNamespace
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness.experiment import scores_beside


@pytest.mark.parametrize(
    ("scores", "metrics", "beside"),
    [
        (None, [{"test/boundary_median_ms": 9.0}] * 2, {"test/boundary_median_ms": [9.0, 9.0]}),
        (None, [{"test/boundary_median_ms": 9.0}, {}], {}),  # not of every run
        ({"boundary_median_ms": "minimize"}, [{"test/boundary_median_ms": 9.0}], {}),  # recorded already
        (None, [{"test/phone_error_rate": 0.1}], {}),
    ],
)
def test_scores_beside_the_recorded_ones_are_told_where_all_runs_have_them(
    scores: dict[str, str] | None, metrics: list[dict[str, float]], beside: dict[str, list[float]]
) -> None:
    raw = config.load_experiment("quickstart").raw
    file: Any = SimpleNamespace(raw=raw if scores is None else {**raw, "scores": scores})
    runs: Any = [SimpleNamespace(data=SimpleNamespace(metrics=one)) for one in metrics]
    assert scores_beside(file, runs) == beside


@pytest.mark.slow
def test_best_runs_are_kept_with_their_files_and_not_trained_again(project) -> None:
    project.run("best", "tiny", "--slots", "2")
    assert "2 trainings are already finished" in project.run("best", "tiny", "--record")
    # as [expected] has nothing to do with the training
    assert "all 4 recorded scores were reproduced bit for bit" in project.run(
        "best", "tiny", "--again", "--slots", "2"
    )
    runs = project.tracking().runs("tiny", "tags.kind = 'best'")
    assert len(runs) == 4
    assert sorted(run.data.tags["test_looks"] for run in runs) == ["1", "2", "3", "4"]
    files = {file.path for file in project.tracking().client.list_artifacts(runs[0].info.run_id)}
    assert {
        "settings.toml",
        "predictions_validation.parquet",
        "predictions_test.parquet",
        "learning_curves.png",
        "model",
    } <= files
