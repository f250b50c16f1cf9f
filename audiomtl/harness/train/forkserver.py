"""The process that trainings are forked from: TensorFlow and Keras are imported there once.

Contents: `start_forkserver`, `server_environment`, `device`.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from audiomtl import redaction, surroundings
from audiomtl.errors import UserError
from audiomtl.harness.train.child import tell_device
from audiomtl.settings.family import package_of

# the last one, because a child imports the command's main module again
PRELOAD = [
    "audiomtl.nn",
    "pandas",
    "pyarrow.parquet",
    "rapidfuzz.distance",
    "matplotlib.figure",
    "audiomtl.cli",
]


def start_forkserver(model: str, log: Path) -> Any:
    """The multiprocessing context whose server has TensorFlow and a family imported; the first call starts it
    and does not wait.

    ``log`` takes what the server and TensorFlow print before a training has a log of its own.
    """
    _say_what_is_ignored()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, f"{package_of(model)}.model"])
    # a Ctrl-C meanwhile is heard when the server has been started. TensorFlow greets on stderr.
    late: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: late.append(number))
    try:
        with _stderr_to(log), server_environment():
            forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
    if late:
        raise KeyboardInterrupt
    return context


@functools.cache
def _say_what_is_ignored() -> None:
    if line := surroundings.ignored():
        print(line, file=sys.stderr)


@contextlib.contextmanager
def server_environment() -> Iterator[None]:
    """The environment that the forkserver, and so every training, is started in. This process's own is put
    back.

    Trainings talk to no store: they do not get the addresses and passwords, and cannot print them into
    ``forkserver.log``.
    """
    pinned: dict[str, str | None] = {
        # the server is a `python -c`: nothing in the current directory may be imported instead
        "PYTHONSAFEPATH": ("1"),
        "MPLBACKEND": "Agg",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        # trainings fill the cores: BLAS threads that spin beside them made a logistic regression of 0.02 s
        # take 20 s
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        **dict.fromkeys(redaction.STORE_VARIABLES, None),
    }
    before = {name: os.environ.get(name) for name in pinned}
    _set(pinned)
    try:
        with surroundings.keras_environment():
            yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    """Environment variables; those that are None are removed."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def device(model: str, log: Path) -> str:
    """What trainings compute on: ``CPU``, or ``GPU`` and its name.

    Only where a GPU is possible does it wait for TensorFlow's answer.
    """
    if sys.platform == "linux" and not any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))):
        return "CPU"
    context = start_forkserver(model, log)
    ours, theirs = context.Pipe(duplex=False)
    with server_environment():
        context.Process(target=tell_device, args=(theirs,), daemon=True).start()
    theirs.close()
    try:
        return str(ours.recv())
    except EOFError as error:
        raise UserError(f"TensorFlow could not list its devices; see {log}") from error


@contextlib.contextmanager
def _stderr_to(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with path.open("a") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
