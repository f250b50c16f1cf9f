"""Tables that MLflow's pages show: what `mlflow.log_table` would write, and once however often."""

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from audiomtl.harness.record import evaluation

TABLE = pd.DataFrame(
    {"clip_id": ["a", "ü|b"], "phones": [["x", "y"], []], "probability": [0.25, float("nan")]}
)


def test_a_table_is_that_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    number = client.create_experiment("one", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(number).info.run_id
    client.log_table(run, TABLE, "theirs.json")
    evaluation.write(TABLE, tmp_path / "ours.json")
    theirs = json.loads(Path(client.download_artifacts(run, "theirs.json", str(tmp_path))).read_text())
    assert json.loads((tmp_path / "ours.json").read_text()) == theirs
    assert client.get_run(run).data.tags[evaluation.TAG] == evaluation.tag(["theirs.json"])[evaluation.TAG]


def test_predictions_by_clip_become_tables_of_a_length_that_a_page_can_draw(tmp_path: Path) -> None:
    long = pd.DataFrame({"clip_id": [str(number) for number in range(evaluation.MOST_ROWS + 1)]})
    for name in ("predictions_test", "predictions_validation", "windows_test"):
        long.to_parquet(tmp_path / f"{name}.parquet")
    assert evaluation.of_predictions(tmp_path) == ["predictions_test.json", "predictions_validation.json"]
    data = json.loads((tmp_path / "predictions_test.json").read_text())["data"]
    assert len(data) == evaluation.MOST_ROWS and data[-1] == [str(evaluation.MOST_ROWS - 1)]
    assert evaluation.tag([]) == {}
