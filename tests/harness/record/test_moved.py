"""A folder of runs that was moved or copied."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from audiomtl.harness.record.store import Tracking
from tests.harness.test_database import ODD


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Where runs are from now on."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def chosen(name: str) -> Path:
        folder = tmp_path / name / "runs"
        monkeypatch.setenv("AUDIOMTL_RUNS", str(folder))
        _artifact_repos_cache.clear()  # MLflow's memory of the places, which ends with the process
        return folder

    return chosen


def log(tracking: Tracking, run: str, name: str) -> None:
    path = Path(f"{name}.txt")
    path.write_text(name)
    tracking.client.log_artifact(run, str(path))


def read(tracking: Tracking, run: str) -> dict[str, str]:
    return {
        entry.path: Path(tracking.client.download_artifacts(run, entry.path)).read_text()
        for entry in tracking.client.list_artifacts(run)
    }


def places(folder: Path) -> set[str]:
    with sqlite3.connect(folder / "mlflow.db") as store:
        return {
            place
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"), ("model_versions", "source"), ("model_versions", "storage_location"))
            for (place,) in store.execute(f"select {column} from {table} where {column} is not null")
        }  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_project_may_move_to_a_folder_of_any_name(use, name, tmp_path, capsys) -> None:
    old = use("here")
    tracking = Tracking()
    run = tracking.start("tiny", "a run", tags={}, description="")
    log(tracking, run, "before")
    new = use(name)
    new.parent.mkdir()
    shutil.move(old, new)
    tracking = Tracking()
    assert f"moved or copied from {old}" in capsys.readouterr().err
    log(tracking, run, "after")
    other = tracking.start("tiny", "another run", tags={}, description="")
    log(tracking, other, "new")
    assert read(tracking, run) == {"before.txt": "before", "after.txt": "after"}
    assert read(tracking, other) == {"new.txt": "new"}
    assert not old.exists() and len(list(new.glob("artifacts/tiny/*/artifacts/*.txt"))) == 3
    Tracking()
    assert capsys.readouterr().err == ""  # once
    assert {entry.name for entry in tmp_path.iterdir() if entry.is_dir()} == {"here", name}


def test_a_copy_writes_into_itself_and_the_original_stays(use) -> None:
    old = use("original")
    tracking = Tracking()
    run = tracking.start("tiny", "a run", tags={}, description="")
    log(tracking, run, "shared")
    new = use("copy")
    shutil.copytree(old, new)
    files = sorted(path.name for path in old.rglob("*.txt"))
    log(Tracking(), run, "own")
    assert sorted(path.name for path in old.rglob("*.txt")) == files
    assert all("/copy/runs/" in place for place in places(new) if "/tiny" in place)
    assert not any("/copy/runs/" in place for place in places(old))


def test_models_move_and_what_lies_elsewhere_stays(use, tmp_path) -> None:
    old = use("here")
    tracking = Tracking()
    run = tracking.start("tiny", "a run", tags={}, description="")
    elsewhere = tmp_path / "elsewhere"
    tracking.client.create_experiment("other", artifact_location=elsewhere.as_uri())
    tracking.client.create_registered_model("model")
    place = (old / "artifacts" / "tiny" / run / "artifacts" / "model").as_uri()
    tracking.client.create_model_version("model", place, run_id=run)
    new = use("there")
    new.parent.mkdir()
    shutil.move(old, new)
    tracking = Tracking()
    found = places(new)
    assert elsewhere.as_uri() in found and "s3://" not in str(found)
    assert not any("/here/" in place for place in found)
    moved = (new / "artifacts" / "tiny" / run / "artifacts" / "model").as_uri()
    assert tracking.client.get_model_version("model", "1").source == moved


def test_another_database_than_the_project_s_own_is_left_alone(use, tmp_path, monkeypatch) -> None:
    use("here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/shared.db")
    run = Tracking().start("tiny", "a run", tags={}, description="")
    place = Tracking().client.get_run(run).info.artifact_uri
    use("there")
    assert Tracking().client.get_run(run).info.artifact_uri == place
