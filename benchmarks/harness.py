"""What the harness costs: its training loop, with scores, atomic checkpoints and a pipe, against plain
``model.fit``.

The same network, data, batches and optimizer: a framewise network on random frames, so that Keras can compute
the loss by itself. Prints the medians of whole trainings after the first epoch, which holds the tracing of
both, and their ratio.
"""

import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from audiomtl.families.ctc.network import recurrent_network
from audiomtl.nn import ctc, fit
from audiomtl.settings.shared import Optimizer, Training

ROUNDS, EPOCHS = 3, 4
CLIPS, FRAMES, BANDS, CLASSES, BATCH = 192, 100, 80, 40, 16
OPTIMIZER = Optimizer(
    name="sgd",
    learning_rate=0.02,
    momentum=0.9,
    nesterov=True,
    weight_decay=0.0,
    decay=0.0,
    clipnorm=5.0,
    global_clipnorm=0.0,
    schedule="constant",
    plateau_factor=0.5,
    plateau_patience=3,
)
TRAINING = Training(
    epochs=EPOCHS, batch_size=BATCH, monitor="validation/loss", monitor_direction="minimize", patience=0
)


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (clips, frames, bands), lengths (clips,), labels (clips, frames)."""
    random = np.random.default_rng(0)
    frames = random.standard_normal((CLIPS, FRAMES, BANDS)).astype(np.float32)
    return (
        frames,
        np.full(CLIPS, FRAMES, np.int32),
        random.integers(1, CLASSES, (CLIPS, FRAMES)).astype(np.int32),
    )


def ours(folder: Path) -> float:
    """Seconds of the epochs after the first, through `audiomtl.nn.fit`, checkpoint included."""
    frames, lengths, labels = data()
    fit.seed_everything(0)
    model = recurrent_network(BANDS, CLASSES, units=(100, 100), dropout=0.1)
    marks = []

    def batches(epoch: int):
        order = np.random.default_rng((0, epoch)).permutation(CLIPS)
        for start in range(0, CLIPS, BATCH):
            rows = order[start : start + BATCH]
            yield {"clip_ids": [], "frames": frames[rows], "lengths": lengths[rows], "labels": labels[rows]}

    def loss(model, batch):
        logits = model([batch["frames"], batch["lengths"]], training=True)
        return tf.reduce_mean(ctc.frames_loss(logits, batch["lengths"], batch["labels"]))

    def on_epoch(epoch: int, scores: dict[str, float]) -> bool:
        marks.append(time.perf_counter())
        return True

    fit.fit(
        model,
        optimizer=OPTIMIZER,
        training=TRAINING,
        batches=batches,
        loss=lambda epoch: loss,
        score=lambda epoch: {"validation/loss": 0.0},
        on_epoch=on_epoch,
        checkpoint=fit.Checkpoint(folder),
    )
    return marks[-1] - marks[0]


def plain() -> float:
    """Seconds of the epochs after the first, through ``model.fit``."""
    frames, lengths, labels = data()
    fit.seed_everything(0)
    model = recurrent_network(BANDS, CLASSES, units=(100, 100), dropout=0.1)
    model.compile(fit.make_optimizer(OPTIMIZER), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    marks = []
    mark = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter()))
    model.fit([frames, lengths], labels, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[mark])
    return marks[-1] - marks[0]


def main() -> None:
    mine, theirs = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            mine.append(ours(Path(folder)))
        theirs.append(plain())
    first, second = statistics.median(mine), statistics.median(theirs)
    print(f"medians of {ROUNDS}, seconds for {EPOCHS - 1} epochs of {CLIPS // BATCH} steps\n")
    print("| audiomtl, checkpoint each epoch | keras model.fit, no checkpoint | ratio |")
    print("|---|---|---|")
    print(f"| {first:.2f} | {second:.2f} | {first / second:.2f} |")


if __name__ == "__main__":
    main()
