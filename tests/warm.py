"""The real command without the time of its imports.

Most of a command's CPU time goes into imports: its own (MLflow, Optuna) and those of the server that its
trainings are forked from (TensorFlow). Until the fifth epoch of its first trial a study of the tiny family
took 10.4 s of CPU, and 3.1 to 3.5 s when it was forked here. One process, which those of pytest-xdist share,
imports the package and all that it needs, and forks commands. Everything else is as when a shell starts them: arguments,
environment, current directory, a session and process group of their own, one stream for stdout and stderr,
exit codes, kills. Beside each command waits a second fork, in the same process group, which becomes the
server of its trainings when the command starts one.

Contents: `shared`, `start`, `Command`; ``python -m tests.warm SOCKET`` is the process.
"""

import contextlib
import fcntl
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# the package beside these tests, wherever the environment has one installed, and the tiny family
CODE = os.pathsep.join([str(ROOT / "tests" / "lab"), str(ROOT)])
SCRIPT = Path(sys.executable).with_name("audiomtl")
ENVIRONMENT = {**os.environ, "PYTHONPATH": CODE}  # before a test changes its own
STATUS = struct.Struct("i")  # twice through a pipe: the command's process id, then its exit code
SHARED = "AUDIOMTL_TESTS_WARM"  # environment variable: the folder of the process that all share
HIGH = 300  # above the file descriptors in use


# ---------------------------------------------------------------- in the process of pytest


