"""How a study stands, from any machine that reaches Optuna's database: trials, workers, jobs of SLURM.

It only reads, and imports neither MLflow nor Optuna, so that it answers in about a second. Ages are in
seconds, by this machine's clock; whether a lease has expired is decided by workers alone, by counting its
renewals. Contents: `Status`, `read`,
`asked_trials`, `show`.
"""

import re
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy
from rich.table import Table
from sqlalchemy import column, func, select, table

from audiomtl import redaction
from audiomtl.errors import StoreError
from audiomtl.harness import database, leases, slurm
from audiomtl.harness.executor import runs_folder, shown, storage_url
from audiomtl.harness.terminal import show_table
from audiomtl.harness.train.progress import console
from audiomtl.system import is_gone

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}  # of trials that are done
RUN = "run"  # user attribute of a trial of several trainings (`search.members`)
# Optuna's own tables, of which its functions read far more than is shown
STUDIES = table("studies", column("study_id"), column("study_name"))
DIRECTIONS = table("study_directions", column("study_id"), column("objective"), column("direction"))
TRIALS = table("trials", column("trial_id"), column("study_id"), column("number"), column("state"))
VALUES = table("trial_values", column("trial_id"), column("objective"), column("value"))
ATTRIBUTES = table("trial_user_attributes", column("trial_id"), column("key"))
EPOCHS = table("trial_intermediate_values", column("trial_id"), column("step"))


@dataclass(frozen=True)
class Status:
    """What is known of a study."""

    name: str
    identity: str = ""  # of the study that began last; empty before the first trial
    earlier: int = 0  # studies of this name with other settings or search spaces
    counts: dict[str, int] = field(default_factory=dict)  # Optuna's states
    best: tuple[int, float] | None = None  # trial and value, with one metric
    running: dict[int, int] = field(default_factory=dict)  # trial -> epochs done
    held: tuple[leases.Row, ...] = ()
    members: dict[int, int] = field(default_factory=dict)  # trial of several trainings -> trainings done

    @property
    def done(self) -> int:
        return sum(self.counts.get(state, 0) for state in STATES)


def read(name: str, storage: str = "") -> Status:
    """The newest study of a name in Optuna's database.

    Raises
    ------
    StoreError : the database cannot be read.
    """
    redaction.remember(storage)
    url = storage_url(storage)
    path = database.sqlite_path(url)
    if path and not path.exists():
        return Status(name)
    try:
        engine = sqlalchemy.create_engine(
            database.sqlite_url(path) if path else url, poolclass=sqlalchemy.NullPool
        )
        database.watch(engine, url)
        with engine.connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            if STUDIES.name not in tables:
                return Status(name)
            return _study(connection, name, leases.table.name in tables)
    except StoreError:
        raise
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise database.store_error(error, url) from error


def asked_trials(name: str) -> int | None:
    """Number of trials that the study's file asks for; None where there is no such file here."""
    path = Path(name) if name.endswith(".toml") else Path("studies", f"{name}.toml")
    try:
        trials = tomllib.loads(path.read_text(encoding="utf-8")).get("trials")
    except (OSError, ValueError):
        return None
    return trials if isinstance(trials, int) else None


def _study(connection: sqlalchemy.Connection, name: str, has_leases: bool) -> Status:
    rows = connection.execute(
        select(STUDIES.c.study_id, STUDIES.c.study_name)
        .where(STUDIES.c.study_name.startswith(f"{name}-", autoescape=True))
        .order_by(STUDIES.c.study_id)
    ).all()
    # study NAME-IDENTITY; another study's name may begin alike
    own = [(key, text) for key, text in rows if re.fullmatch(r"[0-9a-f]{12}", text[len(name) + 1 :])]
    if not own:
        return Status(name)
    key, text = own[-1]
    identity = text[len(name) + 1 :]
    state = sqlalchemy.cast(TRIALS.c.state, sqlalchemy.String)
    counts = connection.execute(
        select(state, func.count()).where(TRIALS.c.study_id == key).group_by(state)
    ).all()
    running = connection.execute(
        select(TRIALS.c.number, func.max(EPOCHS.c.step))
        .select_from(TRIALS.outerjoin(EPOCHS, EPOCHS.c.trial_id == TRIALS.c.trial_id))
        .where(TRIALS.c.study_id == key, state == "RUNNING")
        .group_by(TRIALS.c.number)
        .order_by(TRIALS.c.number)
    ).all()
    trainings = connection.execute(
        select(TRIALS.c.number, ATTRIBUTES.c.key)
        .select_from(TRIALS.join(ATTRIBUTES, ATTRIBUTES.c.trial_id == TRIALS.c.trial_id))
        .where(TRIALS.c.study_id == key, state == "RUNNING")
        .order_by(TRIALS.c.number)
    ).all()
    members = {number: 0 for number, attribute in trainings if attribute == RUN}
    for number, attribute in trainings:
        if number in members and re.fullmatch(r"member \d+", attribute):
            members[number] += 1
    return Status(
        name,
        identity,
        len(own) - 1,
        {label: number for label, number in counts},
        _best(connection, key),
        {number: step or 0 for number, step in running},
        _leases(connection, identity) if has_leases else (),
        members,
    )


