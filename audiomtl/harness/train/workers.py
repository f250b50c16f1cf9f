"""Parallel trainings, each in a child process, monitored from one thread.

Children are forked from a forkserver that has TensorFlow and Keras imported already, so that a fresh isolated
training starts in a fraction of a second. A crash, a kill, a hang, too much memory or an exception ends that
training with its reason, never the worker.

Whose fault was it? A training that *failed* did so itself: a loss that is not finite, a refused setting, a
limit. One that was *lost* was ended by the machine: a signal, a full disk. It starts again from its
checkpoint, up to ``limits.retries`` times; then the work pauses (`SurroundingsError`) and the training is
left for another day.

Contents: `Listener`, `Outcome`, `WAIT`, `train_all`, `deferred_signals`.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import Any, Literal, Protocol

import psutil

from audiomtl.errors import SurroundingsError
from audiomtl.harness.record import provenance
from audiomtl.harness.train.child import Job, Result, run
from audiomtl.harness.train.forkserver import server_environment, start_forkserver
from audiomtl.settings.shared import Limits

POLL_SECONDS = 0.25  # how often memory and time are looked at
MOST_COUNTED = 1.0  # seconds between two looks that count as time trained: after more, the worker was held up
RETRIES = Limits.model_fields["retries"].default
WAIT_SECONDS = 1.0  # between two questions for work while another worker has it
WAIT: Literal["wait"] = "wait"  # nothing to do now, but another worker has trainings that may become free
# signals that a program causes itself: the same training will end so again
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    status: Literal["complete", "stopped", "failed", "lost"]
    reason: str = ""  # of a failure
    limit: str = ""  # setting path of the limit that ended it
    result: Result | None = None
    entered_seconds: float = 0.0  # from the start of the process to the first line of the child
    wall_seconds: float = 0.0
    memory_megabytes: float = 0.0


class Listener(Protocol):
    """Callbacks for the events of trainings; all calls come from the worker's one thread."""

    def started(self, job: Job) -> None: ...
    def epoch(self, job: Job, epoch: int, scores: dict[str, float]) -> bool:
        """Whether the training continues."""
        ...

    def again(self, job: Job, reason: str) -> None:
        """The machine ended a training; it starts again."""

    def ended(self, job: Job, outcome: Outcome) -> None: ...
    def tick(self) -> None: ...


@dataclass
class _Child:
    job: Job
    slot: int
    process: Any
    pipe: connection.Connection
    asked: float  # wall clock: the child's is compared with it
    looked: float  # monotonic clock of the last look
    watched: psutil.Process | None
    seconds: float  # limit
    memory: float  # limit, megabytes
    entered: float = 0.0
    peak: float = 0.0
    age: float = 0.0  # seconds trained: not those in which it or the worker was held up


