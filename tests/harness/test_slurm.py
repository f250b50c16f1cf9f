"""Workers as jobs of a SLURM cluster: what is handed to a job, and studies on a real one."""

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from audiomtl.errors import UserError
from audiomtl.harness import slurm as jobs
from audiomtl.harness.executor import Request, storage_url
from tests.harness.conftest import PATIENCE, Project
from tests.services.mlflow import Mlflow
from tests.services.slurm import Slurm

# ---------------------------------------------------------------- without a cluster


def test_a_job_holds_its_command_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "AUDIOMTL_CACHE": "/shared/cache",
        "AUDIOMTL_RUNS": "runs",
        "AUDIOMTL_STORAGE": "postgresql+psycopg://user:hidden@database/optuna",
        "MLFLOW_TRACKING_URI": "https://user:hidden@mlflow.example.org",
        "MLFLOW_TRACKING_PASSWORD": "hidden",
        "MLFLOW_TRACKING_TOKEN": "hidden",
        "PGPASSWORD": "hidden",
        "MLFLOW_TRACKING_USERNAME": "ada",
        "UNRELATED": "x",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PGHOST", "database")
    monkeypatch.delenv("AUDIOMTL_DATA", raising=False)
    for name in ("PYTHONPATH", "AUDIOMTL_TESTS_WARM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    kept = jobs.handed_on(os.environ)
    assert kept == {
        "AUDIOMTL_CACHE": "/shared/cache",
        "AUDIOMTL_RUNS": str(tmp_path / "runs"),
        "MLFLOW_TRACKING_USERNAME": "ada",
        "PGHOST": "database",
    } | {  # what this process has set for MLflow
        name: value for name, value in kept.items() if name.startswith("MLFLOW_") and "TRACKING" not in name
    }
    stored = pickle.dumps(jobs.Worker(["python", "-V"], str(tmp_path), kept))
    assert b"hidden" not in stored and b"audiomtl.harness.slurm" in stored
    worker = pickle.loads(stored)
    assert worker.command == ["python", "-V"] and worker.environment == kept


def test_a_job_ends_with_the_exit_code_of_its_command(tmp_path: Path) -> None:
    jobs.Worker([sys.executable, "-c", ""], str(tmp_path), {})()
    for code, status in (("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)):
        with pytest.raises(SystemExit) as end:
            jobs.Worker([sys.executable, "-c", code], str(tmp_path), {})()
        assert end.value.code == status


@pytest.mark.parametrize("scontrol", [True, False], ids=["scontrol", "no scontrol"])
def test_before_its_time_limit_a_job_stops_its_command_in_order(scontrol: bool, tmp_path: Path) -> None:
    """Without scontrol on the node (submitit#1601) it says so and ends; the study can be resumed."""
    tools = tmp_path / "bin"
    tools.mkdir()
    if scontrol:
        (tools / "scontrol").write_text("#!/bin/sh\n")
        (tools / "scontrol").chmod(0o755)
    command = (
        "import pathlib, time\npathlib.Path('ready').touch()\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n"
        "    pathlib.Path('in_order').touch()"
    )
    code = (
        "import os, signal, sys\nfrom audiomtl.harness.slurm import Worker\n"
        f"worker = Worker([sys.executable, '-c', {command!r}], {str(tmp_path)!r}, {{}})\n"
        "def asked(*_):\n    print(type(worker.checkpoint().function).__name__)\n    os._exit(0)\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"  # as in the background of a shell
        "signal.signal(signal.SIGUSR2, asked)\nworker()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PATH": str(tools), "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGUSR2)  # to all processes of the job, as SLURM does
    said, _ = process.communicate(timeout=PATIENCE)
    assert (tmp_path / "in_order").exists()
    assert process.returncode == (0 if scontrol else 1)
    assert ("Worker" in said) if scontrol else ("run the same command again, it resumes" in said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("array=0-9", "audiomtl sets array itself; use --workers"),
        ("cpus_per_task=4", "use --slots"),
        ("output=x", "it cannot be changed"),
        ("=4", "must be KEY=VALUE"),
        ("mem=1G\n#SBATCH", "must be KEY=VALUE"),
    ],
)
def test_an_option_that_audiomtl_sets_or_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        jobs.sbatch_options([text])


def test_any_other_option_of_sbatch_is_passed_on() -> None:
    assert jobs.sbatch_options(["mem=16G", "--gres=gpu:1", "exclusive", "comment=a=b"]) == {
        "mem": "16G",
        "gres": "gpu:1",
        "exclusive": True,
        "comment": "a=b",
    }


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite:////shared/optuna.db", "a file"),
        ("", "a file"),
        ("/shared/mlruns", "a file"),
        ("http://127.0.0.1:5000", "another machine on every node"),
        ("postgresql+psycopg://u@localhost/optuna", "another machine on every node"),
        ("postgresql+psycopg://u:p@database.example.org/optuna", ""),
        ("https://mlflow.example.org", ""),
    ],
)
def test_what_other_nodes_cannot_reach(url: str, problem: str) -> None:
    assert problem in jobs.unreachable(url) and bool(problem) == bool(jobs.unreachable(url))


@pytest.mark.parametrize("missing", ["submitit", "sbatch"])
def test_without_submitit_or_slurm_one_line_says_what_is_missing(
    missing: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "submitit":
        monkeypatch.setitem(sys.modules, "submitit", None)
    else:
        pytest.importorskip("submitit")
        monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=missing):
        jobs.submit("tiny", ["true"], Request("slurm", 1, 1, 1))


# ---------------------------------------------------------------- on a real cluster


def submitted(project: Project, *options: str) -> tuple[str, list[str]]:
    """What the command says, and the ids of its jobs."""
    said = project.run("study", "tiny", "--executor", "slurm", "--slots", "1", *options)
    match = re.search(r"minutes: ([\d_, ]+); logs in runs/slurm/tiny/", said)
    assert match, said
    return said, match[1].split(", ")


def log(project: Project, job: str) -> str:
    path = project.runs / "slurm" / "tiny" / f"{job}_0_log.out"
    return path.read_text() if path.exists() else ""


def wait_for_epoch(project: Project, cluster: Slurm, epoch: int) -> None:
    """Until a trial of the study has done some epochs."""
    give_up = time.monotonic() + PATIENCE
    while True:
        said = project.run("status", "tiny")
        if (found := re.search(r"\(epoch (\d+)\)", said)) and int(found[1]) >= epoch:
            return
        assert cluster.jobs() and time.monotonic() < give_up, said
        time.sleep(0.5)


def end_of(project: Project, cluster: Slurm, trials: int) -> None:
    """Wait for the jobs; the study must have all its trials, each with one run."""
    cluster.wait(PATIENCE)
    storage = optuna.storages.RDBStorage(storage_url())
    [name] = optuna.study.get_all_study_names(storage)
    found = optuna.load_study(study_name=name, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.number for trial in found] == list(range(trials))
    assert {trial.state.name for trial in found} <= {"COMPLETE", "PRUNED"}
    runs = project.tracking().runs("tiny", "tags.kind = 'trial'")
    assert sorted(int(run.data.tags["trial"]) for run in runs) == list(range(trials))
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}


