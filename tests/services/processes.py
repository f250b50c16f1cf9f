"""Servers that end with the process that started them. Contents: `start`, `end`, `free_port`, `wait_until`."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE_SECONDS = 1800.0  # until what hangs is given up: no measure, a loaded machine must not come near it


def start(
    command: Sequence[str],
    log: Path,
    *,
    user: str = "",
    signal_at_end: str = "KILL",
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own; the kernel sends it a signal when its starter ends.

    Parameters
    ----------
    user : run as this user; only root can.
    signal_at_end : name of the signal.
    """
    prefix = ["setpriv", f"--pdeathsig={signal_at_end}"]
    if user:
        prefix += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    with log.open("ab") as words:
        return subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **(environment or {})},
        )


def end(server: subprocess.Popen[bytes], *numbers: int, seconds: float = 20.0) -> None:
    """Send signals one after the other until the server has ended, then SIGKILL."""
    for number in numbers:
        if server.poll() is None:
            server.send_signal(number)
            try:
                server.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
    if server.poll() is None:
        server.kill()
    server.wait()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(ready: Callable[[], bool], what: str, log: Path, *servers: subprocess.Popen[bytes]) -> None:
    """Return once ``ready``; fail with the log where a server ends first or never answers."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        ended = [server.args for server in servers if server.poll() is not None]
        if ended or time.monotonic() > give_up:
            words = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            raise RuntimeError(f"{what} did not start ({ended or 'no answer'}):\n{words[-4000:]}")
        time.sleep(0.05)


def missing(*programs: str) -> list[str]:
    """Those of some programs that are not installed."""
    return [program for program in programs if shutil.which(program, path=search_path()) is None]


def search_path() -> str:
    """PATH with the folders where Debian keeps servers: they are missing there for users other than root."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
