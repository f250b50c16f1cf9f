"""The one training loop: deterministic, stoppable, and exact after a kill.

The order of the data, the learning rate and the stopping rule are pure functions of (settings, seed, epoch,
past scores). A checkpoint holds everything else: all variables of the model (seed generators included) and of
the optimizer, their averages, the best weights so far, the scores of every epoch, and the shapes for which
TensorFlow has made graphs. It is written whole to a temporary file, synced, and renamed, after each epoch; so
a training that is killed at any batch and started again ends with bit-identical weights and scores.

No step waits for the loss of the one before: losses are looked at every `CHECKED` steps, so that a GPU
computes while the next batch is made. A thread that makes batches ahead did not pay on a CPU
(docs/explanation/scale.md).

Contents: `seed_everything`, `stream`, `make_optimizer`, `learning_rate`, `Checkpoint`, `Fit`, `fit`,
`TrainingFailed`.
"""

import hashlib
import io
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.nn.addition import add_in_order
from audiomtl.nn.steps import Steps, Tensors
from audiomtl.settings.shared import Optimizer, Training
from audiomtl.system import replacing

Scores = dict[str, float]
OnEpoch = Callable[[int, Scores], bool]  # (epoch, scores) -> go on?

CHECKED = 16  # steps after which their losses are looked at; a loss that is not finite never goes unseen


