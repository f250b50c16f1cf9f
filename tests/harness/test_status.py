"""``audiomtl status``: what it reads from Optuna's database, the leases and SLURM."""

import json
import os
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from audiomtl.errors import StoreError
from audiomtl.harness import leases, status
from audiomtl.system import process_identity
from tests.harness.conftest import Project

IDENTITY = "0123456789ab"
NOW = 1_800_000_000.0


def filled(url: str) -> optuna.Study:
    """Two studies of one name, and others whose names are alike; the newer one in the middle of its work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for name in (
            "tiny-ba9876543210",
            f"tiny-{IDENTITY}",
            "tiny-wide-0123456789ab",
            "tinyer-0123456789ab",
        ):
            study = optuna.create_study(study_name=name, storage=url, direction="maximize")
            study.add_trial(optuna.trial.create_trial(value=9.0))
        study = optuna.load_study(study_name=f"tiny-{IDENTITY}", storage=url)
    for state in (optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL):
        study.add_trial(optuna.trial.create_trial(state=state))
    for value in (9.5, 9.5, 1.0):
        study.add_trial(optuna.trial.create_trial(value=value))
    study.ask()
    running = study.ask()
    for epoch in (1, 2, 3):
        running.report(0.5, epoch)
    study.ask()
    study.enqueue_trial({})
    return study


def leased(url: str) -> None:
    """Two workers train, one waits, and one of an earlier study is of no interest."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    leases.Leases(engine)  # makes the table
    rows = [
        leases.Row(name, 1, 9, held, owner, NOW - age)
        for name, owner, age, held in (
            (f"{IDENTITY}/trial/6", "node1:100:1:boot:space", 3, True),
            (f"{IDENTITY}/worker/aa", "node1:100:1:boot:space", 4, True),
            (f"{IDENTITY}/trial/7", "node2:200:1:boot:space", 100, True),
            (f"{IDENTITY}/trial/5", "node1:100:1:boot:space", 900, False),
            (f"{IDENTITY}/worker/bb", "node4:400:1:boot:space", 1, True),
            ("ba9876543210/trial/0", "node3:300:1:boot:space", 0, True),
        )
    ]
    with engine.begin() as connection:
        connection.execute(leases.table.insert(), [row._asdict() for row in rows])


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.services])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def test_the_newest_study_of_a_name_is_read_as_optuna_reads_it(url: str) -> None:
    study = filled(url)
    leased(url)
    found = status.read("tiny", url)
    trials = study.trials
    assert found.identity == IDENTITY and found.earlier == 1
    assert sum(found.counts.values()) == len(trials)
    assert found.counts == {
        state: count
        for state in {trial.state.name for trial in trials}
        if (count := sum(trial.state.name == state for trial in trials))
    }
    assert found.best == (study.best_trial.number, study.best_value)
    assert found.running == {6: 0, 7: 3, 8: 0}
    assert [row.name.partition("/")[2] for row in found.held] == [
        *("trial/6", "trial/7", "worker/aa", "worker/bb")
    ]
    assert status.summary(found, 40) == [
        f"study tiny ({IDENTITY}): 6 of 40 trials done (4 complete, 1 pruned, 1 failed), 3 running, 1 waiting",
        "best: 9.5000 (trial 3)",
        "1 earlier with other settings or search spaces",
    ]


def test_workers_are_listed_with_their_trials_and_last_signs_of_life(url: str) -> None:
    filled(url)
    leased(url)
    assert status.worker_rows(status.read("tiny", url), NOW) == [
        ("node1:100", "trial 6", "3 s ago"),
        ("node2:200", "trial 7 (epoch 3)", "2 min ago; if it stays silent, another worker takes over"),
        ("node4:400", "nothing yet", "1 s ago"),
        ("none", "trial 8", "the next worker resumes"),
    ]


def test_before_the_first_trial_there_is_a_line(tmp_path: Path) -> None:
    absent = tmp_path / "optuna.db"
    assert status.summary(status.read("tiny", f"sqlite:///{absent}")) == ["study tiny: no trial has begun"]
    assert not absent.exists()
    empty = tmp_path / "empty.db"
    empty.touch()
    assert status.read("tiny", f"sqlite:///{empty}") == status.Status("tiny")


