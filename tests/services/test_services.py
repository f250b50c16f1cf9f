"""The test services themselves: they start, answer, stop, start again, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from tests.services import postgres as postgresql
from tests.services import processes
from tests.services import slurm as clusters

pytestmark = [pytest.mark.slow, pytest.mark.services]


def ask(url: str, statement: str = "select 1") -> object:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return connection.execute(sqlalchemy.text(statement)).scalar_one()


def test_every_test_gets_an_empty_database(postgres, postgres_server) -> None:
    assert ask(postgres) == 1 and ask(postgres, "select count(*) from pg_stat_user_tables") == 0
    assert postgres != postgres_server.create("another")


def test_a_stopped_or_crashed_database_comes_back_with_its_tables(postgres, postgres_server) -> None:
    engine = sqlalchemy.create_engine(postgres, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("create table kept as select 7 as number"))
    for end in (postgres_server.stop, postgres_server.kill):
        end()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            ask(postgres)
        postgres_server.start()
        assert ask(postgres, "select number from kept") == 7


def test_a_password_is_asked_for() -> None:
    if reason := postgresql.absent():
        pytest.skip(reason)
    server = postgresql.Postgres(password="a secret")
    try:
        assert ask(server.url()) == 1
        with pytest.raises(sqlalchemy.exc.OperationalError, match="no password"):
            ask(server.url(password=""))
    finally:
        server.close()


def test_a_job_runs_and_a_requeued_one_runs_again(slurm, tmp_path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(f"#!/bin/bash\necho run >> {tmp_path}/runs\n[ -e {tmp_path}/end ] || sleep 600\n")
    job = slurm.run("sbatch", "--parsable", f"--output={tmp_path}/log", str(script)).strip()
    while not (tmp_path / "runs").exists():
        time.sleep(0.1)
    assert slurm.jobs() == {job: "RUNNING"}
    (tmp_path / "end").touch()
    slurm.requeue(job)
    slurm.wait(60)
    assert (tmp_path / "runs").read_text() == "run\n" * 2


def test_two_nodes_run_two_jobs(slurm_two_nodes) -> None:
    said = slurm_two_nodes.run(
        "srun", "--nodes=2", "--ntasks-per-node=1", "bash", "-c", "echo $SLURMD_NODENAME"
    )
    assert sorted(said.split()) == ["node1", "node2"]


@pytest.mark.parametrize("kind", [postgresql.Postgres, clusters.Slurm], ids=lambda kind: kind.__name__)
def test_servers_end_with_the_process_that_started_them(kind, tmp_path) -> None:
    """Whatever ends a test session, no server is left."""
    if reason := sys.modules[kind.__module__].absent():
        pytest.skip(reason)
    code = (
        f"import time\nfrom {kind.__module__} import {kind.__name__}\nserver = {kind.__name__}()\n"
        "print(server.folder, flush=True)\ntime.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(_open_folder())},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    folder = starter.stdout.readline().strip()
    servers = [process for process in psutil.process_iter() if folder in " ".join(_words(process))]
    servers += psutil.Process(starter.pid).children(recursive=True)
    assert len(servers) >= 2
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    _, alive = psutil.wait_procs(servers, timeout=processes.PATIENCE_SECONDS)
    assert alive == []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _open_folder() -> Path:
    """A folder that the user postgres can enter; pytest's own are closed to others."""
    return Path(os.environ.get("TMPDIR", "/tmp"))
