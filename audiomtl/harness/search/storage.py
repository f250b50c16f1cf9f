"""Optuna's storage: a SQLite file of the project, or a database server. Contents: `open_storage`."""

import os
from typing import Any

import optuna
import sqlalchemy
from alembic.migration import MigrationContext
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import RDBStorage, _VersionManager
from sqlalchemy import event

from audiomtl import redaction
from audiomtl.errors import StoreError
from audiomtl.harness import database
from audiomtl.harness.record.store import locked, runs_folder, say

LOCKED_SECONDS = 60  # that another process may hold a SQLite file


def open_storage(url: str = "") -> RDBStorage:
    """Optuna's storage: ``url``, or ``AUDIOMTL_STORAGE``, or ``runs/optuna.db`` (SQLite with a
    write-ahead log).

    Raises
    ------
    StoreError : it cannot be reached, opened or written, or another version of Optuna wrote it.
    """
    redaction.remember(url)
    url = url or os.environ.get("AUDIOMTL_STORAGE") or database.sqlite_url(runs_folder() / "optuna.db")
    path = database.sqlite_path(url)
    with locked("optuna"):
        if path:
            url = database.sqlite_url(path)
            database.make_sound(path, _schema(), say)
            return _opened(url, {"connect_args": {"timeout": LOCKED_SECONDS}})
        options = {} if url.startswith("sqlite") else {"pool_pre_ping": True}
        _check_server(url)
        return _opened(url, options)


def _opened(url: str, options: dict[str, Any]) -> RDBStorage:
    try:
        storage = RDBStorage(url, engine_kwargs=options)
        if url.startswith("sqlite"):

            @event.listens_for(storage.engine, "connect")
            def fast(connection: Any, _: Any) -> None:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = normal")

        database.watch(storage.engine, url, opened=True)
        with storage.engine.connect():
            return storage
    except StoreError:
        raise
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise database.store_error(error.__cause__ or error, url) from error


def _check_server(url: str) -> None:
    """Refuse a server that does not answer in time, or a database of another version, before Optuna adds
    tables to it.
    """
    try:
        engine = sqlalchemy.create_engine(url)
    except (sqlalchemy.exc.ArgumentError, ImportError) as error:
        raise database.store_error(error, url) from error
    database.watch(engine, url)
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    database.check_revision(revision, database.shown(url), _schema(), url)


def _schema() -> database.Schema:
    versions = _VersionManager.__new__(_VersionManager)  # its scripts are read, no database is opened
    versions.url = ""
    return database.Schema(
        program="Optuna",
        tables=frozenset(models.BaseModel.metadata.tables),
        head=versions.get_head_version(),
        known=frozenset(versions.get_all_versions()),
        holds=("select 1 from studies limit 1", "select 1 from trials limit 1"),
        make=_make,
        upgrade="optuna storage upgrade --storage",
    )


def _make(url: str) -> None:
    storage = RDBStorage(url)
    storage.remove_session()
    storage.engine.dispose()
