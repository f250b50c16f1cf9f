"""What the operating system gives: cores, locks between processes, files that are replaced in one step, and
whether a process is gone.

Contents: `cores`, `locked`, `replacing`, `process_identity`, `is_gone`.
"""

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file, which is made with its folder; yields False at once when another process has
    it and ``wait`` is off.

    The lock ends with the process, however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of ``path`` at the end: it is the old or the new one, never
    half of either.

    With ``sync`` its bytes are on the disk before. After an error the old one stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def process_identity() -> str:
    """This process, as others may tell whether it is gone: ``host:pid:start:boot:namespace``."""
    return ":".join([socket.gethostname(), str(os.getpid()), _started(os.getpid()), *_machine()])


def is_gone(identity: str) -> bool:
    """Whether a process of this machine's present boot is known to have ended; a zombie has.

    Of another machine, boot or container nothing is known from here: False. The host's name plays no part.
    """
    pid, started, *machine = [*identity.split(":"), "", ""][1:5]
    if machine != list(_machine()) or not all(machine) or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process began, in clock ticks since the machine's start, whatever the clock is set to; "" of one
    that is gone or a zombie.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]


def _machine() -> tuple[str, str]:
    """Boot and process namespace, in which a process number means one process; "" where unknown."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return boot, os.readlink("/proc/self/ns/pid").removeprefix("pid:").strip("[]")
    return "", ""
