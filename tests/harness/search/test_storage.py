"""Optuna's storage: whole after every kill, faults in one line."""

import os
import sqlite3
import threading
from pathlib import Path

import optuna
import pytest

from audiomtl.errors import StoreError
from audiomtl.harness import database
from audiomtl.harness.search import storage
from audiomtl.harness.search.storage import open_storage
from tests import warm
from tests.harness.databases import run_dying, statements
from tests.harness.test_database import ODD
from tests.services.postgres import Postgres

OPEN = "from audiomtl.harness.search.storage import open_storage\nopen_storage()"
# as it was made until now: under its own name
MADE_IN_PLACE = "import optuna\noptuna.storages.RDBStorage('sqlite:///optuna.db')"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDIOMTL_RUNS", str(folder))
    monkeypatch.delenv("AUDIOMTL_STORAGE", raising=False)
    return folder


def ask(url: str = "") -> int:
    """Number of the next trial of one study."""
    found = open_storage(url)
    study = optuna.create_study(storage=found, study_name="a", load_if_exists=True)
    number = study.ask().number
    close(found)
    return number


def close(found: optuna.storages.RDBStorage) -> None:
    """Give its connections back."""
    found.remove_session()
    found.engine.dispose()


@pytest.mark.parametrize("statement", [1, 9, 21, 30, 34, 40])
def test_a_kill_while_it_is_made_leaves_none_or_a_whole_one(runs, statement) -> None:
    run_dying(statement, OPEN)
    assert ask() == 0
    assert ask() == 1
    assert not list(runs.glob(".optuna.db*"))


@pytest.mark.parametrize("statement", [2, 17, 26, 31])
def test_one_that_an_older_version_left_half_made_is_made_anew(runs, statement, monkeypatch, capsys) -> None:
    monkeypatch.chdir(runs)
    assert run_dying(statement, MADE_IN_PLACE)
    assert ask() == 0
    assert capsys.readouterr().err.count("cut off before this database was complete") <= 1


def test_trials_are_kept_when_it_is_opened_again(runs) -> None:
    assert [ask() for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("name", ODD)
def test_it_opens_in_a_folder_of_any_name(tmp_path, name, monkeypatch) -> None:
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path / name))
    assert [ask(), ask()] == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert ask(database.sqlite_url(tmp_path / name / "other.db")) == 0


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "nonsense: not the URL of a database"),
        ("foo://me:s3cretpw@host/db", "foo://me:***@host/db: no such kind of database or no driver"),
        ("mysql://me:s3cretpw@host/db", "mysql://me:***@host/db: the driver is missing (No module named"),
        ("postgresql+psycopg2://me:s3cretpw@host/db", "run `pip install 'audiomtl[postgres]'` and begin the URL with"),
        ("sqlite:////proc/x/optuna.db", "check the path"),
    ],
)  # fmt: skip
def test_a_storage_that_cannot_be_is_told_in_one_line(runs, url, words) -> None:
    with pytest.raises(StoreError) as caught:
        open_storage(url)
    assert words in str(caught.value) and "s3cretpw" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_server_is_told_at_once(runs) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        StoreError, match=r"me:\*\*\*@127.0.0.1:1/db: no connection to the server \(Connection"
    ):
        open_storage("postgresql+psycopg://me:s3cretpw@127.0.0.1:1/db")


def test_a_storage_of_another_version_is_told_and_left_alone(runs) -> None:
    ask()
    path = runs / "optuna.db"
    for revision, words in (("v2.6.0.a", "written by an older Optuna"), ("v99", "by a newer Optuna")):
        statements(path, f"update alembic_version set version_num = '{revision}'")
        with pytest.raises(StoreError, match=words):
            open_storage()


def test_mlflow_s_database_is_not_taken(runs) -> None:
    from audiomtl.harness.record.store import Tracking

    Tracking()
    before = (runs / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_storage(database.sqlite_url(runs / "mlflow.db"))
    assert (runs / "mlflow.db").read_bytes() == before


def test_eight_processes_open_none_at_once(runs) -> None:
    environment = {**os.environ, "PYTHONPATH": warm.CODE}
    all_at_once = [warm.start([], Path.cwd(), environment, OPEN) for _ in range(8)]
    assert [process.communicate()[0] for process in all_at_once] == [""] * 8
    assert {process.returncode for process in all_at_once} == {0}


def test_a_locked_storage_is_told(runs, monkeypatch) -> None:
    ask()
    monkeypatch.setattr(storage, "LOCKED_SECONDS", 0)
    found = open_storage()
    holder = sqlite3.connect(runs / "optuna.db", isolation_level=None)
    holder.execute("begin exclusive")
    with pytest.raises(StoreError, match=r"^runs/optuna.db: another program keeps it locked"):
        optuna.create_study(storage=found, study_name="b")
    holder.close()
    close(found)


class TestServer:
    """On PostgreSQL."""

    @pytest.mark.parametrize(
        ("name", "password", "words"),
        [
            ("optuna", "wr0ngpassw0rd", "password authentication failed .*: check user and password in its URL"),
            ("nowhere", None, 'database "nowhere" does not exist: create it, or correct the URL'),
        ],
    )  # fmt: skip
    def test_what_it_refuses_is_told(self, runs, password_server: Postgres, name, password, words) -> None:
        url = password_server.url(name, password)
        with pytest.raises(StoreError, match=words) as caught:
            open_storage(url)
        assert "passw0rd" not in str(caught.value)

    def test_it_may_be_away_for_a_while_and_nothing_is_lost(
        self, runs, password_server: Postgres, monkeypatch
    ) -> None:
        monkeypatch.setattr(database, "OUTAGE_SECONDS", 600.0)  # a loaded machine starts it slowly
        found = open_storage(password_server.url("optuna"))
        study = optuna.create_study(storage=found, study_name="away")
        assert study.ask().number == 0
        password_server.stop()
        asked: list[int] = []
        asking = threading.Thread(target=lambda: asked.append(study.ask().number))
        asking.start()
        password_server.start()  # by this thread: a server ends with the thread that started it
        asking.join()
        assert asked == [1]
        close(found)

    def test_one_that_stays_away_is_told(self, runs, password_server: Postgres, monkeypatch) -> None:
        monkeypatch.setattr(database, "OUTAGE_SECONDS", 0.0)
        found = open_storage(password_server.url("optuna"))
        study = optuna.create_study(storage=found, study_name="gone")
        password_server.stop()
        with pytest.raises(StoreError, match="no connection to the server") as caught:
            study.ask()
        password_server.start()
        assert "passw0rd" not in str(caught.value)
        close(found)