class TrainingFailed(Exception):
    """A training that cannot go on, with the reason, epoch and step as its text."""


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, TensorFlow and Keras, and let TensorFlow compute the same bits in every run."""
    random.seed(seed)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    add_in_order()


def stream(seed: int, name: str) -> int:
    """Seed, in [0, 2**31), of one random layer: two trainings' seeds draw different numbers, and so do
    two layers of one training.
    """
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big") >> 1


def make_optimizer(settings: Optimizer) -> keras.optimizers.Optimizer:
    """The Keras optimizer that the settings name; its learning rate is set before every step by `fit`."""
    clip = {
        name: getattr(settings, name)
        for name in ("clipnorm", "global_clipnorm")
        if getattr(settings, name) > 0
    }
    rate = settings.learning_rate
    if settings.name == "sgd":
        return keras.optimizers.SGD(rate, momentum=settings.momentum, nesterov=settings.nesterov, **clip)
    if settings.name == "adam":
        return keras.optimizers.Adam(rate, **clip)
    if settings.name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, **clip)
    return keras.optimizers.RMSprop(rate, momentum=settings.momentum, **clip)


def learning_rate(settings: Optimizer, *, epoch: int, epochs: int, step: int, reductions: int) -> float:
    """Learning rate of one step.

    Parameters
    ----------
    epoch : finished epochs before this one.
    epochs : epochs of the whole training (cosine: the rate falls towards 0 over them).
    step : optimizer steps before this one, over all epochs. Over the first ``warmup_steps`` the rate of any
        schedule is multiplied by 1 / warmup_steps, 2 / warmup_steps ... 1.
    reductions : how often the plateau rule has struck.
    """
    rate = settings.learning_rate / (1.0 + settings.decay * step)
    if step < settings.warmup_steps:
        rate *= (step + 1) / settings.warmup_steps
    if settings.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))
    elif settings.schedule == "plateau":
        rate *= settings.plateau_factor**reductions
    return rate


@dataclass(frozen=True)
class Checkpoint:
    """One file, ``folder/epoch.npz``, that always holds a whole epoch or does not exist."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "epoch.npz"

    def save(self, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Write arrays and a JSON state in one atomic step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(
            buffer, allow_pickle=False, state=np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays
        )
        with replacing(self.path) as file:
            file.write(buffer.getbuffer())

    def load(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What was saved last, or None.

        A file that cannot be read is as good as none: the training starts over.
        """
        if not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return arrays, json.loads(arrays.pop("state").tobytes())
        except (
            Exception
        ) as error:  # zip, JSON and NumPy each raise their own for a file cut short by a full disk
            print(
                f"checkpoint {self.path} is unreadable ({error}); the training restarts from the beginning",
                flush=True,
            )
            return None


@dataclass
class Fit:
    """How a training went. The model holds the weights of ``best_epoch`` when `fit` returns."""

    best_epoch: int  # counted from 0; -1 before the first
    best_score: float
    history: list[Scores] = field(default_factory=list)  # one entry per epoch
    stopped: bool = False  # ended by `on_epoch`
    seconds: float = 0.0  # of all sittings


def fit(
    model: keras.Model,
    *,
    optimizer: Optimizer,
    training: Training,
    batches: Callable[[int], Iterable[Tensors]],
    loss: Callable[[int], Callable[[keras.Model, Tensors], tf.Tensor]],
    score: Callable[[int], Scores],
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
    monitor_from: int = 0,
) -> Fit:
    """Train ``model`` and leave the weights of its best epoch in it.

    With ``training.average_decay`` every score but the train loss is that of the averaged weights, and they
    are what is kept (`nn.averaging`).

    Parameters
    ----------
    batches : epoch -> the batches of that epoch, each a mapping of arrays; a pure function of the epoch.
    loss : epoch -> function (model, batch) -> scalar loss of one step. The same function object means the
        same compiled step.
    score : epoch -> scores of the model as it is now, named as in ``training.monitor``.
    on_epoch : called with every epoch's scores, those of epochs before a restart included; False ends the
        training.
    checkpoint : where to go on from and save to after every epoch; None keeps nothing.
    monitor_from : first epoch that may become the best.

    Raises
    ------
    TrainingFailed : the loss or the monitored score is not finite.
    """
    began = time.monotonic()
    if training.keep == "last":
        monitor_from = training.epochs - 1
    steps = Steps(model, make_optimizer(optimizer), training.average_decay)
    result = Fit(
        best_epoch=-1, best_score=math.inf if training.monitor_direction == "minimize" else -math.inf
    )
    best = [variable.numpy() for variable in model.variables]
    step, stale, plateau_stale, reductions, before = 0, 0, 0, 0, 0.0

    saved = checkpoint.load() if checkpoint else None
    if checkpoint and saved and (lack := steps.lacking(saved[0])):
        print(
            f"checkpoint {checkpoint.path} has no {lack} that fits; the training restarts from the beginning",
            flush=True,
        )
        saved = None
    if saved:
        arrays, state = saved
        steps.restore(arrays)
        best = [arrays[f"best_{index}"] for index in range(len(model.variables))]
        result.best_epoch, result.best_score = state["best_epoch"], state["best_score"]
        result.history, before = state["history"], state["seconds"]
        step, stale = state["step"], state["stale"]
        plateau_stale, reductions = state["plateau_stale"], state["reductions"]
        for at in state.get("traced", []):
            steps.trace(loss(at["epoch"]), at)
        for epoch, scores in enumerate(result.history):
            result.stopped |= not on_epoch(epoch, scores)

    def spent() -> bool:
        return result.stopped or bool(training.patience and stale >= training.patience)

    for epoch in range(len(result.history), training.epochs):
        if spent():
            break
        losses, step_of = _Losses(epoch, step), steps.compiled(loss(epoch), epoch)
        with losses:
            for batch in batches(epoch):
                rate = learning_rate(
                    optimizer, epoch=epoch, epochs=training.epochs, step=step, reductions=reductions
                )
                losses.add(step_of(batch, rate), batch)
                step += 1
        with steps.average.in_place():
            scores = {"train/loss": float(np.mean(losses.values)), "learning_rate": rate, **score(epoch)}
            weights = [variable.numpy() for variable in model.variables]
        watched = scores.get(training.monitor)
        if watched is None:
            raise TrainingFailed(
                f'training.monitor = "{training.monitor}" is not a score of this model; available:'
                f" {', '.join(sorted(scores))}"
            )
        if not math.isfinite(watched):
            raise TrainingFailed(f"{training.monitor} is {watched} at epoch {epoch}")
        result.history.append(scores)
        if epoch >= monitor_from:
            better = (
                watched < result.best_score
                if training.monitor_direction == "minimize"
                else watched > result.best_score
            )
            stale, plateau_stale = (0, 0) if better else (stale + 1, plateau_stale + 1)
            if better:
                result.best_epoch, result.best_score = epoch, watched
                best = weights
            if optimizer.schedule == "plateau" and plateau_stale >= optimizer.plateau_patience:
                reductions, plateau_stale = reductions + 1, 0
        result.seconds = before + time.monotonic() - began
        if checkpoint:
            state = {
                **{"best_epoch": result.best_epoch, "best_score": result.best_score},
                **{"history": result.history, "seconds": result.seconds, "traced": steps.traced},
                **{"step": step, "stale": stale, "plateau_stale": plateau_stale, "reductions": reductions},
            }
            checkpoint.save(
                {**steps.arrays(), **{f"best_{index}": value for index, value in enumerate(best)}}, state
            )
        result.stopped = not on_epoch(epoch, scores)

    if result.best_epoch >= 0:
        for variable, value in zip(model.variables, best, strict=True):
            variable.assign(value)
    result.seconds = before + time.monotonic() - began
    return result


class _Losses:
    """Losses of the steps of an epoch, looked at every `CHECKED` and at the end of a ``with`` block. An error
    there may be a consequence of a loss that was not finite; then that loss is reported.
    """

    def __init__(self, epoch: int, first_step: int) -> None:
        self.epoch, self.first_step = epoch, first_step
        self.values: list[float] = []
        self._waiting: list[tuple[tf.Tensor, Any]] = []  # loss, clip ids

    def add(self, loss: tf.Tensor, batch: Tensors) -> None:
        self._waiting.append((loss, batch.get("clip_ids", [])))
        if len(self._waiting) == CHECKED:
            self.look()

    def look(self) -> None:
        """Raise `TrainingFailed` for the first loss that is not finite."""
        waiting, self._waiting = self._waiting, []
        for loss, clip_ids in waiting:
            value = float(loss)
            if not math.isfinite(value):
                clips = ", ".join(str(name) for name in clip_ids[:4])
                raise TrainingFailed(
                    f"loss is {value} at epoch {self.epoch}, step {self.first_step + len(self.values)} (clips"
                    f" {clips} ...): lower optimizer.learning_rate or clip"
                )
            self.values.append(value)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, Exception):
            self.look()
