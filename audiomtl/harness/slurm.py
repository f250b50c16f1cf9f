"""Workers as an array of SLURM jobs, through submitit.

What is pickled for a job is its command line, its folder and variables without secrets: a job that SLURM
queues again months later runs the code and the files of that day. Passwords reach a job by the environment
that SLURM hands on, or by ``~/.pgpass`` and ``~/.mlflow/credentials``.

A job stops in order when it is preempted (SIGTERM) and before its time limit (SIGUSR2), when it also queues
itself again. Contents: `submit`, `Worker`, `submissions`, `queued`.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from audiomtl import system
from audiomtl.errors import UserError
from audiomtl.harness.executor import (
    POLL_SECONDS,
    Request,
    at_start,
    end_with_parent,
    runs_folder,
    shown,
    storage_url,
)
from audiomtl.redaction import redact

MOST_TIME_LIMITS = 100  # a job that reaches its limit so often makes no progress
NOTICE_SECONDS = 90  # between SIGUSR2 and the time limit
STOP_SECONDS = 60.0  # for the worker to stop in order; the rest is for queueing again
SQUEUE_SECONDS = 5.0  # for squeue to answer
HANDED_ON = ("AUDIOMTL_", "MLFLOW_", "PYTHONPATH", "PGHOST", "PGPORT", "PGUSER", "PGSSLMODE")
SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY", re.IGNORECASE)
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
# set from other options, or by submitit
OWN_OPTIONS = {
    "time": "--time",
    "partition": "--partition",
    "cpus-per-task": "--slots",
    "array": "--workers",
    **dict.fromkeys(("output", "error", "open-mode", "signal", "nodes", "ntasks", "job-name"), ""),
}


class Worker:
    """One command, run in a job and run again whenever the job is."""

    def __init__(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        self.command, self.folder, self.environment = list(command), folder, dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": None}

    def __call__(self) -> None:
        """Run the command to its end; a job has the exit code of its command."""
        print(f"$ {shlex.join(self.command)}", flush=True)
        self._process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            # SLURM sends SIGUSR2 to every process of the job, but it is meant for this one; `_stop` sends
            # SIGINT, which a command that was started in the background of a shell would ignore
            preexec_fn=at_start(
                lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
                lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                end_with_parent,
            ),
        )
        while (code := self._process.poll()) is None:
            time.sleep(POLL_SECONDS)
        if code:
            sys.exit(code if code > 0 else 128 - code)

    def checkpoint(self) -> Any:
        """Called by submitit on SIGUSR2: stop the command in order, which then resumes in the same job."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        if shutil.which("scontrol") is None:
            print(
                "time limit: scontrol is not installed on this node, so the job cannot be queued again; run"
                " the same command again, it resumes",
                flush=True,
            )
            sys.exit(1)
        return DelayedSubmission(self)

    def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGINT)
        give_up = time.monotonic() + STOP_SECONDS
        # `process.wait` would wait for a lock that the interrupted `poll` holds
        with contextlib.suppress(ChildProcessError):
            while time.monotonic() < give_up:
                if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return
                time.sleep(POLL_SECONDS)


