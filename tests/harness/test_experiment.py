"""Trainings of an experiment on every seed: what their runs hold, and that none is done twice unasked."""

import pytest

pytestmark = pytest.mark.slow


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
