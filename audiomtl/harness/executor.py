"""One command in several worker processes: on this machine, or as jobs of a SLURM cluster (`slurm`).

Each worker runs the same command without the options of the executor. They divide the work by the leases in
Optuna's database, so none of them knows how many there are. Conventions: a worker's log is one file, times
are minutes. Contents: `Request`, `execute`, `runs_folder`, `storage_url`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.2
TAIL_BYTES = 4096  # of a log, in which its last line stands
PR_SET_PDEATHSIG = 1  # of prctl(2)


@dataclass(frozen=True)
class Request:
    """Where workers run, and how many."""

    executor: str  # local or slurm
    workers: int
    slots: int  # trainings side by side in each
    threads: int  # of each training
    minutes: int = 240  # time limit of a job; at the limit it is queued again
    partition: str = ""
    options: tuple[str, ...] = ()  # any others of sbatch: KEY=VALUE, or KEY alone


def execute(name: str, arguments: Sequence[str], request: Request) -> int:
    """Run ``audiomtl ARGUMENTS`` in several workers; returns the exit code of the command.

    On this machine it waits for them; Ctrl-C ends them in order, a second one at once. Jobs of SLURM are
    submitted only.

    Parameters
    ----------
    name : of the folder of the logs, such as ``ctc_german`` or ``best-ctc_german``.
    arguments : the command line of each worker, without a password.

    Raises
    ------
    UserError : the cluster is not there, refuses the job, or its nodes cannot reach the databases.
    """
    command = worker_command(arguments)
    if request.executor == "slurm":
        from audiomtl.harness import slurm

        slurm.submit(name, command, request)
        return 0
    return _Local(name, command, request.workers).run()


def worker_command(arguments: Sequence[str]) -> list[str]:
    """The command line of one worker. With ``-P`` nothing is imported from the current directory."""
    return [sys.executable, "-P", "-m", "audiomtl", *arguments]


def runs_folder() -> Path:
    """As in `record.store`, without importing MLflow."""
    return Path(os.environ.get("AUDIOMTL_RUNS", "runs")).resolve()


def storage_url(url: str = "") -> str:
    """Address of Optuna's storage: ``url``, or ``AUDIOMTL_STORAGE``, or ``runs/optuna.db``."""
    from audiomtl.harness import database

    return url or os.environ.get("AUDIOMTL_STORAGE") or database.sqlite_url(runs_folder() / "optuna.db")


def shown(path: Path) -> str:
    """A path as people are told it: relative where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def at_start(*steps: Callable[[], Any]) -> Callable[[], None]:
    """For ``preexec_fn`` of a process: what it does before its program starts."""

    def run() -> None:
        for step in steps:
            step()

    return run


def end_with_parent() -> None:
    """Let Linux send SIGTERM to this process when its parent ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# ---------------------------------------------------------------- on this machine


@dataclass
class _Worker:
    number: int
    log: Path
    process: subprocess.Popen[bytes]

    def last_line(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def closing_line(self) -> str:
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"worker {self.number}: {how if code else 'done'}: {self.last_line()}"


class _Local:
    """Workers on this machine, and the process that waits for them."""

    def __init__(self, name: str, command: Sequence[str], workers: int) -> None:
        self.name, self.command, self.number = name, command, workers
        self.folder = runs_folder() / "local" / name
        self.workers: list[_Worker] = []

    def run(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        before = {
            number: signal.signal(number, _interrupt)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            try:
                self._start()
                self._wait()
            except KeyboardInterrupt:
                self._stop()
                raise
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        codes = [worker.process.returncode for worker in self.workers]
        return next((code if code > 0 else 128 - code for code in codes if code), 0)

    def _start(self) -> None:
        for number in range(1, self.number + 1):
            log = self.folder / f"worker-{number}.log"
            with log.open("wb") as words:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=words,
                    stderr=words,
                    start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
                    preexec_fn=at_start(end_with_parent),
                )
            self.workers.append(_Worker(number, log, process))
        _say(
            f"{self.name}: {self.number} {'worker' if self.number == 1 else 'workers'} started, logs in"
            f" {shown(self.folder)}/worker-*.log; Ctrl-C stops them"
        )

    def _wait(self) -> None:
        """Until all have ended; each one's closing line is printed when it ends."""
        running = [worker for worker in self.workers if worker.process.returncode is None]
        while running:
            for worker in list(running):
                if worker.process.poll() is not None:
                    running.remove(worker)
                    _say(worker.closing_line())
            time.sleep(POLL_SECONDS if running else 0)

    def _stop(self) -> None:
        """Ask all to stop in order; another Ctrl-C kills them, which costs at most their current epochs."""
        self._signal(signal.SIGINT)
        _say("stopping the workers; Ctrl-C again kills them")
        try:
            self._wait()
        except KeyboardInterrupt:
            self._signal(signal.SIGKILL)
            self._wait()

    def _signal(self, number: int) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                if number == signal.SIGKILL:  # its trainings as well
                    os.killpg(worker.process.pid, number)
                else:
                    worker.process.send_signal(number)


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
