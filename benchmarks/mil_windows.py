"""One network on every window: windows folded into the batch beside Keras's `TimeDistributed`. Prints a
Markdown table.

    python benchmarks/mil_windows.py [--windows 23 60 119] [--steps 8]

The answer's network (13 MFCC, 216 frames) with mean pooling, 4 songs a batch, SGD, the same optimizer and
loss; each row is measured in a process of its own, because the first step's cost is building and tracing.
Medians of the later steps; wall time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np

BANDS, FRAMES, CLASSES, SONGS = 13, 216, 3, 4


def measure(way: str, n_windows: int, steps: int) -> dict[str, float]:
    import keras
    import tensorflow as tf

    from audiomtl.families.mil.network import mil_network
    from audiomtl.families.mil.settings import Network
    from audiomtl.settings.pooling import Pooling

    network = Network(
        window="answer", filters=16, hidden=32, dropout=0.0, batch_normalization=False, loss="clip"
    )
    pooling = Pooling(
        name="mean",
        evaluation="same",
        quantile=0.75,
        sharpness=5.0,
        top_k=3,
        units=32,
        heads=4,
        autopool_limit=0.0,
        autopool_penalty=0.0,
    )
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(SONGS, n_windows, BANDS, FRAMES, 1)).astype(np.float32))
    y = tf.constant(rng.integers(0, CLASSES, SONGS).astype(np.int32))
    begin = time.perf_counter()
    folded = mil_network(network, pooling, bands=BANDS, frames=FRAMES, classes=CLASSES)
    if way == "folded":
        flat, counts = tf.reshape(x, (-1, BANDS, FRAMES, 1)), tf.fill([SONGS], n_windows)

        def predict():
            return folded([flat, counts], training=True)["clip"]

        model = folded
    else:
        inner = keras.Model(
            folded.get_layer("window_network").input, folded.get_layer("window_network").output
        )
        one = keras.Sequential([inner, keras.layers.Dense(CLASSES, activation="softmax")])
        model = keras.Sequential(
            [
                keras.Input((n_windows, BANDS, FRAMES, 1)),
                keras.layers.TimeDistributed(one),
                keras.layers.GlobalAveragePooling1D(),
            ]
        )

        def predict():
            return model(x, training=True)

    optimizer = keras.optimizers.SGD(0.01)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, predict()))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    step().numpy()
    first = time.perf_counter() - begin
    later = []
    for _ in range(steps):
        begin = time.perf_counter()
        step().numpy()
        later.append(time.perf_counter() - begin)
    return {"first": first, "later": statistics.median(later)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Folded windows beside TimeDistributed.")
    parser.add_argument("--windows", type=int, nargs="+", default=[23, 60, 119])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], int(arguments.measure[1]), arguments.steps)))
        return
    print(
        "| windows | first step, folded | TimeDistributed | later step, folded | TimeDistributed | folded /"
        " TimeDistributed |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for n_windows in arguments.windows:
        took = {}
        for way in ("folded", "time_distributed"):
            command = [
                sys.executable,
                __file__,
                "--steps",
                str(arguments.steps),
                "--measure",
                way,
                str(n_windows),
            ]
            took[way] = json.loads(
                subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            )
        ours, theirs = took["folded"], took["time_distributed"]
        cells = [f"{one['first']:.2f} s" for one in (ours, theirs)] + [
            f"{1000 * one['later']:.0f} ms" for one in (ours, theirs)
        ]
        print(f"| {n_windows} | {' | '.join(cells)} | {ours['later'] / theirs['later']:.2f} |")
    print(
        "\ntargets: first step at 119 windows at most 1.0 s and flat; a later step at most 0.9 of"
        " TimeDistributed"
    )


if __name__ == "__main__":
    main()