def submit(name: str, command: Sequence[str], request: Request) -> list[str]:
    """Submit an array of jobs which all run one command; returns their ids, such as ``12_0``."""
    try:
        import submitit
    except ImportError:
        raise UserError(
            'submitit is not installed, which submits jobs to SLURM: pip install "audiomtl[slurm]"'
        ) from None
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise UserError("sbatch is not on this machine: run the command where SLURM's commands are")
    folder = runs_folder() / "slurm" / name
    if "%" in str(folder):
        raise UserError(
            f"{folder}: SLURM cannot write logs below a folder with % in its name: set AUDIOMTL_RUNS"
        )
    options = sbatch_options(request.options)
    check_reach(request, options)
    folder.mkdir(parents=True, exist_ok=True)
    executor = submitit.SlurmExecutor(folder, max_num_timeout=MOST_TIME_LIMITS, python=_python())
    cpus = request.slots * request.threads
    executor.update_parameters(
        job_name=f"audiomtl-{name}",
        time=request.minutes,
        cpus_per_task=cpus,
        array_parallelism=request.workers,
        wckey=None,
        signal_delay_s=min(NOTICE_SECONDS, request.minutes * 60 // 4),
        stderr_to_stdout=True,
        srun_args=[f"--cpus-per-task={cpus}"],  # since SLURM 22.05, srun does not take it from sbatch
        additional_parameters={"requeue": True, **options},
        **({"partition": request.partition} if request.partition else {}),
    )
    worker = Worker(command, os.getcwd(), handed_on(os.environ))
    try:
        # submitit prints sbatch's words before it raises them
        with contextlib.redirect_stderr(io.StringIO()), executor.batch():
            jobs = [executor.submit(worker) for _ in range(request.workers)]
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise UserError(f"SLURM refused the job: {_reason(error)}") from error
    ids = [job.job_id for job in jobs]
    _record(folder, ids, command, request)
    print(
        f"{name}: submitted {len(ids)} {'job' if len(ids) == 1 else 'jobs'} of {cpus} CPUs and"
        f" {request.minutes} minutes: {', '.join(ids)}; logs in {shown(folder)}/*_log.out"
    )
    return ids


def _python() -> str:
    """The interpreter, with nothing imported from the current directory."""
    return f"{shlex.quote(sys.executable)} -P"


def _reason(error: Exception) -> str:
    """The first line in which sbatch says why."""
    lines = [line.removeprefix("sbatch: error: ").strip() for line in str(error).splitlines()]
    return next(filter(None, lines), type(error).__name__)


def sbatch_options(options: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` texts as {option: value}; a key alone is a flag.

    Raises
    ------
    UserError : no such option can be, or another option of the command sets it.
    """
    parsed: dict[str, Any] = {}
    for text in options:
        key, equals, value = text.removeprefix("--").partition("=")
        key = key.replace("_", "-")
        if not re.fullmatch(r"[a-z][a-z-]*", key) or not value.isprintable():
            raise UserError(
                f"--slurm {text!r}: must be KEY=VALUE with KEY a long option of sbatch, such as"
                " mem=16G or gres=gpu:1"
            )
        if key in OWN_OPTIONS:
            remedy = f"use {OWN_OPTIONS[key]}" if OWN_OPTIONS[key] else "it cannot be changed"
            raise UserError(f"--slurm {text}: audiomtl sets {key} itself; {remedy}")
        parsed[key] = value if equals else True
    return parsed


def handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are kept with a job: those of the project, no secrets; paths are absolute."""
    kept = {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith(HANDED_ON) and not is_secret(name, value)
    }
    return {**kept, "AUDIOMTL_RUNS": str(runs_folder())}


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a password or a token, by its name or as part of an address."""
    return bool(SECRET_NAME.search(name)) or redact(value) != value


# ---------------------------------------------------------------- what nodes can reach


def check_reach(request: Request, options: Mapping[str, Any]) -> None:
    """Refuse databases that jobs on several nodes cannot share; warn of them on one.

    Raises
    ------
    UserError : several workers on several nodes, and a SQLite file or a server at 127.0.0.1.
    """
    names = nodes(request.partition, str(options.get("nodelist", "")))
    problems = [
        f"{what} is {problem}; set {variable} to {remedy}"
        for what, variable, url, remedy in (
            ("Optuna's storage", "AUDIOMTL_STORAGE", storage_url(), "a PostgreSQL database"),
            (
                "MLflow's store",
                "MLFLOW_TRACKING_URI",
                os.environ.get("MLFLOW_TRACKING_URI", ""),
                "an MLflow server",
            ),
        )
        if (problem := unreachable(url))
    ]
    if problems and len(names) > 1 and request.workers > 1:
        raise UserError(
            f"{request.workers} workers on {len(names)} nodes need databases that every node reaches:"
            f" {'; '.join(problems)} (docs/how-to/cluster.md), or use one node: --slurm nodelist={names[0]}"
        )
    if problems:
        print(f"warning: this works on one node only: {'; '.join(problems)}", file=sys.stderr)


def unreachable(url: str) -> str:
    """Why another machine cannot use a database's address; empty where it can."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme.startswith("sqlite") or not parts.netloc:
        return "a file, which only processes of one machine can share"
    return (
        f"at {parts.hostname}, which is another machine on every node"
        if parts.hostname in LOCAL_HOSTS
        else ""
    )


def nodes(partition: str = "", nodelist: str = "") -> list[str]:
    """Names of the nodes where a job may run, by ``sinfo``; of none if it does not answer."""
    chosen = [f"--partition={partition}"] if partition else []
    chosen += [f"--nodes={nodelist}"] if nodelist else []
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%N", *chosen],
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(set(done.stdout.split()))


# ---------------------------------------------------------------- what was submitted


def _record(folder: Path, ids: Sequence[str], command: Sequence[str], request: Request) -> None:
    entry = {
        "jobs": [*ids],
        "submitted": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [*command],
        "minutes": request.minutes,
        "partition": request.partition,
    }
    with system.locked(folder / ".lock"):
        text = json.dumps([*_read(folder), entry], indent=1, ensure_ascii=False)
        with system.replacing(folder / "jobs.json") as file:
            file.write(text.encode())


def submissions(name: str) -> list[dict[str, Any]]:
    """What was submitted for a command, oldest first: ``jobs`` (ids), ``submitted``, ``command``."""
    return _read(runs_folder() / "slurm" / name)


def _read(folder: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads((folder / "jobs.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def queued(ids: Sequence[str]) -> dict[str, str] | None:
    """State of those jobs that have not ended, with the node or the reason for waiting: ``running on node1``,
    ``pending (Priority)``. None where SLURM does not answer.
    """
    if not ids or shutil.which("squeue") is None:
        return None
    masters = ",".join(sorted({job.partition("_")[0] for job in ids}))
    try:
        done = subprocess.run(
            ["squeue", "--noheader", "--array", f"--jobs={masters}", "--format=%i|%T|%R"],
            capture_output=True,
            text=True,
            timeout=SQUEUE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode and "Invalid job id" not in done.stderr:  # that is said of jobs long ended
        return None
    states = {}
    for line in done.stdout.splitlines():
        job, state, where = line.split("|", 2)
        if job in ids:
            states[job] = f"{state.lower()} {where if where.startswith('(') else f'on {where}'}".strip()
    return states
