"""Fixtures with real servers; where one is not installed, its tests are skipped with the reason.

Contents: `postgres_server`, `postgres`, `slurm`, `slurm_two_nodes`, `mlflow_server`.
"""

import uuid
from collections.abc import Iterator

import pytest

from tests.services import postgres as postgresql
from tests.services import slurm as clusters
from tests.services.mlflow import Mlflow


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgresql.Postgres]:
    """A PostgreSQL server for the whole session; a test that stops it must start it again."""
    if reason := postgresql.absent():
        pytest.skip(reason)
    server = postgresql.Postgres()
    yield server
    server.close()


@pytest.fixture
def postgres(postgres_server: postgresql.Postgres) -> str:
    """URL of a fresh database: ``postgresql+psycopg://...``."""
    return postgres_server.create(f"test_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def _one_node() -> Iterator[clusters.Slurm]:
    if reason := clusters.absent():
        pytest.skip(reason)
    cluster = clusters.Slurm()
    yield cluster
    cluster.close()


@pytest.fixture
def slurm(_one_node: clusters.Slurm, monkeypatch: pytest.MonkeyPatch) -> clusters.Slurm:
    """A SLURM of one node, which the commands of the test find."""
    return _found(_one_node, monkeypatch)


@pytest.fixture(scope="module")
def _two_nodes() -> Iterator[clusters.Slurm]:
    if reason := clusters.absent():
        pytest.skip(reason)
    cluster = clusters.Slurm(nodes=2)
    yield cluster
    cluster.close()


@pytest.fixture
def slurm_two_nodes(_two_nodes: clusters.Slurm, monkeypatch: pytest.MonkeyPatch) -> clusters.Slurm:
    """A SLURM of two nodes, which the commands of the test find."""
    return _found(_two_nodes, monkeypatch)


def _found(cluster: clusters.Slurm, monkeypatch: pytest.MonkeyPatch) -> clusters.Slurm:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return cluster


@pytest.fixture
def mlflow_server() -> Iterator[Mlflow]:
    """An MLflow server with a fresh SQLite store, which answers under any name of this machine."""
    server = Mlflow(options=["--allowed-hosts=*"])
    yield server
    server.close()