@pytest.mark.slow
@pytest.mark.services
def test_a_requeued_job_resumes_its_study(project: Project, slurm: Slurm) -> None:
    """As after a preemption: the same job starts again with the pickle that it had."""
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.2")
    said, [job] = submitted(project, "--workers", "1", "--time", "30")
    assert "warning: this works on one node only: Optuna's storage is a file" in said
    wait_for_epoch(project, slurm, 3)
    assert f"SLURM: {job} running on node1" in project.run("status", "tiny")
    slurm.requeue(job)
    end_of(project, slurm, 5)
    text = log(project, job)
    assert text.count("$ ") == 2 and "stopped; finished trials are kept" in text
    assert "resumes: 0 trials done, 1 interrupted" in text
    [run] = project.tracking().runs("tiny", "tags.trial = '0'")
    steps = [
        entry.step
        for entry in project.tracking().client.get_metric_history(run.info.run_id, "validation/loss")
    ]
    assert sorted(steps) == sorted(set(steps)) and len(steps) == 6  # no epoch is missing or told twice
    assert "no job is queued or running" in project.run("status", "tiny")


@pytest.mark.slow
@pytest.mark.services
def test_a_job_at_its_time_limit_queues_itself_again(project: Project, slurm: Slurm) -> None:
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 1.5")
    _, [job] = submitted(project, "--workers", "1", "--time", "1")
    give_up = time.monotonic() + PATIENCE
    while "Requeued job" not in log(project, job):
        assert time.monotonic() < give_up and slurm.jobs(), log(project, job)
        time.sleep(1)
    slurm.start_again(job)
    begun = log(project, job).count("study tiny (")  # on a loaded machine the limit may come before
    assert begun == log(project, job).count("stopped; finished trials are kept")
    while log(project, job).count("study tiny (") == begun:
        assert time.monotonic() < give_up and slurm.jobs(), log(project, job)
        time.sleep(0.5)
    assert log(project, job).count("resumes: ") == begun
    slurm.run("scancel", job)
    slurm.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.services
