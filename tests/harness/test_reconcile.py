"""One of the two stores was lost; a folder with an odd name; a tracking server with a password. Real studies."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from audiomtl.harness.record.store import Tracking
from tests.harness.conftest import Project
from tests.harness.databases import dump

pytestmark = pytest.mark.slow
PASSWORD = "s3cretpassw0rd"


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def test_a_study_whose_optuna_database_was_lost_takes_known_scores_from_mlflow(project, whole_study) -> None:
    project.run("study", "tiny", "--slots", "1")
    remove(project.runs / "optuna.db")
    said = project.run("study", "tiny", "--slots", "1")
    complete = [number for number, state, *_ in whole_study if state == "COMPLETE"]
    assert all(f"trial {number}: " in said and "copied from trial" in said for number in complete)
    assert project.summary() == whole_study


@pytest.mark.faults
def test_a_study_whose_mlflow_database_was_lost_says_so_and_keeps_its_trials(project, whole_study) -> None:
    project.run("study", "tiny", "--slots", "1")
    remove(project.runs / "mlflow.db")
    said = project.run("study", "tiny", "--slots", "1")
    assert "5 trials done" in said and "5 of 5 finished trials have no run in MLflow" in said
    assert project.summary() == whole_study
    project.run("promote", "tiny")


@pytest.mark.faults
def test_a_study_in_a_folder_with_an_odd_name_that_is_moved(tmp_path, monkeypatch, whole_study) -> None:
    project = Project(tmp_path / "my 100% ümlaut? #1 & 'more'", monkeypatch)
    project.run("study", "tiny", "--slots", "1")
    project.run("best", "tiny", "--record")
    assert project.summary() == whole_study
    files = {path.relative_to(project.runs) for path in project.runs.glob("artifacts/**/*.parquet")}
    assert files and [path.name for path in tmp_path.iterdir()] == [project.folder.name]
    moved = tmp_path / "moved"
    project.folder.rename(moved)
    project.folder = moved
    monkeypatch.chdir(moved)
    project.use_runs(moved / "runs")
    said = project.run("best", "tiny")
    assert "moved or copied from" in said and "2 trainings are already finished" in said
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]


class Pages:
    """A real MLflow server on 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://me:{PASSWORD}@127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=60):
                    return
            except OSError:
                time.sleep(0.2)

    def stop(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def pages(tmp_path) -> Iterator[Pages]:
    (tmp_path / "server").mkdir()
    server = Pages(tmp_path / "server")
    yield server
    server.stop()


@pytest.mark.faults
def test_a_password_stands_nowhere_and_a_server_that_dies_pauses_the_study(
    project, pages, monkeypatch, whole_study
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", pages.url)
    process = project.start("study", "tiny", "--slots", "1")
    assert process.stdout
    output = ""
    while "trial 0: " not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    pages.stop()
    output += process.communicate()[0]
    said = [output]
    assert process.returncode == 1 and "Traceback" not in output
    assert output.splitlines()[-1].startswith(
        f"audiomtl: http://me:***@127.0.0.1:{pages.port}: no answer from"
    )
    pages.start()
    said.append(project.run("study", "tiny", "--slots", "1"))
    assert project.summary() == whole_study
    monkeypatch.setenv("MLFLOW_TRACKING_URI", pages.url)
    said += [project.run("best", "tiny"), project.run("report"), project.run("ui")]
    tracking = Tracking()
    run = tracking.start("tiny", pages.url, tags={"reason": pages.url}, description=pages.url)
    tracking.close(run, "FAILED", f"no answer from {pages.url}")
    assert f"all runs: http://127.0.0.1:{pages.port}/" in said[-1]
    texts = ["\n".join(said), "\n".join(dump(pages.folder / "mlflow.db"))]
    for folder in (project.folder, pages.folder):
        texts += [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]
    assert len(texts) > 40 and not [text[:200] for text in texts if PASSWORD in text]
