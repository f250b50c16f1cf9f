"""What the operating system gives: cores, locks between processes, files that are replaced in one step,
who the user is, whether a process is gone, and which errors are the machine's.

Contents: `cores`, `locked`, `replacing`, `process_identity`, `user`, `is_gone`, `os_fault`, `short_sockets`.
"""

import contextlib
import errno
import fcntl
import getpass
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

AGAIN = "then run the same command again"
# errors of the operating system that are the machine's, not the program's
OS_FAULTS = {
    errno.ENOSPC: f"the disk is full: free some space, {AGAIN}",
    errno.EDQUOT: f"the disk quota is used up: free some space, {AGAIN}",
    errno.EROFS: "the disk is read-only: use a folder that can be written",
    errno.EACCES: f"permission denied: make it accessible to this user, {AGAIN}",
    errno.EPERM: f"operation not permitted: make it accessible to this user, {AGAIN}",
    errno.ENOTDIR: "a file stands where a folder belongs: move the file away or name another folder",
    errno.EISDIR: "a folder stands where a file belongs: move the folder away or name another file",
    errno.EIO: f"the disk reports an error: check the disk, {AGAIN}",
    errno.ESTALE: f"the shared disk is away: mount it again, {AGAIN}",
    errno.EMFILE: f"too many open files: raise the limit (ulimit -n), {AGAIN}",
    errno.ENFILE: f"too many open files on this machine: close programs, {AGAIN}",
    errno.ENAMETOOLONG: "the name is too long: use a shorter path",
}
SOCKET_BYTES = 107  # longest path of a Unix socket on Linux; macOS has 103
SOCKET_NAME = "/pymp-12345678/listener-12345678"  # as multiprocessing names its sockets


def os_fault(error: OSError) -> str:
    """Place, reason and remedy where the machine is at fault; nothing where the program may be."""
    place = error.filename if isinstance(error.filename, str | os.PathLike) else ""
    code = error.errno or 0
    if code in (errno.EEXIST, errno.ENOTDIR) and place:  # `mkdir` says the first where a file is in its way
        path = Path(place)
        while not path.exists() and path != path.parent:
            path = path.parent
        if path.is_dir():
            return ""
        place, code = str(path), errno.ENOTDIR
    return f"{place or 'this computer'}: {OS_FAULTS[code]}" if code in OS_FAULTS else ""


def short_sockets() -> None:
    """Let multiprocessing keep its sockets in a folder with a short name where ``TMPDIR`` is too long for
    them; the folder is removed at the end, as usual.
    """
    if len(os.fsencode(tempfile.gettempdir() + SOCKET_NAME)) < min(SOCKET_BYTES, 103):
        return
    from multiprocessing import util

    before = tempfile.tempdir
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.path.isdir(folder) and os.access(folder, os.W_OK):
            tempfile.tempdir = folder
            try:
                util.get_temp_dir()  # makes it and remembers it
            finally:
                tempfile.tempdir = before
            return


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


def user() -> str:
    """Name of the user, or their number where the system knows no name, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


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
