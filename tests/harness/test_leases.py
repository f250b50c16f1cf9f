"""Leases: single steps, and a simulation with a clock of its own that tries to break the protocol."""

import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sql
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from audiomtl import system
from audiomtl.harness.leases import Lease, LeaseLost, Leases

SECONDS = 30.0
pytestmark = pytest.mark.filterwarnings("ignore:.*is already reported")  # epochs of a trial that is resumed


class Clock:
    """A monotonic clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sql.Engine]:
    if request.param == "sqlite":
        engine = sql.create_engine(f"sqlite:///{tmp_path / 'leases.db'}", connect_args={"timeout": 60})
    else:
        engine = sql.create_engine(
            request.getfixturevalue("postgres_server").create(f"test_{uuid.uuid4().hex[:12]}")
        )
    yield engine
    engine.dispose()


def leases(engine: sql.Engine, owner: str, clock: Clock | None = None, gone: tuple[str, ...] = ()) -> Leases:
    return Leases(engine, owner=owner, clock=clock or Clock(), gone=lambda one: one in gone, seconds=SECONDS)


def test_one_holds_a_lease_until_it_gives_it_back(engine: sql.Engine) -> None:
    a, b = leases(engine, "a"), leases(engine, "b")
    mine = a.take("trial/0")
    assert mine == Lease("trial/0", 1) and b.take("trial/0") is None and a.take("trial/0") is None
    assert [row.owner for row in b.live("trial/")] == ["a"] and a.live("trial/") == []
    a.release(mine)
    assert b.live() == [] and b.take("trial/0") == Lease("trial/0", 2)
    a.release(mine)  # late: without effect
    assert a.take("trial/0") is None


def test_a_lease_expires_by_the_clock_of_whoever_looks(engine: sql.Engine) -> None:
    clock = Clock()
    a, b = leases(engine, "a"), leases(engine, "b", clock)
    mine = a.take("x")
    assert mine and b.take("x") is None
    clock.now = SECONDS - 1
    a.renew()
    assert b.take("x") is None  # it has moved, seen now
    clock.now += SECONDS - 1
    assert b.take("x") is None
    clock.now += 1
    theirs = b.take("x")
    assert theirs and theirs.token == 2
    assert a.renew() == [mine] and a.renew() == []  # a knows that it has lost it
    with pytest.raises(LeaseLost):
        a.check(mine)
    b.check(theirs)


def test_the_lease_of_a_process_that_is_gone_is_free_at_once(engine: sql.Engine) -> None:
    assert leases(engine, "a").take("x")
    assert leases(engine, "b").take("x") is None
    assert leases(engine, "b", gone=("a",)).take("x") == Lease("x", 2)
    assert leases(engine, "c").take("x", at_once=True) == Lease("x", 3)


def test_a_zombie_and_another_start_of_a_number_are_gone_another_boot_is_not_known() -> None:
    me = system.process_identity()
    assert not system.is_gone(me)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    host, _, started, boot, namespace = me.split(":")
    theirs = ":".join([host, str(child.pid), system._started(child.pid), boot, namespace])
    assert not system.is_gone(theirs)
    os.kill(child.pid, signal.SIGKILL)
    while system._started(child.pid):
        pass
    assert system.is_gone(theirs)  # a zombie: nobody has waited for it
    child.wait()
    assert system.is_gone(theirs)
    assert system.is_gone(":".join([host, str(os.getpid()), "1", boot, namespace]))
    assert not system.is_gone(":".join(["renamed", str(os.getpid()), started, boot, namespace]))
    assert not system.is_gone(":".join([host, "1", "1", "another boot", namespace]))
    assert not system.is_gone("")


def test_of_many_that_take_a_lease_at_once_one_gets_it(engine: sql.Engine) -> None:
    for name in ("new", "free"):
        everyone = [leases(engine, str(number)) for number in range(8)]
        if name == "free":
            first = everyone[0].take(name)
            assert first
            everyone[0].release(first)
        start, got = threading.Barrier(8), []

        def take(one: Leases, name: str = name, start: threading.Barrier = start, got: list = got) -> None:
            start.wait()
            got.append(one.take(name))

        threads = [threading.Thread(target=take, args=(one,)) for one in everyone]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(one is not None for one in got) == 1


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RDBStorage]:
    """Optuna's storage; on PostgreSQL where it is installed."""
    postgresql = request.param == "postgresql"
    url = (
        request.getfixturevalue("postgres_server").create(f"test_{uuid.uuid4().hex[:12]}")
        if postgresql
        else f"sqlite:///{tmp_path / 'optuna.db'}"
    )
    storage = RDBStorage(url)
    yield storage
    storage.engine.dispose()


def test_what_a_holder_writes_after_it_lost_its_lease_is_refused(storage: RDBStorage) -> None:
    study = optuna.create_study(storage=storage, study_name="s")
    a, b = leases(storage.engine, "a"), leases(storage.engine, "b", gone=("a",))
    a.fence(storage.scoped_session)
    mine = a.take("trial/0")
    assert mine
    trial = study.ask()
    with a.guard(mine):
        trial.report(0.5, 1)
        trial.set_user_attr("kept", 1)
    assert b.take("trial/0")
    for write in (
        lambda: trial.report(0.4, 2),
        lambda: trial.set_user_attr("late", 1),
        lambda: study.tell(trial, 0.1),
        lambda: trial.suggest_float("x", 0, 1),
        lambda: study.ask(),
        lambda: study.set_user_attr("late", 1),
    ):
        with pytest.raises(LeaseLost), a.guard(mine):
            write()
    [found] = optuna.load_study(storage=storage, study_name="s").trials
    assert found.state == TrialState.RUNNING and found.intermediate_values == {1: 0.5}
    assert found.user_attrs == {"kept": 1} and not found.params
    study.tell(trial, 0.1)  # unguarded: as anyone may
    assert study.best_value == 0.1


