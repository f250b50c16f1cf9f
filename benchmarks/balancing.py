"""What balancing costs: a training step of a small network with three tasks, for each of the ten methods
against ``fixed``.

The step as `audiomtl.families.multitask` trains it, compiled: two of the heads read every step, one the clip.
Prints medians, measured in turn so that all methods meet the same load, and their ratio to ``fixed``. Methods
that look at gradients go backward once more for each task.
"""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from audiomtl.families.multitask import heads
from audiomtl.families.multitask.balancing import Balancing, methods
from audiomtl.families.multitask.encoder import encoder
from audiomtl.families.multitask.settings import Encoder
from audiomtl.nn.fit import seed_everything

ROUNDS = 30
CLIPS, FRAMES, BANDS, CLASSES = 8, 200, 40, 10
HEADS = {"clip": "clip_class", "when": "segments", "what": "phones"}


def network() -> keras.Model:
    chosen = Encoder(
        kind="recurrent",
        filters=(8, 16),
        pool_frames=(2, 2),
        pool_bands=(2, 2),
        units=32,
        dropout=0.0,
        noise=0.0,
        shift_bands=0,
    )
    frames, lengths = keras.Input((None, BANDS)), keras.Input((), dtype="int32")
    steps = encoder(chosen, [float(band) for band in range(BANDS)], seed=0)([frames, lengths])
    outputs = {
        name: heads.kind(kind).output(name, steps, lengths, classes=CLASSES, bands=BANDS, stride=4)
        for name, kind in HEADS.items()
    }
    return keras.Model([frames, lengths], outputs)


def batch() -> dict[str, np.ndarray]:
    random, steps = np.random.default_rng(0), FRAMES // 4
    return {
        "frames": random.normal(size=(CLIPS, FRAMES, BANDS)).astype(np.float32),
        "lengths": np.full(CLIPS, FRAMES, np.int32),
        "clip": random.integers(0, CLASSES, CLIPS).astype(np.int32),
        "when": random.integers(0, 2, (CLIPS, steps, CLASSES)).astype(np.float32),
        "what": random.integers(0, CLASSES, (CLIPS, steps)).astype(np.int32),
    }


def step(method: str) -> Callable[[], object]:
    """One step of training, traced."""
    seed_everything(0)
    model, balancer, given = (
        network(),
        Balancing(method, [1.0] * len(HEADS)),
        {name: tf.constant(x) for name, x in batch().items()},
    )
    shared = model.get_layer("encoder").trainable_variables
    variables = [*model.trainable_variables, *balancer.trainable_variables]
    optimizer, weight, own = keras.optimizers.Adam(1e-3), tf.ones(CLIPS), tf.fill([CLIPS], FRAMES // 4)
    optimizer.build(variables)
    balancer.begin_epoch()

    @tf.function
    def train() -> tf.Tensor:
        with tf.GradientTape() as outer:
            with tf.GradientTape(persistent=True) as tape:
                outputs = model([given["frames"], given["lengths"]], training=True)
                losses = [
                    heads.kind(kind).loss(outputs[name], given[name], weight, own)
                    for name, kind in HEADS.items()
                ]
            value = balancer.combine(losses, tf.ones(len(HEADS)), tape, shared)
        optimizer.apply(outer.gradient(value, variables), variables)
        return value

    assert np.isfinite(float(train())), method
    return lambda: float(train())


def main() -> None:
    tf.get_logger().setLevel("ERROR")  # ten functions are traced, and that is meant
    steps = {method: step(method) for method in methods()}
    times: dict[str, list[float]] = {method: [] for method in methods()}
    for _ in range(ROUNDS):
        for method, run in steps.items():
            began = time.perf_counter()
            run()
            times[method].append(time.perf_counter() - began)
    medians = {method: statistics.median(seconds) for method, seconds in times.items()}
    print(f"{len(HEADS)} tasks, {CLIPS} clips of {FRAMES} frames, medians of {ROUNDS} steps")
    print("| method | step | by fixed |")
    print("|---|---|---|")
    for method, seconds in medians.items():
        print(f"| {method} | {1000 * seconds:.1f} ms | {seconds / medians['fixed']:.2f} |")


if __name__ == "__main__":
    main()