def test_workers_on_two_nodes_share_one_study(
    project: Project,
    slurm_two_nodes: Slurm,
    postgres: str,
    mlflow_server: Mlflow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one of two jobs requeued in the middle: exactly the trials of the study, each trained by one job."""
    pytest.importorskip("psycopg")
    project.edit("experiments", "pause_seconds = 0.0", "pause_seconds = 0.1")
    project.edit("studies", "trials = 5", "trials = 8")
    # the nodes are this machine: another spelling of its address, since 127.0.0.1 is refused with reason
    monkeypatch.setenv("AUDIOMTL_STORAGE", postgres.replace("127.0.0.1", "127.1"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.url.replace("127.0.0.1", "127.1"))
    _, ids = submitted(project, "--workers", "2", "--time", "30")
    assert len(ids) == 2 and all("_" in job for job in ids)
    wait_for_epoch(project, slurm_two_nodes, 2)
    slurm_two_nodes.requeue(ids[1])
    end_of(project, slurm_two_nodes, 8)
    assert all("study tiny (" in log(project, job) for job in ids)


@pytest.mark.slow
@pytest.mark.services
def test_what_several_nodes_cannot_share_is_refused_with_the_remedy(
    project: Project, slurm_two_nodes: Slurm
) -> None:
    options = ["study", "tiny", "--executor", "slurm", "--workers", "2"]
    said = project.run(*options, code=2)
    assert "2 workers on 2 nodes need databases that every node reaches" in said
    assert "set AUDIOMTL_STORAGE to a PostgreSQL database" in said
    assert "set MLFLOW_TRACKING_URI to an MLflow server" in said and "--slurm nodelist=node1" in said
    said = project.run(*options, code=2, AUDIOMTL_STORAGE="postgresql+psycopg://u:hidden@db.example.org/x")
    assert "Optuna" not in said and "hidden" not in said and "MLflow's store is a file" in said
    assert slurm_two_nodes.jobs() == {}


@pytest.mark.slow
@pytest.mark.services
def test_jobs_run_in_folders_of_any_name(
    tmp_path: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOMTL_STORAGE", "postgresql+psycopg://db.example.org/optuna")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    folders = [tmp_path / name for name in ("My Project", "what?", "ümlaut", "it's", "a#b", '"quoted"')]
    for folder in folders:
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("AUDIOMTL_RUNS", str(folder / "runs"))
        jobs.submit(
            "fake", [sys.executable, "-c", "import os; print(os.getcwd())"], Request("slurm", 1, 1, 1)
        )
    slurm.wait(PATIENCE)
    for folder in folders:
        [log_file] = (folder / "runs" / "slurm" / "fake").glob("*_log.out")
        assert str(folder) in log_file.read_text().splitlines()
    monkeypatch.setenv("AUDIOMTL_RUNS", str(tmp_path / "100%"))
    with pytest.raises(UserError, match="% in its name: set AUDIOMTL_RUNS"):
        jobs.submit("fake", ["true"], Request("slurm", 1, 1, 1))


@pytest.mark.slow
@pytest.mark.services
def test_a_job_that_slurm_refuses_is_told_in_one_line(project: Project, slurm: Slurm) -> None:
    said = project.run("study", "tiny", "--executor", "slurm", "--partition", "absent", code=2)
    [line] = [line for line in said.splitlines() if line.startswith("audiomtl: ")]
    assert "SLURM refused the job: " in line and "partition" in line and "Traceback" not in said
