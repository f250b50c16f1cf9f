"""One study on two machines: two network, host name and process namespaces, two projects, two caches; one PostgreSQL,
one MLflow server, one folder of runs. Part of ``make faults``.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.conftest import Project
from tests.harness.train.test_random_kills import trainings
from tests.services import machines, postgres
from tests.services.machines import Machine, Network
from tests.services.mlflow import Mlflow

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.faults]
TRIALS = 8


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    for reason in (machines.absent(), postgres.absent()):
        if reason:
            pytest.skip(reason)
    found = Network("left", "right")
    yield found
    found.close()


@pytest.fixture
def projects(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, network: Network) -> Iterator[list[Project]]:
    """The same project on each machine, with the servers and the folder of runs that both use."""
    pytest.importorskip("psycopg")
    database = postgres.Postgres(network=network.addresses)
    server = Mlflow(options=["--allowed-hosts=*", "--host=0.0.0.0"])
    found = [Project(tmp_path / one.name, monkeypatch) for one in network.machines]
    for one in found:
        one.use_runs(tmp_path / "shared runs")
        one.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.1")
        one.edit("studies", "trials = 5", f"trials = {TRIALS}")
    monkeypatch.setenv("AUDIOMTL_STORAGE", database.create("optuna").replace("127.0.0.1", network.server))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url.replace("127.0.0.1", network.server))
    monkeypatch.setenv("AUDIOMTL_LEASE_SECONDS", "5")
    yield found
    server.close()
    database.close()


def started(project: Project, machine: Machine) -> Any:
    return project.start("study", "tiny", "--slots", "1", before=machine.prefix)


def seen_training(project: Project, count: int) -> None:
    """Return once so many runs have an epoch."""
    while sum(bool(run.data.metrics) for run in project.tracking().runs("tiny")) < count:
        time.sleep(0.2)


def whole(project: Project) -> None:
    """Exactly the trials, each with one run that is finished, every step once, and no run left open."""
    found = trainings(project)
    assert sorted(map(int, found)) == list(range(TRIALS))
    for _, status, outcome, weights, _, curves in found.values():
        assert (status, outcome) in (("FINISHED", "complete"), ("KILLED", "pruned")) and len(weights) == 64
        assert all([step for step, _ in curve] == list(range(1, len(curve) + 1)) for curve in curves.values())
    assert not project.tracking().runs("tiny", "attributes.status = 'RUNNING'")


def test_a_machine_that_is_switched_off_costs_nothing(projects: list[Project], network: Network) -> None:
    left, right = (started(*pair) for pair in zip(projects, network.machines, strict=True))
    seen_training(projects[0], 3)
    os.killpg(left.pid, signal.SIGKILL)
    left.communicate()
    said, _ = right.communicate()
    assert right.returncode == 0 and "Traceback" not in said, said
    whole(projects[1])


def test_a_machine_without_network_pauses_and_the_other_goes_on(
    projects: list[Project], network: Network
) -> None:
    left, right = (started(*pair) for pair in zip(projects, network.machines, strict=True))
    seen_training(projects[0], 3)
    network.machines[0].plug(connected=False)
    try:
        (said, _), (others, _) = left.communicate(), right.communicate()
    finally:
        network.machines[0].plug(connected=True)
    assert left.returncode == 1 and "Traceback" not in said, said
    assert len(re.findall("^audiomtl: ", said, re.MULTILINE)) == 1, said
    assert right.returncode == 0 and "Traceback" not in others, others
    whole(projects[1])
    said = projects[0].run("study", "tiny", "--slots", "1", before=network.machines[0].prefix)
    assert f"{TRIALS} trials" in said
    whole(projects[0])
