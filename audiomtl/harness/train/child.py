"""The child process of one training. It communicates only with its worker, over a pipe.

It sends ``("entered", time)``, ``("epoch", epoch, scores)`` and at the end ``("done", Result)``,
``("failed", reason)``, or ``("lost", reason)`` where the machine was at fault. The worker answers each epoch
with ``True`` (continue) or ``False`` (stop). The child waits for the answer only after the epochs
``Job.asks``, and where it is `LAG` epochs ahead. When the pipe closes, the worker is gone and the child ends
at once. Each holder of a lease has a checkpoint folder of its own, so that a late child never writes beside
its successor.

Contents: `Job`, `Result`, `run`, `reason_of`, `of_the_machine`, `tell_device`.
"""

import contextlib
import hashlib
import importlib
import json
import os
import queue
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.errors import SurroundingsError

LAG = 8  # epochs that a child may be ahead of what its worker has recorded


@dataclass(frozen=True)
class Job:
    """One training to do."""

    name: str  # for people
    settings: dict[str, Any]  # raw, complete
    seed: int
    folder: Path  # artifacts are left here
    checkpoint: Path  # folder of the checkpoint, one per (settings, seed, data, code)
    test: bool = False  # score the test side too
    keep_model: bool = False
    asks: frozenset[int] = frozenset()  # numbers of epochs after which the worker may stop it


@dataclass(frozen=True)
class Result:
    """The result of a training that finished or was told to stop."""

    stopped: bool  # told to stop after an epoch
    scores: dict[str, float]  # "validation/..." and, if asked for, "test/..." of the best epoch's weights
    best_epoch: int
    epochs: int
    seconds: float  # training alone, of all sittings
    cpu_seconds: float  # this sitting, whole process
    parameters: int
    weights: str = ""  # SHA-256 of the final weights; "" for a model that is no Keras model
    facts: dict[str, float] = field(default_factory=dict)


