"""Databases as they are found: half-made, damaged, of other versions; and a PostgreSQL server."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import warm
from tests.services import postgres

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
    whole = {**os.environ, "PYTHONPATH": warm.CODE, **environment}
    process = warm.start([], Path.cwd(), whole, DYING.format(statement=statement, code=code))
    printed, _ = process.communicate()
    assert process.returncode in (0, -9), printed
    return process.returncode == -9


def statements(path: Path, *texts: str) -> None:
    """Run SQL on a SQLite file, which is made if it is missing."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for text in texts:
            database.execute(text)


def dump(path: Path) -> list[str]:
    """Everything in a SQLite file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


@pytest.fixture(scope="module")
def password_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server that asks for a password, with the databases optuna and mlflow."""
    if reason := postgres.absent():
        pytest.skip(reason)
    pytest.importorskip("psycopg")
    server = postgres.Postgres(password="ri9htpassw0rd")
    for name in ("optuna", "mlflow"):
        server.create(name)
    yield server
    server.close()
