"""The family ``tinylab.tone``; see the package."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl.data import audio, catalog, protocols, splits
from audiomtl.data.pipeline import batch_order
from audiomtl.nn import fit as fitting
from audiomtl.nn.steps import Steps

# on purpose: an exact restart must be seen to fail without the optimizer's state
if os.environ.get("TINYLAB_DROP_OPTIMIZER"):

    def _without_optimizer(self, arrays):
        for index, variable in enumerate(self.model.variables):
            variable.assign(arrays[f"model_{index}"])

    Steps.restore = _without_optimizer

# "EPOCH:BATCH:PATH": there a training makes the file, and stays until it is killed or the file is removed
HOLD = os.environ.get("TINYLAB_HOLD", "")


@dataclass(frozen=True)
class Prepared:
    splits: splits.Splits
    examples: dict[str, Any]  # side -> (clip ids, inputs (clips, 16), labels (clips,))
    facts: dict[str, float]


@dataclass
class Fitted:
    model: keras.Model
    fit: fitting.Fit

    @property
    def parameters(self) -> int:
        return self.model.count_params()


def prepare(settings, seed: int) -> Prepared:
    sides = protocols.divide(catalog.clips(settings.data), settings.data, settings.protocol, seed)
    examples = {}
    for side, table in sides.sides().items():
        inputs = np.stack(
            [np.abs(audio.load(path, sample_rate=None)).reshape(16, 100).mean(1) for path in table["path"]]
        )
        examples[side] = (
            list(table["clip_id"]),
            20 * inputs.astype(np.float32),
            table["label"].to_numpy(np.int32),
        )
    return Prepared(sides, examples, {"train/clips": float(len(sides.train))})


def train(settings, prepared: Prepared, seed: int, on_epoch, checkpoint) -> Fitted:
    network = settings.network
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16,)),
            layers.Dense(network.units, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(2),
        ]
    )
    ids, inputs, labels = prepared.examples["train"]
    _fault(network.fault)

    def batches(epoch: int):
        for number, rows in enumerate(
            batch_order([1] * len(ids), settings.training.batch_size, seed=seed, epoch=epoch)
        ):
            if HOLD.startswith(f"{epoch}:{number}:"):
                held = Path(HOLD.split(":", 2)[2])
                held.touch()
                while held.exists():
                    time.sleep(0.05)
            time.sleep(network.pause_seconds)
            yield {"clip_ids": [ids[row] for row in rows], "inputs": inputs[rows], "labels": labels[rows]}

    def loss(model, batch):
        logits = model(batch["inputs"], training=True)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["labels"], logits)
        return tf.reduce_mean(losses) * (float("nan") if network.fault == "nan" else 1.0)

    result = fitting.fit(
        model,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=lambda epoch: loss,
        score=lambda epoch: {
            f"validation/{name}": value
            for name, value in _scores(model, prepared.examples["validation"]).items()
        },
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return Fitted(model, result)


def _fault(fault: str) -> None:
    if fault == "raise":
        raise RuntimeError("as ordered")
    if fault == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    marker = Path(os.environ.get("AUDIOMTL_RUNS", "runs")) / "fault"
    if fault == "kill" or (fault == "kill once" and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)  # as the out-of-memory killer does
    if fault == "disk once" and not marker.exists():
        marker.touch()
        raise OSError(errno.ENOSPC, "No space left on device", "checkpoint")
    if fault == "hang":
        time.sleep(3600)
    if fault == "memory":
        held = []
        for _ in range(16):  # 2 GB: the worker may be too busy to look
            held.append(np.ones(2**24))
        time.sleep(3600)


def _scores(model, examples) -> dict[str, float]:
    _, inputs, labels = examples
    logits = model(inputs, training=False)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()
    return {"loss": float(losses.mean()), "error_rate": float((logits.numpy().argmax(1) != labels).mean())}


def outputs(fitted: Fitted, examples):
    return examples  # each function looks for itself: what a walk gives is the family's own affair


def evaluate(fitted: Fitted, examples) -> dict[str, float]:
    return _scores(fitted.model, examples)


def predict(fitted: Fitted, examples) -> pd.DataFrame:
    ids, inputs, labels = examples
    return pd.DataFrame(
        {"clip_id": ids, "truth": labels, "predicted": fitted.model(inputs, training=False).numpy().argmax(1)}
    )


def pictures(fitted: Fitted, examples, folder: Path) -> None:
    """Not pictures: the weights, so that a test can compare every bit of them."""
    np.savez(
        folder / "weights.npz",
        **{str(index): variable.numpy() for index, variable in enumerate(fitted.model.variables)},
    )


def save(fitted: Fitted, folder: Path) -> None:
    folder.mkdir(parents=True)
    fitted.model.save(folder / "model.keras")