def run(job: Job, pipe: Connection, threads: int, slot: int, sources: Mapping[str, str]) -> None:
    """Entry point of the child process; never returns an exception to the forkserver.

    ``sources`` are the files of the packages whose code the worker hashed, by name: the child must have
    imported the same.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    pipe.send(("entered", time.time()))
    answers: queue.Queue[bool] = queue.Queue()
    threading.Thread(target=_listen, args=(pipe, answers), daemon=True).start()
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        log = (job.folder / "log.txt").open("a")
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        _check_sources(sources)
        train = partial(_train, job, pipe, answers, threads, slot)
        # a subclass may do something else with a training; `Job` itself is part of every training's key
        work = getattr(job, "work", None)
        message: tuple[str, Any] = ("done", work(train) if work else train())
    except Exception as error:
        message = ("lost" if of_the_machine(error) else "failed", reason_of(error))
        with contextlib.suppress(OSError):  # a full disk
            traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):  # before the message: the worker collects the log when it has it
        with contextlib.suppress(OSError):
            stream.flush()
    with contextlib.suppress(OSError):  # the worker is gone
        pipe.send(message)
    os._exit(0)  # TensorFlow's threads have nothing left to do


def of_the_machine(error: BaseException | None) -> bool:
    """Whether an error came from the operating system: a full disk, a file that is gone. The same training
    may work another time.
    """
    while error is not None:
        if isinstance(error, OSError | SurroundingsError):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def reason_of(error: Exception) -> str:
    """The error in one line: TensorFlow and Keras put the location first, and Keras formats the message in
    bold.
    """
    name, text = type(error).__name__, str(error)
    if bold := re.search(r"\x1b\[1m(.+?)\x1b\[0m", text, re.DOTALL):
        text = bold[1]
    elif text.startswith("in user code:"):
        text = text.rpartition(f"    {name}: ")[2]
    return f"{name}: {text.strip()}".splitlines()[0][:500]


def tell_device(pipe: Connection) -> None:
    """Send what TensorFlow computes on, as `worker.device` returns it. Runs in a child of the forkserver."""
    import tensorflow as tf

    gpus = [tf.config.experimental.get_device_details(one) for one in tf.config.list_physical_devices("GPU")]
    names = sorted({str(one.get("device_name", "of unknown name")) for one in gpus})
    pipe.send(f"GPU {', '.join(names)}" if names else "CPU")
    os._exit(0)


def _check_sources(sources: Mapping[str, str]) -> None:
    """Raise an error if the code to train is not the code whose hash is recorded."""
    for name, file in sources.items():
        module = importlib.import_module(name)
        if os.path.realpath(module.__file__ or "") != os.path.realpath(file):
            raise RuntimeError(
                f"this training imported {name} from {module.__file__}, but its worker from {file}"
            )


def _listen(pipe: Connection, answers: "queue.Queue[bool]") -> None:
    try:
        while True:
            answers.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(3)


def _plain_columns(table: Any, besides: Any) -> Any:
    """``clip_id`` and the columns of a clip table that hold one text or number each and are not among
    ``besides``.
    """
    first = table.iloc[0]
    plain = [
        name
        for name in table.columns
        if name not in besides and (isinstance(first[name], str) or np.ndim(first[name]) == 0)
    ]
    return table[["clip_id", *plain]]


def _train(job: Job, pipe: Connection, answers: "queue.Queue[bool]", threads: int, slot: int) -> Result:
    import tensorflow as tf

    from audiomtl import config, pictures
    from audiomtl.names import safe_name
    from audiomtl.nn.fit import Checkpoint, seed_everything

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if devices := tf.config.list_physical_devices("GPU"):
        tf.config.set_visible_devices(devices[slot % len(devices)], "GPU")
        tf.config.experimental.set_memory_growth(devices[slot % len(devices)], True)
    seed_everything(job.seed)
    model = config.family("model", job.settings["model"])
    settings = config.settings_of(job.settings, job.name)
    prepared = model.prepare(settings, job.seed)
    # again: on a cold cache `prepare` builds YAMNet, whose initial weights draw from the same generators
    seed_everything(job.seed)

    unanswered = 0

    def on_epoch(epoch: int, scores: dict[str, float]) -> bool:
        nonlocal unanswered
        pipe.send(("epoch", epoch, scores))
        unanswered += 1
        while unanswered and (unanswered > LAG or epoch + 1 in job.asks or not answers.empty()):
            unanswered -= 1
            if not answers.get():
                return False
        return True

    fitted = model.train(settings, prepared, job.seed, on_epoch, Checkpoint(job.checkpoint))
    scores: dict[str, float] = {}
    if fitted.fit.stopped:
        scores = _best_so_far(fitted.fit)
    protocol = getattr(settings, "protocol", None)
    scored = protocol.scored if protocol is not None else ("validation", "test")
    for side in ("validation", "test") if job.test else ("validation",):
        if fitted.fit.stopped:
            continue
        found = model.outputs(fitted, prepared.examples[side])
        if side == "validation" and hasattr(model, "with_decoder"):
            fitted = model.with_decoder(fitted, prepared, found)
        if side == "validation":
            curves = job.folder / "learning_curves.png"
            pictures.tried(
                pictures.learning_curves, fitted.fit.history, curves, best_epoch=fitted.fit.best_epoch
            )
            if hasattr(model, "pictures"):
                pictures.tried(model.pictures, fitted, found, job.folder)
        if side not in scored:
            continue
        scores |= {f"{side}/{name}": value for name, value in model.evaluate(fitted, found).items()}
        predicted = model.predict(fitted, found)  # one table, or several by name: of clips, of windows
        for name, table in predicted.items() if isinstance(predicted, dict) else [("predictions", predicted)]:
            known = _plain_columns(getattr(prepared.splits, side), besides=table.columns)
            table.merge(known, on="clip_id", how="left", validate="many_to_one").to_parquet(
                job.folder / f"{safe_name(name)}_{side}.parquet"
            )
    if job.keep_model and not fitted.fit.stopped:
        model.save(fitted, job.folder / "model")
    (job.folder / "history.json").write_text(json.dumps(fitted.fit.history, indent=0))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Result(
        stopped=fitted.fit.stopped,
        scores=scores,
        best_epoch=fitted.fit.best_epoch,
        epochs=len(fitted.fit.history),
        seconds=fitted.fit.seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        parameters=fitted.parameters,
        weights=_digest(getattr(fitted, "model", None)),
        facts=prepared.facts,
    )


def _best_so_far(fit: Any) -> dict[str, float]:
    """Scores on validation of the best epoch of a training that was stopped; {} before it has one."""
    if fit.best_epoch < 0:
        return {}
    best = fit.history[fit.best_epoch]
    return {name: value for name, value in best.items() if name.startswith("validation/")}


def _digest(model: Any) -> str:
    """SHA-256 of a Keras model's weights, in its own order; "" for other models."""
    if not hasattr(model, "get_weights"):
        return ""
    total = hashlib.sha256()
    for array in map(np.asarray, model.get_weights()):
        total.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return total.hexdigest()
