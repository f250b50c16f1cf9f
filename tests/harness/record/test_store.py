"""What MLflow may not do on its own; the project's store: whole after every kill, mended at start or told."""

import os
import subprocess
import sys

import pytest

from audiomtl.errors import StoreError, SurroundingsError
from audiomtl.harness.record.store import Tracking
from tests.harness.databases import run_dying, statements

# where one of them is set MLflow sends nothing
QUIET = (
    "PYTEST_CURRENT_TEST",
    "CI",
    "MLFLOW_DISABLE_TELEMETRY",
    "DO_NOT_TRACK",
)


def printed(code: str, **environment: str) -> list[str]:
    """Words that a new process prints whose environment says nothing of tests and telemetry."""
    clean = {name: value for name, value in os.environ.items() if name not in QUIET}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_mlflow_sends_no_telemetry():
    code = "from audiomtl.harness.record import store\nfrom mlflow.telemetry import client, utils\n"
    code += "print(utils.is_telemetry_disabled(), client.get_telemetry_client())"
    assert printed(code) == ["True", "None"]


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [({}, "true"), ({"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "false"}, "false")],
)
def test_child_processes_send_none_either_unless_the_user_has_chosen(chosen, kept):
    child = "import os; print(os.environ['MLFLOW_DISABLE_TELEMETRY'], os.environ['DO_NOT_TRACK'])"
    code = (
        f"import subprocess, sys\nimport audiomtl.harness\nsubprocess.run([sys.executable, '-c', {child!r}],"
        " check=True)"
    )
    assert printed(code, **chosen) == [kept, kept]


OPEN = "from audiomtl.harness.record.store import Tracking\nTracking()"
# as it was made until now: under its own name
MADE_IN_PLACE = "import mlflow\nmlflow.MlflowClient('sqlite:///mlflow.db').search_experiments()"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_RUNS", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def is_whole() -> bool:
    """Whether the store takes a run and gives it back."""
    tracking = Tracking()
    run = tracking.start("tiny", "a run", tags={}, description="")
    return [found.info.run_id for found in tracking.runs("tiny")] == [run]


@pytest.mark.parametrize("statement", [1, 60, 300, 700])
def test_a_kill_while_it_is_made_leaves_none_or_a_whole_one(runs, statement) -> None:
    run_dying(statement, OPEN)
    assert is_whole() and not list(runs.glob(".mlflow.db*"))


@pytest.mark.parametrize("statement", [2, 30, 200, 500])
def test_one_that_an_older_version_left_half_made_is_made_anew(runs, statement, monkeypatch, capsys) -> None:
    monkeypatch.chdir(runs)
    assert run_dying(statement, MADE_IN_PLACE)
    assert is_whole()
    assert capsys.readouterr().err.count("cut off before this database was complete") <= 1


def test_one_of_another_version_that_has_runs_is_told_and_left_alone(runs) -> None:
    assert is_whole()
    before = (runs / "mlflow.db").read_bytes()
    for revision, words in (("451aebb31d03", "written by an older MLflow"), ("f00", "by a newer MLflow")):
        statements(runs / "mlflow.db", f"update alembic_version set version_num = '{revision}'")
        with pytest.raises(StoreError, match=words):
            Tracking()
    assert len((runs / "mlflow.db").read_bytes()) >= len(before)


def test_a_damaged_one_is_told(runs) -> None:
    (runs / "mlflow.db").write_bytes(b"no database " * 1000)
    with pytest.raises(
        StoreError, match=r"^runs/mlflow.db: the file is damaged .*: restore it from a backup"
    ):
        Tracking()


def test_a_file_where_runs_should_be_is_told(runs) -> None:
    runs.rmdir()
    runs.write_text("")
    with pytest.raises(SurroundingsError, match="runs: a file stands where a folder belongs"):
        Tracking()


def test_an_experiment_that_was_deleted_in_the_page_is_restored_with_its_runs(runs, capsys) -> None:
    tracking = Tracking()
    run = tracking.start("tiny", "a run", tags={"kind": "trial"}, description="")
    tracking.client.delete_experiment(tracking.client.get_experiment_by_name("tiny").experiment_id)
    assert tracking.runs("tiny") == []
    tracking.reap("tiny", set())
    assert [found.info.run_id for found in tracking.runs("tiny")] == [run]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "MLflow experiment tiny was deleted and has been restored" in said
    tracking.start("tiny", "another run", tags={}, description="")


def test_names_of_runs_are_unique_in_an_experiment(runs) -> None:
    tracking = Tracking()
    names = ["best seed 1", "best seed 1", "best seed 10", "it's", "it's", "best seed 1"]
    started = [tracking.start("tiny", name, tags={}, description="") for name in names]
    started.append(tracking.start("other", "best seed 1", tags={}, description=""))
    assert [tracking.client.get_run(run).info.run_name for run in started] == [
        *("best seed 1", "best seed 1 (2)", "best seed 10", "it's", "it's (2)", "best seed 1 (3)"),
        "best seed 1",
    ]


@pytest.mark.parametrize("used", [False, True])
def test_the_default_experiment_of_mlflow_is_put_away_unless_it_has_runs(used, runs) -> None:
    tracking = Tracking()
    if used:
        tracking.client.create_run("0")
    tracking.start("tiny", "a run", tags={}, description="")
    listed = [one.name for one in tracking.client.search_experiments()]
    assert sorted(listed) == (["Default", "tiny"] if used else ["tiny"])
    assert Tracking().client.search_experiments()  # opened again, it is not made anew
