"""Databases behind SQLAlchemy, Optuna's and MLflow's: SQLite files are made whole or not at all, servers get
a few seconds to come back, and every fault is told in one line.

A new SQLite file is made under another name in the same folder and renamed, so that a kill leaves either no
database or a complete one. One that was left incomplete by an older version is made anew if it holds nothing.

Contents: `Schema`, `sqlite_url`, `sqlite_path`, `shown`, `make_sound`, `check_revision`, `watch`,
`store_error`.
"""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event

from audiomtl.errors import StoreError
from audiomtl.redaction import redact
from audiomtl.system import os_fault

CONNECT_SECONDS = 5  # for a server to answer
OUTAGE_SECONDS = 15.0  # that a server may be away once it has answered
# of a connection to PostgreSQL: a network that swallows everything is noticed; TCP would wait 15 minutes
NOTICED = {
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}  # s, ms
# for an answer on an open connection: while the machine's own link is down, the kernel sends again for ever
ANSWER_SECONDS = 30.0
RETRY_SECONDS = 0.25
BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite keeps beside a database

AGAIN = "then run the same command again"
# what SQLite says -> reason and remedy
SQLITE_FAULTS = {
    r"database( table)? is locked": f"another program keeps it locked: close that program, {AGAIN}",
    r"readonly database": f"it cannot be written: make the file and its folder writable, {AGAIN}",
    r"disk is full": f"the disk is full: free some space, {AGAIN}",
    r"not a database|malformed|disk image": (
        "the file is damaged ({said}): restore it from a backup, or move it away to start a new one"
    ),
    r"unable to open": (
        "it cannot be opened: check that its folder exists and can be written, and that it is a file"
    ),
    r"disk I/O error": f"the disk reports an error: check the disk and its free space, {AGAIN}",
}


@dataclass(frozen=True)
class Schema:
    """What a program keeps in its database."""

    program: str
    tables: frozenset[str]
    head: str  # revision that the installed version of the program reads
    known: frozenset[str]  # revisions before it, and it
    holds: tuple[str, ...]  # SQL that finds a row where there is something to keep
    make: Callable[[str], None]  # creates everything in an empty database, by URL
    upgrade: str  # command that upgrades an older database


def sqlite_url(path: Path) -> str:
    """URL of a SQLite file, whatever characters its path has."""
    url = sqlalchemy.URL.create("sqlite", database=str(path))
    return url.render_as_string(hide_password=False)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for a server and for a database in memory.

    Raises
    ------
    StoreError : the text is no URL of a database.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StoreError(
            f"{redact(url)}: not the URL of a database: write for example sqlite:///runs/optuna.db or"
            " postgresql+psycopg://USER@HOST/DATABASE"
        ) from None
    name = parsed.database or ""
    if parsed.get_backend_name() != "sqlite" or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name).absolute()


def shown(url: str) -> str:
    """A database as a person knows it: the path of its file, or its address without the password."""
    path = sqlite_path(url)
    return _short(path) if path else redact(url)


def _short(path: Path) -> str:
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


# ---------------------------------------------------------------- SQLite files


