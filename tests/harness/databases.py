"""Databases as they are found: half-made, damaged, of other versions; and a PostgreSQL server."""

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# dies before the Nth statement of a kind of engine; N beyond the last one: it does not die
DYING = """
import itertools, os, signal, sys
from sqlalchemy import Engine, event
number = itertools.count(1)
@event.listens_for(Engine, "before_cursor_execute")
def die(*arguments):
    if next(number) == {statement}:
        os.kill(os.getpid(), signal.SIGKILL)
{code}
"""


def run_dying(statement: int, code: str, **environment: str) -> bool:
    """Run Python that is killed (SIGKILL) before its Nth statement to a database; returns whether it was."""
    done = subprocess.run(
        [sys.executable, "-c", DYING.format(statement=statement, code=code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


def statements(path: Path, *texts: str) -> None:
    """Run SQL on a SQLite file, which is made if it is missing."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for text in texts:
            database.execute(text)


def dump(path: Path) -> list[str]:
    """Everything in a SQLite file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


PASSWORD = "ri9htpassw0rd"


class Server:
    """A PostgreSQL server of the tests, which can be stopped and started."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")
        self._run(f"initdb -D {folder}/data -A scram-sha-256 -U boss --pwfile={folder}/password")
        self.start()
        for name in ("optuna", "mlflow"):
            self._run(f"psql -h {folder} -p {self.port} -U boss postgres -c 'create database {name}'")

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://boss:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(f"pg_ctl -D {self.folder}/data -o '{options}' -l {self.folder}/log -w start")

    def stop(self) -> None:
        self._run(f"pg_ctl -D {self.folder}/data -m immediate -w stop")

    def _run(self, command: str) -> None:
        line = f"cd {self.folder} && PGPASSWORD={PASSWORD} {self._programs}/{command}"
        subprocess.run(
            ["su", "postgres", "-c", line], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@pytest.fixture(scope="module")
def password_server() -> Iterator[Server]:
    """A server that asks for a password, in a folder of its own; skips where PostgreSQL or the right to start it is absent."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs or subprocess.run(["su", "postgres", "-c", "true"], capture_output=True).returncode:
        pytest.skip("PostgreSQL is not installed here, or this user may not start it")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: its socket lies there
    server = Server(folder, programs[-1].parent)
    try:
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # a test stopped it
            server.stop()
        shutil.rmtree(folder)
