"""Who may write: leases in a small table of Optuna's database.

A *lease* is a row with a name, a token and a counter. Taking it raises the token; its holder raises the
counter as long as it lives. An observer takes over a lease whose counter has not moved for `SECONDS` of the
observer's own monotonic clock, or at once where it can see that the holder's process is gone. No two clocks
are compared.

What a holder writes to Optuna is *fenced*: in the same transaction the token is read again, and the write is
refused with `LeaseLost` if somebody has taken over. ``docs/explanation/leases.md`` describes the protocol.

Contents: `Lease`, `Leases`, `LeaseLost`, `Row`, `table`, `lease_seconds`.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy import event, orm

from audiomtl.errors import SurroundingsError, UserError
from audiomtl.system import is_gone, process_identity

SECONDS = 30.0  # without a sign of life after which a lease may be taken over; or AUDIOMTL_LEASE_SECONDS
RENEWALS = 6  # signs of life in that time

_metadata = sql.MetaData()
table = sql.Table(
    "audiomtl_leases",
    _metadata,
    sql.Column("name", sql.String(200), primary_key=True),  # "STUDY/trial/3"
    sql.Column("token", sql.Integer, nullable=False),  # raised by whoever takes it
    sql.Column("counter", sql.Integer, nullable=False),  # raised by its holder, as a sign of life
    sql.Column("held", sql.Boolean, nullable=False),
    sql.Column("owner", sql.String(200), nullable=False),  # `system.process_identity`
    sql.Column("renewed_at", sql.Float, nullable=False),  # wall clock: for people, never compared
)


class LeaseLost(Exception):
    """Another worker has taken over what this one wanted to write."""


def lease_seconds() -> float:
    """``AUDIOMTL_LEASE_SECONDS``, the same for all workers; `SECONDS` where it is not set.

    Raises
    ------
    UserError : it is not a number above 0.
    """
    text = os.environ.get("AUDIOMTL_LEASE_SECONDS", "")
    try:
        seconds = float(text or SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UserError(f"AUDIOMTL_LEASE_SECONDS = {text!r}: must be a number of seconds above 0")
    return seconds


@dataclass(frozen=True)
class Lease:
    """A lease that this process has taken; ``token`` is larger than that of every holder before."""

    name: str
    token: int


class Row(NamedTuple):
    """A row of the table."""

    name: str
    token: int
    counter: int
    held: bool
    owner: str
    renewed_at: float


class Leases:
    """The leases of one process in one database.

    Parameters
    ----------
    engine : of Optuna's database.
    seconds : see `SECONDS`.
    owner : what others see of this process.
    clock : monotonic seconds; tests have their own.
    gone : whether the process of an ``owner`` is known to be gone.
    """

    def __init__(
        self,
        engine: sql.Engine,
        *,
        seconds: float | None = None,
        owner: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        gone: Callable[[str], bool] = is_gone,
    ) -> None:
        self._engine, self._seconds = engine, lease_seconds() if seconds is None else seconds
        self._owner = process_identity() if owner is None else owner
        self._clock, self._gone = clock, gone
        self._seen: dict[
            str, tuple[int, int, float]
        ] = {}  # name -> token, counter, since when they stand still
        self._mine: dict[str, Lease] = {}
        self._guarded: list[Lease] = []
        self._lock = threading.Lock()
        with contextlib.suppress(
            sql.exc.OperationalError, sql.exc.ProgrammingError
        ):  # another process made it
            _metadata.create_all(engine)

    # ------------------------------------------------------------ taking and giving back

    def take(self, name: str, *, at_once: bool = False) -> Lease | None:
        """The lease, or None while somebody else holds it.

        Parameters
        ----------
        at_once : take it over although its holder may live (``--take-over``).
        """
        with self._engine.connect() as connection:
            row = self._row(connection, name)
        if row is not None and row.held and not at_once and not self._expired(row):
            return None
        lease = Lease(name, row.token + 1 if row else 1)
        new = {
            "token": lease.token,
            "counter": 0,
            "held": True,
            "owner": self._owner,
            "renewed_at": time.time(),
        }
        if row is None:
            change: Any = table.insert().values(name=name, **new)
        else:  # only if it has not moved since it was read
            same = [
                table.c[column] == getattr(row, column) for column in ("name", "token", "counter", "held")
            ]
            change = table.update().where(*same).values(**new)
        try:
            with self._engine.begin() as connection:
                found = connection.execute(change)
                # PostgreSQL's driver counts no inserted rows
                if row is not None and found.rowcount != 1:
                    return None
        except sql.exc.IntegrityError:  # another worker was first
            return None
        with self._lock:
            self._mine[name] = lease
        return lease

    def release(self, lease: Lease) -> None:
        """Give a lease back; without effect where somebody has taken it over."""
        with self._lock:
            self._mine.pop(lease.name, None)
        with self._engine.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.name == lease.name, table.c.token == lease.token)
                .values(held=False)
            )

    def renew(self) -> list[Lease]:
        """A sign of life for every lease of this process.

        Returns
        -------
        those that somebody else has taken over; they are not renewed any more.
        """
        with self._lock:
            mine = list(self._mine.values())
        lost = []
        for lease in mine:
            with self._engine.begin() as connection:
                found = connection.execute(
                    table.update()
                    .where(table.c.name == lease.name, table.c.token == lease.token, table.c.held)
                    .values(counter=table.c.counter + 1, renewed_at=time.time())
                )
            if found.rowcount != 1:
                with self._lock:
                    if self._mine.get(lease.name) == lease:
                        del self._mine[lease.name]
                        lost.append(lease)
        return lost

    @contextlib.contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew in a thread of its own while the block runs; where the database does not answer, try
        again.
        """
        end = threading.Event()

        def renew() -> None:
            while not end.wait(self._seconds / RENEWALS):
                with contextlib.suppress(sql.exc.SQLAlchemyError, SurroundingsError):  # it is tried again
                    self.renew()

        thread = threading.Thread(target=renew, name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    # ------------------------------------------------------------ fencing

    def fence(self, sessions: orm.scoped_session[Any]) -> None:
        """Let every session of Optuna's storage check the guarded lease before it commits a write."""

        def check(session: orm.Session) -> None:
            if not self._guarded:
                return
            session.flush()  # from here on this transaction holds SQLite's write lock
            for lease in self._guarded:
                query = sql.select(table.c.token, table.c.held).where(table.c.name == lease.name)
                # PostgreSQL: nobody takes the lease over before this transaction has ended
                found = session.execute(query.with_for_update(read=True)).first()
                if found is None or found.token != lease.token or not found.held:
                    raise LeaseLost(lease.name)

        event.listen(sessions.session_factory, "before_commit", check)

    @contextlib.contextmanager
    def guard(self, lease: Lease) -> Iterator[None]:
        """Writes to Optuna in the block happen only while this process holds ``lease``.

        Raises
        ------
        LeaseLost : another worker has taken it over; nothing was written.
        """
        self._guarded.append(lease)
        try:
            yield
        except Exception as error:
            if not isinstance(error, LeaseLost):
                self.check(lease)  # its successor may have finished what this one still wants to write
            raise
        finally:
            self._guarded.remove(lease)

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLost` if another worker has taken ``lease`` over."""
        with self._engine.connect() as connection:
            row = self._row(connection, lease.name)
        if row is None or row.token != lease.token or not row.held:
            raise LeaseLost(lease.name)

    # ------------------------------------------------------------ looking

    def rows(self, prefix: str = "") -> list[Row]:
        """All leases whose name begins with ``prefix``, by name."""
        query = sql.select(table).where(table.c.name.startswith(prefix, autoescape=True))
        with self._engine.connect() as connection:
            return [Row(**row._mapping) for row in connection.execute(query.order_by(table.c.name))]

    def live(self, prefix: str = "") -> list[Row]:
        """Leases that others hold and that this process has no reason to take over yet."""
        with self._lock:
            mine = dict(self._mine)
        return [
            row for row in self.rows(prefix) if row.held and row.name not in mine and not self._expired(row)
        ]

    def _row(self, connection: sql.Connection, name: str) -> Row | None:
        found = connection.execute(sql.select(table).where(table.c.name == name)).first()
        return Row(**found._mapping) if found else None

    def _expired(self, row: Row) -> bool:
        """Whether a held lease has shown no sign of life for long enough, or its process is gone."""
        if self._gone(row.owner):
            return True
        now = self._clock()
        token, counter, since = self._seen.get(row.name, (-1, -1, now))
        if (token, counter) != (row.token, row.counter):
            since = now
        self._seen[row.name] = (row.token, row.counter, since)
        return now - since >= self._seconds