def make_sound(path: Path, schema: Schema, tell: Callable[[str], None]) -> None:
    """Make a SQLite database where there is none, or where one was left incomplete and holds nothing.

    Only the holder of the lock of this database may call it.

    Raises
    ------
    StoreError : the file is damaged, of another version or another program, or cannot be written.
    """
    try:
        if path.is_dir():
            raise StoreError(f"{_short(path)}: a folder stands where the database belongs: move it away")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size:
            _refuse_truncated(path)
            with contextlib.closing(
                sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=60)
            ) as database:
                if not _incomplete(database, path, schema):
                    return
            tell(
                f"{_short(path)}: an earlier start was cut off before this database was complete; it held"
                " nothing and has been made anew"
            )
        _make(path, schema)
    except (OSError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        raise store_error(error, sqlite_url(path)) from error


def _make(path: Path, schema: Schema) -> None:
    new = path.with_name(f".{path.name}.new")
    _remove(new)  # of a start that was cut off: the caller has the lock
    new.touch(0o666)  # with the rights that the user's umask leaves; SQLite would keep it from the group
    schema.make(sqlite_url(new))
    with contextlib.closing(sqlite3.connect(new)) as database:
        database.execute("pragma journal_mode = wal")
    with new.open("rb") as file:
        os.fsync(file.fileno())
        state = os.fstat(file.fileno())
    _looked_at.add((state.st_dev, state.st_ino))
    _remove(path)
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    """Remove a database; first what stands beside it, which SQLite would read into another one."""
    for end in (*BESIDE, ""):
        path.with_name(path.name + end).unlink(missing_ok=True)


_looked_at: set[tuple[int, int]] = set()  # device and inode of files whose header this process has read


def _refuse_truncated(path: Path) -> None:
    """The header tells how many pages of what size the file has.

    It is read once per process, before SQLite opens the file: closing any descriptor of a file ends all POSIX
    locks that the process holds on it. Other processes would then remove the write-ahead log under SQLite's
    hands, and this one would read an old state for ever (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    state = path.stat()
    if (state.st_dev, state.st_ino) in _looked_at:
        return
    _looked_at.add((state.st_dev, state.st_ino))
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) == 100 and header.startswith(b"SQLite format 3\0"):
        page = int.from_bytes(header[16:18], "big")
        expected = int.from_bytes(header[28:32], "big") * (65536 if page == 1 else page)
        # with a write-ahead log the last pages may not have been written to the file yet
        log = path.with_name(f"{path.name}-wal")
        if path.stat().st_size < expected and not (log.exists() and log.stat().st_size):
            raise sqlite3.DatabaseError(
                f"malformed: {path.stat().st_size} bytes of {expected}, the rest is missing"
            )


def _incomplete(database: sqlite3.Connection, path: Path, schema: Schema) -> bool:
    """Whether a database lacks tables or its version, and has nothing that would be lost.

    Raises
    ------
    StoreError : it lacks something, but holds data.
    """
    names = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    versions = "alembic_version" in names and database.execute("select version_num from alembic_version")
    revision = next((version for (version,) in versions), None) if versions else None
    missing = schema.tables - names
    if revision == schema.head and not missing:
        return False
    others = names - schema.tables - {"alembic_version", "sqlite_sequence"}
    keeps = any(database.execute(f'select 1 from "{name}" limit 1').fetchone() for name in others)
    for question in schema.holds:
        with contextlib.suppress(sqlite3.OperationalError):  # its table has not been made
            keeps |= bool(database.execute(question).fetchone())
    if not keeps:
        return True
    if not schema.tables & names:
        raise StoreError(
            f"{_short(path)}: a database of another program, not of {schema.program}: name another file"
        )
    if revision is not None:
        check_revision(revision, _short(path), schema, sqlite_url(path))
    if missing:
        raise StoreError(
            f"{_short(path)}: damaged: {schema.program}'s table {min(missing)} is missing: restore it from a"
            " backup, or move it away to start a new one"
        )
    return False


def check_revision(revision: str | None, place: str, schema: Schema, url: str) -> None:
    """Refuse a database of another version of its program.

    Raises
    ------
    StoreError : it is older or newer than the program, or another program's.
    """
    if revision in (None, schema.head):
        return
    if revision in schema.known:
        raise StoreError(
            f"{place}: written by an older {schema.program} (schema {revision}, this one reads"
            f" {schema.head}): make a copy of it, then run `{schema.upgrade} {redact(url)}`"
        )
    raise StoreError(
        f"{place}: its schema {revision} is unknown to this {schema.program}: it was written by a newer"
        f" {schema.program} (install that version) or by another program (name another database)"
    )


# ---------------------------------------------------------------- while it is used


def watch(engine: sqlalchemy.Engine, url: str, *, opened: bool = False) -> None:
    """Wait for a server that went away for a few seconds, and raise faults of the surroundings as
    `StoreError`.

    A server that has not answered yet, unless it was ``opened`` before, is not waited for.
    """
    answered = [True] if opened else []

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        if dialect.name in ("postgresql", "mysql"):
            options.setdefault("connect_timeout", CONNECT_SECONDS)
        if dialect.driver in ("psycopg", "psycopg2"):
            for name, value in NOTICED.items():
                options.setdefault(name, value)
        began = time.monotonic()
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError:
                if not answered or time.monotonic() - began > OUTAGE_SECONDS:
                    answered.clear()  # what is said while the command ends fails at once
                    raise
                time.sleep(RETRY_SECONDS)
            else:
                answered.append(True)
                if dialect.driver != "psycopg":
                    return connection
                return _bounded(connection, dialect.loaded_dbapi.OperationalError)

    @event.listens_for(engine, "handle_error")
    def tell(context: Any) -> None:
        error = context.original_exception
        if context.is_pre_ping or isinstance(error, StoreError):
            return
        connecting = context.connection is None and context.statement is None
        if connecting or context.is_disconnect or _is_fault(error):
            raise store_error(error, url, passing=bool(context.is_disconnect)) from error

    engine.dispose()  # connections from before


def _bounded(connection: Any, fault: type[Exception]) -> Any:
    """A connection of psycopg that is closed, with an error, when an answer takes too long."""
    wait = connection.wait

    def bounded(work: Any, *arguments: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            return wait(work, *arguments, **{"timeout": ANSWER_SECONDS, **options})
        except fault as error:
            if time.monotonic() - began < ANSWER_SECONDS:
                raise
            connection.pgconn.finish()
            raise fault(f"no answer within {ANSWER_SECONDS:g} s") from error

    connection.wait = bounded
    return connection


def _is_fault(error: BaseException) -> bool:
    """Whether a database's error is one of its surroundings: locks, disks, permissions, shutdowns."""
    if isinstance(error, sqlite3.Error):
        return any(re.search(pattern, str(error)) for pattern in SQLITE_FAULTS)
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: connection, authorization, resources,
    # operator's intervention, system error; and a server that only reads
    state = str(getattr(error, "sqlstate", None) or "")
    return state[:2] in ("08", "28", "53", "57", "58") or state == "25006"


def store_error(error: BaseException, url: str, *, passing: bool = False) -> StoreError:
    """The fault of a database in one line: place, reason, remedy."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, OSError) and (fault := os_fault(original)):
        told = StoreError(redact(fault))
    else:
        reason = _reason(original, url.partition(":")[0].partition("+")[0])
        told = StoreError(redact(f"{shown(url)}: {reason}"))
    told.passing = passing
    return told


def _reason(error: BaseException, backend: str) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        return f"{said}: check the path"
    if isinstance(error, ImportError | sqlalchemy.exc.NoSuchModuleError):
        return _driver(said, backend)
    if isinstance(error, sqlite3.Error):
        for pattern, text in SQLITE_FAULTS.items():
            if re.search(pattern, said):
                return text.format(said=said)
        return f"{said}: check the file"
    said = re.sub(
        r"^.*failed: (?:FATAL: +)?|^FATAL: +", "", re.sub(r" Is the server .*| \(Background.*", "", said)
    )
    if re.search("password|authentication|role .* does not exist|Access denied", said):
        return f"{said}: check user and password in its URL"
    if re.search("database .* does not exist|Unknown database", said):
        return f"{said}: create it, or correct the URL"
    if re.search("No space left|disk full|could not extend", said):
        return f"the server's disk is full: free some space, {AGAIN}"
    return f"no connection to the server ({said}): check that it runs and that the URL is right, {AGAIN}"


def _driver(said: str, backend: str) -> str:
    if backend.startswith("postgres"):
        return (
            f"the driver is missing ({said}): run `pip install 'audiomtl[postgres]'` and begin the URL with"
            " postgresql+psycopg://"
        )
    if backend == "mysql":
        return f"the driver is missing ({said}): run `pip install pymysql` and begin the URL with mysql+pymysql://"
    return f"no such kind of database or no driver ({said}): begin the URL with sqlite:/// or postgresql+psycopg://"