def train_all(
    next_job: Callable[[], Job | Literal["wait"] | None],
    listener: Listener,
    *,
    model: str,
    slots: int,
    threads: int,
    log: Path,
) -> None:
    """Ask ``next_job`` for work whenever a slot is free, until it has none and every child has ended.

    It is asked again a little later where it answers `WAIT`.

    Parameters
    ----------
    model : family to have imported beforehand.
    slots : number of parallel trainings.
    threads : TensorFlow threads of each.
    log : see `forkserver.start_forkserver`.

    Raises
    ------
    SurroundingsError : the machine ended a training more than ``limits.retries`` times.
    KeyboardInterrupt : Ctrl-C. In both cases all children are ended first, and their trainings can be
        resumed.
    """
    context = start_forkserver(model, log)
    running: dict[int, _Child] = {}
    lost: dict[str, list[str]] = {}  # job name -> reasons for which the machine ended it
    more = True
    asked = -WAIT_SECONDS  # when `next_job` answered last that it has nothing now
    before = (
        signal.signal(signal.SIGTERM, _interrupt)
        if threading.current_thread() is threading.main_thread()
        else None
    )
    try:
        while True:
            while more and len(running) < slots and time.monotonic() - asked >= WAIT_SECONDS:
                job = next_job()
                if job is None:
                    more = False
                    break
                if job == WAIT:
                    asked = time.monotonic()
                    break
                slot = min(set(range(slots)) - set(running))
                listener.started(job)
                running[slot] = _start(context, job, slot, threads, log)
            if not running and not more:
                return
            for slot, outcome in _wait(running, listener):
                child = running.pop(slot)
                _end(child)
                if outcome.status == "lost":
                    reasons = lost.setdefault(child.job.name, [])
                    reasons.append(outcome.reason)
                    if len(reasons) <= int(child.job.settings["limits"].get("retries", RETRIES)):
                        listener.again(child.job, outcome.reason)
                        running[slot] = _start(context, child.job, slot, threads, log)
                        continue
                    outcome = _given_up(child.job, outcome, reasons)
                lost.pop(child.job.name, None)
                with deferred_signals():
                    listener.ended(child.job, outcome)
                more, asked = True, -WAIT_SECONDS  # an outcome may call for another job
            listener.tick()
    finally:
        for child in running.values():
            _end(child)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _given_up(job: Job, outcome: Outcome, reasons: list[str]) -> Outcome:
    """The outcome of a training that was lost too often: its own failure if it crashed each time alike."""
    crash = any(one.name in outcome.reason for one in CRASHES)
    if crash and len(set(reasons)) == 1:
        return replace(outcome, status="failed")
    times = f"{len(reasons)} times in a row" if len(reasons) > 1 else "once"
    raise SurroundingsError(
        f"{job.name}: the machine ended this training {times} (last: {outcome.reason}); the work is paused"
        " and no trial is used up: remove the cause, then run the same command again"
    )


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the end of the block, so that Optuna and MLflow stay consistent.

    A second one does not wait: what is not finished then is finished by the next start.
    """
    late: list[int] = []
    before = {}

    def note(number: int, _: Any) -> None:
        late.append(number)
        if len(late) > 1:
            raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        before = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if late:
        raise KeyboardInterrupt


def _start(context: Any, job: Job, slot: int, threads: int, log: Path) -> _Child:
    ours, theirs = context.Pipe()
    limits = job.settings["limits"]
    asked = time.time()
    sources = provenance.source_files(job.settings["model"])
    process = context.Process(
        target=run, args=(job, theirs, threads, slot, sources), name=job.name, daemon=True
    )
    try:
        with server_environment():  # a server that died is started again
            process.start()  # waits while the server still imports TensorFlow
    except (EOFError, ConnectionError) as error:
        raise SurroundingsError(
            f"{job.name}: the process that starts trainings exited: see {log}, then run the same command"
            " again"
        ) from error
    theirs.close()
    watched = None
    with contextlib.suppress(psutil.NoSuchProcess):
        watched = psutil.Process(process.pid)
    return _Child(
        job,
        slot,
        process,
        ours,
        asked,
        time.monotonic(),
        watched,
        float(limits["seconds"]),
        float(limits["memory_megabytes"]),
    )


def _wait(running: dict[int, _Child], listener: Listener) -> list[tuple[int, Outcome]]:
    """Handle messages for up to one poll interval; returns the trainings that ended."""
    by_object: dict[Any, int] = {child.pipe: slot for slot, child in running.items()}
    by_object |= {child.process.sentinel: slot for slot, child in running.items()}
    if not running:
        time.sleep(POLL_SECONDS)
        return []
    ready = connection.wait(list(by_object), timeout=POLL_SECONDS)
    ended: dict[int, Outcome] = {}
    for slot in sorted({by_object[one] for one in ready}):
        outcome = _read(running[slot], listener)
        if outcome:
            ended[slot] = outcome
    for slot, child in running.items():
        if slot not in ended and (limit := _over_limit(child)):
            ended[slot] = _outcome(child, "failed", reason=limit[1], limit=limit[0])
    return sorted(ended.items())


def _read(child: _Child, listener: Listener) -> Outcome | None:
    while True:
        try:
            kind, *content = child.pipe.recv() if child.pipe.poll() else ("nothing",)
        except (EOFError, OSError):
            kind, content = "gone", []
        if kind == "entered":
            child.entered = content[0] - child.asked
        elif kind == "epoch":
            with deferred_signals():
                go_on = listener.epoch(child.job, *content)
            with contextlib.suppress(OSError):  # a child that died meanwhile is seen below, next time
                child.pipe.send(go_on)
        elif kind in ("nothing", "gone"):
            break
        elif kind == "failed":
            return _outcome(child, "failed", reason=content[0])
        elif kind == "lost":
            return _outcome(child, "lost", reason=content[0])
        else:
            return _outcome(child, "stopped" if content[0].stopped else "complete", result=content[0])
    if child.process.is_alive():
        return None
    code = child.process.exitcode
    how = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return _outcome(
        child,
        "lost" if code is not None and code < 0 else "failed",
        reason=f"the training process exited without reporting a result ({how}); see log.txt",
    )


def _over_limit(child: _Child) -> tuple[str, str] | None:
    """The limit for which the child must be ended, and the reason in words."""
    now = time.monotonic()
    held_up = False
    if child.watched is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.peak = max(child.peak, child.watched.memory_info().rss / 2**20)
            held_up = child.watched.status() == psutil.STATUS_STOPPED
    if not held_up:
        child.age += min(now - child.looked, MOST_COUNTED)
    child.looked = now
    if child.peak > child.memory:
        return (
            "limits.memory_megabytes",
            f"exceeded limits.memory_megabytes = {child.memory:g}: {child.peak:.0f} MB resident",
        )
    if child.age > child.seconds:
        return "limits.seconds", f"exceeded limits.seconds = {child.seconds:g}"
    return None


def _outcome(
    child: _Child,
    status: Literal["complete", "stopped", "failed", "lost"],
    *,
    reason: str = "",
    limit: str = "",
    result: Result | None = None,
) -> Outcome:
    _over_limit(child)  # one last look at the memory
    return Outcome(status, reason, limit, result, child.entered, child.age, child.peak)


def _end(child: _Child) -> None:
    """Make sure that the process has exited; killing it loses nothing."""
    child.pipe.close()
    child.process.join(0.5)
    if child.process.is_alive():
        child.process.kill()
        child.process.join()