def _best(connection: sqlalchemy.Connection, study: int) -> tuple[int, float] | None:
    """With one metric: the first of the best trials."""
    directions = (
        connection.execute(
            select(sqlalchemy.cast(DIRECTIONS.c.direction, sqlalchemy.String)).where(
                DIRECTIONS.c.study_id == study
            )
        )
        .scalars()
        .all()
    )
    if len(directions) != 1:
        return None
    value = VALUES.c.value if directions == ["MINIMIZE"] else VALUES.c.value.desc()
    row = connection.execute(
        select(TRIALS.c.number, VALUES.c.value)
        .join_from(TRIALS, VALUES, VALUES.c.trial_id == TRIALS.c.trial_id)
        .where(TRIALS.c.study_id == study, sqlalchemy.cast(TRIALS.c.state, sqlalchemy.String) == "COMPLETE")
        .order_by(value, TRIALS.c.number)
        .limit(1)
    ).first()
    return (row[0], row[1]) if row else None


def _leases(connection: sqlalchemy.Connection, identity: str) -> tuple[leases.Row, ...]:
    """Leases that workers of a study hold, by name: ``IDENTITY/trial/NUMBER``, with several trainings
    ``IDENTITY/trial/NUMBER/MEMBER``, ``IDENTITY/worker/...``.
    """
    columns = leases.table.c
    query = select(leases.table).where(columns.name.startswith(f"{identity}/"), columns.held)
    rows = connection.execute(query.order_by(columns.name))
    return tuple(leases.Row(**row._mapping) for row in rows)


# ---------------------------------------------------------------- for people


def show(status: Status, total: int | None = None) -> None:
    """Print a study's trials, workers and jobs. ``total``: trials that its file asks for."""
    for line in summary(status, total):
        console().print(line)
    rows = worker_rows(status, time.time())
    if rows:
        workers = Table("worker", "works on", "last sign of life")
        for row in rows:
            workers.add_row(*row)
        show_table(workers)
    for line in job_lines(status.name):
        console().print(line)


def summary(status: Status, total: int | None = None) -> list[str]:
    """Lines about the trials."""
    if not status.identity:
        return [f"study {status.name}: no trial has begun"]
    done = ", ".join(f"{status.counts.get(state, 0)} {word}" for state, word in STATES.items())
    waiting = f", {count} waiting" if (count := status.counts.get("WAITING", 0)) else ""
    lines = [
        f"study {status.name} ({status.identity}): {status.done}{f' of {total}' if total else ''} trials done"
        f" ({done}), {len(status.running)} running{waiting}"
    ]
    if status.best:
        lines.append(f"best: {status.best[1]:.4f} (trial {status.best[0]})")
    if status.earlier:
        lines.append(f"{status.earlier} earlier with other settings or search spaces")
    return lines


def worker_rows(status: Status, now: float) -> list[tuple[str, str, str]]:
    """(worker, what it works on, when it was last heard of), and trials that nobody works on."""
    owners: dict[str, list[leases.Row]] = {}
    for row in status.held:
        owners.setdefault(row.owner, []).append(row)
    rows = []
    taken: set[int] = set()
    for owner, own in sorted(owners.items()):
        trials = sorted((number, _member(row)) for row in own if (number := _trial(row)) is not None)
        taken |= {number for number, _ in trials}
        work = ", ".join(_text(number, status, member) for number, member in trials) or "nothing yet"
        rows.append((_person(owner), work, _sign(owner, now - max(row.renewed_at for row in own))))
    if left := [number for number in status.running if number not in taken]:
        rows.append(("none", ", ".join(_text(number, status) for number in left), "the next worker resumes"))
    return rows


def _person(owner: str) -> str:
    """Host and process of a `system.process_identity`."""
    return ":".join(owner.split(":")[:2])


def _trial(row: leases.Row) -> int | None:
    _, kind, number = [*row.name.split("/"), "", ""][:3]
    return int(number) if kind == "trial" and number.isdigit() else None


def _member(row: leases.Row) -> int:
    """Number of a training of a trial that has several, from 1; else 0."""
    _, _, _, member = [*row.name.split("/"), "", ""][:4]
    return int(member) + 1 if member.isdigit() else 0


def _text(number: int, status: Status, member: int = 0) -> str:
    if number in status.members:
        work = f"trial {number}" + (f" training {member}" if member else "")
        return f"{work} ({status.members[number]} trainings done)"
    epochs = status.running.get(number)
    return f"trial {number}" + (f" (epoch {epochs})" if epochs else "")


def _sign(owner: str, seconds: float) -> str:
    text = f"{seconds / 60:.0f} min ago" if seconds >= 90 else f"{max(seconds, 0):.0f} s ago"
    if is_gone(owner):
        return f"{text}; it has ended, and another worker takes over"
    return f"{text}; if it stays silent, another worker takes over" if seconds > leases.SECONDS else text


def job_lines(name: str) -> list[str]:
    """Lines about the jobs that were submitted to SLURM for a study."""
    entries = slurm.submissions(name)
    ids = [job for entry in entries for job in entry["jobs"]]
    if not ids:
        return []
    logs = f"logs: {shown(runs_folder() / 'slurm' / name)}/*_log.out"
    states = slurm.queued(ids)
    if states is None:
        last: Sequence[Any] = entries[-1]["jobs"]
        return [f"SLURM does not answer here; last submitted: {', '.join(last)}; {logs}"]
    if not states:
        return [f"SLURM: no job is queued or running; {logs}"]
    return [f"SLURM: {', '.join(f'{job} {state}' for job, state in states.items())}; {logs}"]