class Command:
    """A running command, with what tests need of `subprocess.Popen`."""

    def __init__(self, output: int, status: int) -> None:
        self._status, self.returncode = status, None
        [self.pid] = STATUS.unpack(os.read(status, STATUS.size))
        self.stdout = os.fdopen(output, encoding="utf-8", errors="replace")

    def poll(self) -> int | None:
        return self.wait(0.0, told=False)

    def wait(self, timeout: float | None = None, *, told: bool = True) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            [self.returncode] = STATUS.unpack(os.read(self._status, STATUS.size))
            os.close(self._status)
        if told and self.returncode is None:
            raise subprocess.TimeoutExpired("audiomtl", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """What it still prints; killed with its group after ``timeout`` seconds."""
        watch = threading.Timer(timeout or threading.TIMEOUT_MAX, os.killpg, (self.pid, signal.SIGKILL))
        watch.daemon = True
        watch.start()
        try:
            printed = self.stdout.read()
            self.wait()
        finally:
            watch.cancel()
        self.stdout.close()
        return printed, None


def start(words: Sequence[str], folder: Path, environment: Mapping[str, str], code: str = "") -> Command:
    """``audiomtl WORDS`` in a folder, or ``python -c CODE WORDS``."""
    output, printed = os.pipe()
    status, ended = os.pipe()
    asked = {"words": list(words), "folder": str(folder), "environment": dict(environment), "code": code}
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(_server())
        socket.send_fds(client, [b"!"], [printed, ended])
        client.sendall(json.dumps(asked).encode())
    os.close(printed)
    os.close(ended)
    return Command(output, status)


def can_start(environment: Mapping[str, str]) -> bool:
    """Whether a command in this environment would import what the process has imported."""
    asked, given = (
        {name: value for name, value in one.items() if name.startswith("PYTHON")}
        for one in (environment, ENVIRONMENT)
    )
    return sys.platform == "linux" and asked == given


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Within, this process and its children have one server; the first command starts it, and it ends with
    this process, whatever ends it.
    """
    if SHARED in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="audiomtl_warm_") as folder:
        os.mkfifo(f"{folder}/alive")
        held = os.open(f"{folder}/alive", os.O_RDWR)
        os.environ[SHARED] = ENVIRONMENT[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED], ENVIRONMENT[SHARED]
            os.close(held)


@functools.cache
def _server() -> str:
    """Its socket."""
    folder = Path(os.environ[SHARED])
    path, log = folder / "socket", folder / "log"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return str(path)
        alive = os.open(folder / "alive", os.O_RDONLY | os.O_NONBLOCK)
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(path)],
                cwd=ROOT,
                env=ENVIRONMENT,
                stdin=alive,  # at its end when `shared` ends
                stdout=subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        os.close(alive)
        assert process.stdout
        assert process.stdout.read(1), log.read_text()
        process.stdout.close()
        process.returncode = 0  # it outlives this process: nobody waits for it
    return str(path)


# ---------------------------------------------------------------- in the process that has imported


def main(path: str) -> None:
    from audiomtl.harness.train.forkserver import PRELOAD, server_environment

    before = {*os.environ}
    with server_environment():  # as the server of trainings imports them
        for name in [*PRELOAD, "mlflow", "optuna", "sqlalchemy", "psutil", "sklearn.ensemble", "rich.table"]:
            importlib.import_module(name)
        package = importlib.import_module("audiomtl")
        for module in pkgutil.walk_packages(package.__path__, "audiomtl."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    assert threading.active_count() == 1, f"a fork would lose {threading.enumerate()}"
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        os.write(1, b"!")
        job = _serve(listener, {name: os.environ[name] for name in os.environ.keys() - before})
    job()  # of a fork: a command, or the server of its trainings


def _serve(listener: socket.socket, added: dict[str, str]) -> Callable[[], None]:
    """Fork a command per request; returns in the fork, with what it has to do, or at the end.

    ``added`` to the environment by imports, as it would be by those of the command.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for `_watch`
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            return lambda: None
        client, _ = listener.accept()
        with client:
            _, descriptors, _, _ = socket.recv_fds(client, 1, 2)
            asked = json.loads(b"".join(iter(lambda client=client: client.recv(65536), b"")))
        asked["environment"] = added | asked["environment"]
        if not os.fork():
            return _watch(listener, *descriptors, **asked)
        for one in descriptors:
            os.close(one)


def _watch(listener: socket.socket, printed: int, ended: int, **asked: Any) -> Callable[[], None]:
    """The parent of one command, which tells its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    listener.close()
    if not (pid := os.fork()):
        return _become_command(printed, ended, **asked)
    os.close(printed)
    _, code = os.waitpid(pid, 0)
    os.write(ended, STATUS.pack(os.waitstatus_to_exitcode(code)))
    os._exit(0)


def _become_command(
    printed: int, ended: int, words: list[str], folder: str, environment: dict[str, str], code: str
) -> Callable[[], None]:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for one, standard in ((nothing, 0), (printed, 1), (printed, 2)):
        os.dup2(one, standard)
    os.close(nothing)
    os.close(printed)
    os.chdir(folder)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not (server := os.fork()):
        os.close(ended)
        mine.close()
        return _become_server(theirs)
    theirs.close()
    os.write(ended, STATUS.pack(os.getpid()))
    os.close(ended)
    _take(environment)
    spawn = util.spawnv_passfds

    def spawned(path: Any, arguments: list[str], descriptors: Sequence[int]) -> int:
        if not arguments[-1].startswith("from multiprocessing.forkserver") or mine.fileno() < 0:
            return spawn(path, arguments, descriptors)
        numbers = [int(one) for one in descriptors]
        told = {"code": arguments[-1], "numbers": [0, 1, 2, *numbers], "environment": dict(os.environ)}
        socket.send_fds(mine, [json.dumps(told | {"folder": os.getcwd()}).encode()], [0, 1, 2, *numbers])
        mine.close()
        return server

    util.spawnv_passfds = spawned
    source = code or SCRIPT.read_text()
    return lambda: _run(source, [str(SCRIPT) if not code else "-c", *words], "" if code else str(SCRIPT))


def _become_server(asked: socket.socket) -> Callable[[], None]:
    """Wait until the command wants its server, or ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the group: the command hears it
    message, received, _, _ = socket.recv_fds(asked, 2**20, 64)
    if not message:
        os._exit(0)
    asked.close()
    told = json.loads(message)
    moved = [_moved(one) for one in received]
    for one, number in zip(moved, told["numbers"], strict=True):
        os.dup2(one, number)
        os.close(one)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(told["folder"])
    _take(told["environment"])
    return lambda: _run(told["code"], ["-c"], "")


def _moved(descriptor: int) -> int:
    """Its copy, out of the way of the numbers that are wanted."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH)
    os.close(descriptor)
    return copy


def _take(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _run(source: str, arguments: list[str], file: str) -> None:
    """As Python runs a script or, without ``file``, a text."""
    script = types.ModuleType("__main__")
    if file:
        script.__file__ = file
    sys.modules["__main__"], sys.argv = script, arguments
    sys.path[0] = str(Path(file).parent) if file else ""
    exec(compile(source, file or "<string>", "exec"), script.__dict__)


if __name__ == "__main__":
    main(sys.argv[1])