class Worker:
    """A worker of a simulated study, whose every step between two commits is one `step`."""

    def __init__(self, name: str, database: str, n_trials: int, clock: Clock, world: "World") -> None:
        self.name, self.n_trials, self.world = name, n_trials, world
        self.storage = RDBStorage(database)
        self.study = optuna.create_study(storage=self.storage, study_name="s", load_if_exists=True)
        self.leases = Leases(
            self.storage.engine, owner=name, clock=clock, gone=lambda one: False, seconds=SECONDS
        )
        self.leases.fence(self.storage.scoped_session)
        self.steps = self.work()

    def work(self):
        """Ask under the turn, train three epochs under the trial's lease, tell.

        A yield is a pause of any length.
        """
        while True:
            lease, trial = None, None
            for found in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                yield
                lease = self.leases.take(f"trial/{found.number}")
                yield
                fresh = self.study.get_trials(deepcopy=False)[found.number]
                if lease and fresh.state == TrialState.RUNNING:
                    trial = optuna.trial.Trial(self.study, found._trial_id)
                    break
                if lease:
                    self.leases.release(lease)
                    lease = None
            if trial is None:
                if not (turn := self.leases.take("turn")):
                    yield
                    continue
                yield
                try:
                    with self.leases.guard(turn):
                        trials = self.study.get_trials(deepcopy=False)
                        yield  # the most dangerous moment: counted, not yet asked
                        trial = self.study.ask() if len(trials) < self.n_trials else None
                except LeaseLost:
                    continue
                yield
                if trial is None:
                    self.leases.release(turn)
                    if all(one.state.is_finished() for one in trials):
                        return
                    continue
                lease = self.leases.take(f"trial/{trial.number}")
                self.leases.release(turn)
                if lease and self.study.get_trials(deepcopy=False)[trial.number].state.is_finished():
                    self.leases.release(lease)  # held up in between: another worker trained it
                    lease = None
                if lease is None:
                    continue
            try:
                for epoch in (1, 2, 3):
                    yield
                    with self.leases.guard(lease):
                        trial.report(float(epoch), epoch)
                yield
                with self.leases.guard(lease):
                    self.study.tell(trial, float(lease.token))
                    self.world.told.append((trial.number, lease.token))
            except LeaseLost:
                continue
            yield
            self.leases.release(lease)


class World:
    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 12))]
)
def test_simulated_workers_that_stop_sleep_and_die_do_every_trial_once(tmp_path: Path, seed: int) -> None:
    """Sleeps past the lease, deaths at any step, restarts; renewals that come late: the number of trials is
    exact, each is told once, by its last holder.
    """
    chance, world, n_trials = random.Random(seed), World(), 6
    database = f"sqlite:///{tmp_path / 'optuna.db'}"
    clock = Clock()
    crew = [Worker(f"w{number}", database, n_trials, clock, world) for number in range(3)]
    asleep: dict[str, int] = {}
    names, lives = 3, 5
    for _ in range(3000):
        if not crew:
            break
        clock.now += chance.choice([0.1, 1.0, 5.0])
        worker = chance.choice(crew)
        if asleep.get(worker.name, 0) > 0:
            asleep[worker.name] -= 1
            continue
        if chance.random() < 0.03:
            asleep[worker.name] = chance.randrange(5, 60)  # no renewal meanwhile: its leases may expire
            continue
        if lives and chance.random() < 0.02:  # SIGKILL, and another one is started
            crew.remove(worker)
            crew.append(Worker(f"w{names}", database, n_trials, clock, world))
            names, lives = names + 1, lives - 1
            continue
        for one in crew:
            if asleep.get(one.name, 0) == 0 and chance.random() < 0.7:
                one.leases.renew()
        try:
            next(worker.steps)
        except StopIteration:
            crew.remove(worker)
    assert not crew, "the study did not end"
    trials = optuna.load_study(storage=database, study_name="s").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * n_trials
    told = dict(world.told)
    assert len(world.told) == n_trials and {trial.number: trial.value for trial in trials} == told
    with sql.create_engine(database).connect() as connection:
        rows = dict(connection.execute(sql.text("select name, token from audiomtl_leases")).all())
    assert all(rows[f"trial/{number}"] >= token for number, token in told.items())


def test_without_the_fence_the_simulation_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can fail: unfenced, a sleeper tells a trial that another one has told or asks for one
    too many.
    """
    monkeypatch.setattr(Leases, "fence", lambda self, sessions: None)
    for seed in range(12):
        (tmp_path / str(seed)).mkdir()
        try:
            test_simulated_workers_that_stop_sleep_and_die_do_every_trial_once(tmp_path / str(seed), seed)
        except (AssertionError, ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return
    pytest.fail("no simulation broke")
