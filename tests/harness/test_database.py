"""SQLite files that are made whole or not at all, and what is said of those that cannot be used."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy

from audiomtl.errors import StoreError
from audiomtl.harness import database
from tests.harness.databases import dump, statements

ODD = ("what?", "My Project", "ümlaut", "a#b", "100%", "a&b", "it's", 'say "hi"', "%20", "{x};=+@!")


def make(url: str) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        for text in (
            "create table things (name text)",
            "create table parts (name text)",
            "create table alembic_version (version_num text)",
            "insert into alembic_version values ('two')",
        ):
            connection.exec_driver_sql(text)
    engine.dispose()


SCHEMA = database.Schema(
    program="Thing",
    tables=frozenset({"things", "parts"}),
    head="two",
    known=frozenset({"one", "two"}),
    holds=("select 1 from things limit 1",),
    make=make,
    upgrade="thing upgrade",
)


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "thing.db"


@pytest.fixture
def said() -> list[str]:
    return []


def test_opening_a_store_again_does_not_cut_off_who_reads_it(path, said) -> None:
    """Closing a descriptor of the file would end SQLite's locks on it: other processes would then remove the
    log under this one, which would read an old state for ever.
    """
    write = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('insert into things values (1)'); "
    )
    for number in (1, 2, 3):
        database.make_sound(path, SCHEMA, said.append)
        if number == 1:
            reader = sqlite3.connect(path)
            assert reader.execute("select count(*) from things").fetchone() == (0,)
        subprocess.run([sys.executable, "-c", f"{write}c.commit(); c.close()", str(path)], check=True)
        assert reader.execute("select count(*) from things").fetchone() == (number,)
    reader.close()


@pytest.mark.parametrize("name", ODD)
def test_a_url_names_its_file_whatever_the_folder_is_called(tmp_path, name, said) -> None:
    file = tmp_path / name / "thing.db"
    assert database.sqlite_path(database.sqlite_url(file)) == file
    database.make_sound(file, SCHEMA, said.append)
    with sqlalchemy.create_engine(database.sqlite_url(file)).connect() as connection:
        connection.exec_driver_sql("select * from things")
    assert said == [] and [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql+psycopg://me@host/db"])
def test_what_is_no_file_has_no_path(url) -> None:
    assert database.sqlite_path(url) is None


def test_a_new_file_is_there_whole_or_not_at_all(path, said, monkeypatch) -> None:
    def cut_off(url: str) -> None:
        make(url)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.make_sound(path, replace(SCHEMA, make=cut_off), said.append)
    assert not path.exists()
    database.make_sound(path, SCHEMA, said.append)
    assert said == [] and sorted(one.name for one in path.parent.iterdir()) == ["thing.db"]
    assert sqlite3.connect(path).execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_sound_file_is_left_alone(path, said) -> None:
    database.make_sound(path, SCHEMA, said.append)
    statements(path, "insert into things values ('a')", "create table ours (name text)")
    before = dump(path)
    database.make_sound(path, SCHEMA, said.append)
    assert dump(path) == before and said == []


HALF_MADE = {
    "empty file": (),
    "no tables": ("pragma user_version = 1",),
    "one table": ("create table things (name text)",),
    "no version table": ("create table things (name text)", "create table parts (name text)"),
    "no version": ("create table things (name text)", "create table parts (name text)", "create table alembic_version (version_num text)"),
    "an earlier version": ("create table things (name text)", "create table alembic_version (version_num text)", "insert into alembic_version values ('one')"),
    "a table of the way there": ("create table _alembic_tmp_things (name text)",),
}  # fmt: skip


@pytest.mark.parametrize("case", HALF_MADE)
def test_a_half_made_file_that_holds_nothing_is_made_anew(path, said, case) -> None:
    path.parent.mkdir()
    path.touch()
    statements(path, *HALF_MADE[case])
    path.with_name("thing.db-wal").write_bytes(b"left over")
    database.make_sound(path, SCHEMA, said.append)
    assert "INSERT INTO \"alembic_version\" VALUES('two');" in dump(path)
    assert not path.with_name("thing.db-wal").exists()
    if case != "empty file":
        [line] = said
        assert line.startswith("runs/thing.db: an earlier start was cut off") and "made anew" in line


REFUSED = {
    "an older version": (
        ("create table things (name text)", "insert into things values ('a')", "create table alembic_version (version_num text)", "insert into alembic_version values ('one')"),
        "runs/thing.db: written by an older Thing (schema one, this one reads two): make a copy of it, then run `thing upgrade sqlite:",
    ),
    "a newer version": (
        ("create table things (name text)", "insert into things values ('a')", "create table alembic_version (version_num text)", "insert into alembic_version values ('nine')"),
        "runs/thing.db: its schema nine is unknown to this Thing: it was written by a newer Thing",
    ),
    "a missing table": (
        ("create table things (name text)", "insert into things values ('a')"),
        "runs/thing.db: damaged: Thing's table parts is missing",
    ),
    "another program": (
        ("create table songs (name text)", "insert into songs values ('a')"),
        "runs/thing.db: a database of another program, not of Thing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_holds_something_is_never_touched(path, said, case) -> None:
    path.parent.mkdir()
    texts, words = REFUSED[case]
    statements(path, *texts)
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        database.make_sound(path, SCHEMA, said.append)
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)
    assert path.read_bytes() == before and said == []


@pytest.mark.parametrize(
    "content", [b"no database at all, " * 100, b"SQLite format 3\0", b"SQLite format 3\0" + bytes(200)]
)
def test_a_damaged_file_is_told_with_the_way_out(path, said, content) -> None:  # fmt: skip
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"^runs/thing.db: the file is damaged \(.*\): restore it from a backup, or move"
    ):
        database.make_sound(path, SCHEMA, said.append)
    assert path.read_bytes() == content


def test_a_truncated_file_is_seen_before_it_is_read(path, said, monkeypatch) -> None:
    database.make_sound(path, SCHEMA, said.append)
    statements(path, *(f"create table t{number} (name text)" for number in range(20)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 4096])
    monkeypatch.setattr(database, "_looked_at", set())  # as a new process begins
    with pytest.raises(StoreError, match=r"damaged .*the rest is missing"):
        database.make_sound(path, SCHEMA, said.append)


def test_a_folder_or_a_file_in_the_way_is_named(path, said) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"^runs/thing.db: a folder stands where the database belongs"):
        database.make_sound(path, SCHEMA, said.append)
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("")
    with pytest.raises(StoreError, match="runs: a file stands where a folder belongs"):
        database.make_sound(path, SCHEMA, said.append)


def test_a_full_disk_leaves_no_database(path, said) -> None:
    """As a page count that SQLite may not go beyond."""

    def full(url: str) -> None:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("pragma max_page_count = 2")
            connection.exec_driver_sql("create table a (x)")
            connection.exec_driver_sql("insert into a values (zeroblob(100000))")

    with pytest.raises(StoreError, match=r"thing.db: the disk is full: free some space"):
        database.make_sound(path, replace(SCHEMA, make=full), said.append)
    assert not path.exists()


def watched(path: Path) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(database.sqlite_url(path), connect_args={"timeout": 0})
    database.watch(engine, database.sqlite_url(path))
    return engine


def test_faults_while_a_database_is_used_are_told_and_bugs_are_not(path, said) -> None:
    database.make_sound(path, SCHEMA, said.append)
    engine = watched(path)
    with engine.connect() as connection:
        with pytest.raises(sqlalchemy.exc.OperationalError, match="no such table"):
            connection.exec_driver_sql("select * from nowhere")
        connection.rollback()
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("begin exclusive")
        with pytest.raises(StoreError, match=r"^runs/thing.db: another program keeps it locked: close that"):
            connection.exec_driver_sql("insert into things values ('a')")
        holder.close()
    engine.dispose()


def test_a_read_only_database_is_told(path, said) -> None:
    database.make_sound(path, SCHEMA, said.append)
    engine = watched(path)
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma query_only = on")
        with pytest.raises(StoreError, match="it cannot be written: make the file and its folder writable"):
            connection.exec_driver_sql("insert into things values ('a')")
    engine.dispose()


@pytest.mark.services
@pytest.mark.slow
def test_a_server_that_stays_silent_on_an_open_connection_is_told(postgres, monkeypatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.3)
    engine = sqlalchemy.create_engine(postgres, pool_pre_ping=True)
    database.watch(engine, postgres)
    with (
        engine.connect() as connection,
        pytest.raises(StoreError, match=r"\(no answer within 0.3 s\): check"),
    ):
        connection.exec_driver_sql("select pg_sleep(600)")
    with engine.connect() as connection:  # by a new connection
        assert connection.exec_driver_sql("select 1").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("text", ["", "nonsense", "sqlite", "http//x", "postgresql://h:port/db"])
def test_what_is_no_url_is_told(text) -> None:
    with pytest.raises(StoreError, match="not the URL of a database: write for example sqlite:///"):
        database.sqlite_path(text)