def test_with_several_metrics_no_trial_is_best(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(
        study_name=f"tiny-{IDENTITY}", storage=url, directions=["minimize", "maximize"]
    )
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    assert status.read("tiny", url).best is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql+psycopg://ada:hidden@127.0.0.1:1/optuna", "no connection to the server .*refused"),
        ("postgresql+absent://ada:hidden@127.0.0.1:1/optuna", "no such kind of database|driver is missing"),
        ("no address", "not the URL of a database"),
    ],
)
def test_a_database_that_cannot_be_read_is_told_in_one_line_without_its_password(
    url: str, message: str
) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=message) as told:
        status.read("tiny", url)
    assert "hidden" not in str(told.value) and "\n" not in str(told.value)


def test_a_damaged_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"no database " * 100)
    with pytest.raises(StoreError, match="the file is damaged"):
        status.read("tiny", f"sqlite:///{tmp_path / 'optuna.db'}")


@pytest.mark.parametrize(
    ("squeue", "line"),
    [
        ("echo '12_0|RUNNING|node1'; echo '12_1|PENDING|(Priority)'; echo '13|RUNNING|node9'",
         "SLURM: 12_0 running on node1, 12_1 pending (Priority); logs: runs/slurm/tiny/*_log.out"),
        ("echo slurm_load_jobs error: Invalid job id specified >&2; exit 1",
         "SLURM: no job is queued or running; logs: runs/slurm/tiny/*_log.out"),
        ("echo slurm_load_jobs error: Unable to contact slurm controller >&2; exit 1",
         "SLURM does not answer here; last submitted: 12_0, 12_1; logs: runs/slurm/tiny/*_log.out"),
    ],
)  # fmt: skip
def test_jobs_are_shown_as_slurm_tells_them(
    squeue: str, line: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.runs / "slurm" / "tiny"
    folder.mkdir(parents=True)
    (folder / "jobs.json").write_text(json.dumps([{"jobs": ["7"]}, {"jobs": ["12_0", "12_1"]}]))
    program = project.folder / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{squeue}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    assert status.job_lines("tiny") == [line]


def test_the_command_imports_nothing_heavy_and_refuses_a_wrong_name(project: Project) -> None:
    code = (
        "import json, sys\nfrom audiomtl import cli\nsys.argv = ['audiomtl', 'status', 'tiny']\ntry:\n"
        "    cli.main()\nexcept SystemExit as end:\n    print(json.dumps([end.code, sorted(sys.modules)]))"
    )
    project.runs.mkdir()
    filled(f"sqlite:///{project.runs / 'optuna.db'}")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project.folder
    )
    *said, last = done.stdout.splitlines()
    code_of_command, modules = json.loads(last)
    assert code_of_command == 0 and "6 of 5 trials done" in said[0]
    assert not {"tensorflow", "keras", "mlflow", "optuna", "pandas", "scipy"} & {*modules}
    assert "studies/ contains: tiny" in project.run("status", "tinny", code=2)


def test_a_worker_of_this_machine_that_has_ended_is_told_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from audiomtl.system import process_identity; print(process_identity())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    now = time.time()
    rows = tuple(
        leases.Row(f"{IDENTITY}/trial/{number}", 1, 1, True, owner, now + 50)  # clocks of two machines differ
        for number, owner in enumerate((process_identity(), ended))
    )
    found = status.Status("tiny", IDENTITY, running={0: 0, 1: 0}, held=rows)
    assert sorted(row[2] for row in status.worker_rows(found, now)) == [
        "0 s ago",
        "0 s ago; it has ended, and another worker takes over",
    ]


def test_trainings_of_a_trial_that_has_several_are_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study = optuna.create_study(study_name=f"tiny-{IDENTITY}", storage=url)
    for done in (2, 0):
        trial = study.ask()
        trial.set_user_attr("run", "0" * 32)
        for member in range(done):
            trial.set_user_attr(f"member {member}", {})
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    leases.Leases(engine)
    row = leases.Row(f"{IDENTITY}/trial/0/2", 1, 9, True, "node1:100:1:boot:space", NOW - 3)
    with engine.begin() as connection:
        connection.execute(leases.table.insert(), [row._asdict()])
    found = status.read("tiny", url)
    assert found.members == {0: 2, 1: 0}
    rows = status.worker_rows(found, NOW)
    assert [work for _, work, _ in rows] == [
        "trial 0 training 3 (2 trainings done)",
        "trial 1 (0 trainings done)",
    ]
