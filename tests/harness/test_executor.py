"""The same command in several workers on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import typer
from typer.testing import CliRunner

from audiomtl.cli.app import app
from audiomtl.cli.options import DEFAULT_SLOTS
from audiomtl.cli.workers import _arguments
from audiomtl.harness import executor
from tests.harness.conftest import PATIENCE, Project

# a worker that makes a file, and another one when it is interrupted
WORKER = """
import pathlib, signal, sys, time
folder, deaf = pathlib.Path(sys.argv[1]), len(sys.argv) > 2
def stop(*_):
    (folder / "asked").touch()
    if not deaf:
        print("stopped in order")
        sys.exit(130)
signal.signal(signal.SIGINT, stop)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
(folder / "ready").touch()
while True:
    time.sleep(0.05)
"""
LAUNCHER = """
import signal, sys
from audiomtl.harness import executor
signal.signal(signal.SIGINT, signal.default_int_handler)
executor.worker_command = lambda arguments: [sys.executable, *arguments]
try:
    sys.exit(executor.execute("fake", sys.argv[1:], executor.Request("local", 1, 1, 1)))
except KeyboardInterrupt:
    sys.exit(130)
"""


def launched(folder: Path, *more: str) -> subprocess.Popen[str]:
    """The process that waits for one fake worker, when that is ready."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(script), str(folder), *more],
        cwd=folder,
        env={
            **os.environ,
            "AUDIOMTL_RUNS": str(folder / "runs"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(folder / "ready")
    return process


def wait_for(path: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_ctrl_c_ends_the_workers_in_order(tmp_path: Path) -> None:
    launcher = launched(tmp_path)
    launcher.send_signal(signal.SIGINT)
    said, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 130
    assert "worker 1: exit code 130: stopped in order" in said


def test_a_second_ctrl_c_kills_a_worker_that_does_not_stop(tmp_path: Path) -> None:
    launcher = launched(tmp_path, "deaf")
    [worker] = psutil.Process(launcher.pid).children()
    launcher.send_signal(signal.SIGINT)
    wait_for(tmp_path / "asked")
    time.sleep(0.5)
    assert launcher.poll() is None and worker.is_running()
    launcher.send_signal(signal.SIGINT)
    said, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 130 and "worker 1: killed by SIGKILL" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has ended")
def test_workers_end_with_the_process_that_waits_for_them(tmp_path: Path) -> None:
    launcher = launched(tmp_path)
    workers = psutil.Process(launcher.pid).children()
    launcher.kill()
    launcher.communicate()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert len(workers) == 1 and alive == []


@pytest.mark.parametrize(
    ("typed", "handed"),
    [
        ("study a --executor local --workers 3", "study a"),
        ("study a --storage postgresql://u:secret@h/d --executor slurm --time 5", "study a"),
        ("study a --experiment b.toml --threads 2", "study --experiment b.toml --threads 2 a"),
        ("best a --record --again --slots 4", "best --record --again a"),
        ("ablations a --core --slurm mem=1G --slurm exclusive", "ablations --core a"),
    ],
)
def test_a_worker_gets_the_command_as_typed_less_the_executor_s_options(typed: str, handed: str) -> None:
    """No password either, since everyone on a machine can read command lines."""
    name, *words = typed.split()
    command = typer.main.get_command(app).commands[name]
    with command.make_context(name, [*words]) as context:
        got = _arguments(context)
    assert sorted(got) == sorted(handed.split()) and got[0] == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2"], "--workers needs --executor local or --executor slurm"),
        (["--time", "5"], "--time needs --executor"),
        (["--executor", "local", "--partition", "gpu"], "--partition is an option of --executor slurm"),
        (["--executor", "cloud"], "'cloud' is not one of 'local', 'slurm'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], message: str, project: Project
) -> None:
    done = CliRunner().invoke(app, ["study", "tiny", *options])
    assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("typed", [None, 3], ids=["cores divided", "as typed"])
def test_workers_on_one_machine_divide_its_cores(
    typed: int | None, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[str], executor.Request]] = []

    def execute(name: str, arguments: list[str], request: executor.Request) -> int:
        asked.append((name, arguments, request))
        return 7

    monkeypatch.setattr(executor, "execute", execute)
    options = ["--slots", str(typed)] if typed else []
    done = CliRunner().invoke(app, ["study", "tiny", "--executor", "local", "--workers", "2", *options])
    slots = typed or max(1, DEFAULT_SLOTS // 2)
    assert done.exit_code == 7, done.output
    assert asked == [
        ("tiny", ["study", "tiny", "--slots", str(slots)], executor.Request("local", 2, slots, 1))
    ]


@pytest.mark.slow
def test_one_worker_runs_a_study_and_says_where_its_log_is(project: Project) -> None:
    said = project.run("study", "tiny", "--executor", "local", "--workers", "1", "--slots", "1")
    log = project.runs / "local" / "tiny" / "worker-1.log"
    assert "logs in runs/local/tiny/worker-*.log" in said
    assert "worker 1: done: next: make promote-tiny, then make best-tiny" in said
    assert "study tiny (" in log.read_text() and len(project.trials()) == 5


@pytest.mark.slow
@pytest.mark.faults
def test_two_workers_divide_one_study(project: Project) -> None:
    project.edit("studies", "trials = 5", "trials = 8")
    said = project.run("study", "tiny", "--executor", "local", "--workers", "2", "--slots", "1")
    assert said.count(": done:") == 2
    trials = project.trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "PRUNED"}
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(8))
    trained = [
        set(re.findall(r"^trial (\d+): ", path.read_text(), re.MULTILINE))
        for path in sorted((project.runs / "local" / "tiny").glob("worker-*.log"))
    ]
    assert not trained[0] & trained[1] and len(trained[0] | trained[1]) == 8


@pytest.mark.slow
@pytest.mark.faults
def test_ctrl_c_stops_a_study_of_workers_and_the_same_command_resumes(project: Project) -> None:
    launcher = project.start_held(
        "2:1", "study", "tiny", "--executor", "local", "--workers", "1", "--slots", "1"
    )
    launcher.send_signal(signal.SIGINT)
    said, _ = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 130, said
    assert "worker 1: exit code 130: stopped; finished trials are kept" in said
    assert [trial.state.name for trial in project.trials()] == ["RUNNING"]
    project.run("study", "tiny", "--executor", "local", "--workers", "1", "--slots", "1")
    assert len(project.trials()) == 5


def test_the_default_storage_is_that_of_the_studies(project: Project) -> None:
    """It is written down twice, so that MLflow is not imported for it."""
    from audiomtl.harness.search.study import open_storage

    assert str(open_storage().engine.url) == executor.storage_url()
