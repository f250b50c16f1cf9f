"""YAMNet's patches per second: batches of 32 beside one at a time; and what a store saves. Prints Markdown
tables.

    python benchmarks/yamnet.py [--seconds 4] [--clips 320]

The network has random weights: speed does not depend on them. Patches are 0.975 s of sound every 0.48 s.
Medians of five runs, all cores.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as audiomtl does, which is imported later

import h5py
import numpy as np
import tensorflow as tf

from audiomtl.data import audio
from audiomtl.nn import yamnet
from audiomtl.nn.yamnet_store import EmbeddingStore

BATCH, RUNS = 32, 5


def per_second(run: Callable[[], int], seconds: float) -> float:
    """Patches per second, median of runs of ``seconds`` each."""
    run()
    rates = []
    for _ in range(RUNS):
        begin, patches = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds / RUNS:
            patches += run()
        rates.append(patches / (time.perf_counter() - begin))
    return statistics.median(rates)


def random_weights(place: Path) -> Path:
    random = np.random.default_rng(0)
    with h5py.File(place, "w") as file:
        for name, shape in yamnet.weight_shapes().items():
            layer, _, weight = name.partition("/")
            number, _, part = layer.removesuffix("_bn").partition("_")
            of = "dense" if layer == "scores" else f"{number}/{part}{'/bn' if layer.endswith('_bn') else ''}"
            file[f"{of}/{weight}:0"] = np.float32(
                np.abs(random.normal(0, 0.1, shape)) + (weight == "moving_variance")
            )
    return place


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Patches per second of YAMNet, and of five folds from a store."
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clips", type=int, default=320)
    options = parser.parse_args()
    body = yamnet.body(0)
    compiled = tf.function(body)
    some = tf.random.stateless_normal((BATCH, yamnet.PATCH_FRAMES, yamnet.BANDS), (0, 1))
    ways: dict[str, Callable[[], int]] = {
        "one at a time": lambda: len(compiled(some[:1])),
        f"batches of {BATCH}": lambda: len(compiled(some)),
    }
    rates = {way: per_second(run, options.seconds) for way, run in ways.items()}
    first = next(iter(rates.values()))
    print(
        "| way | patches per second | real time / it | ratio | target |\n| --- | ---: | ---: | ---: | --- |"
    )
    for way, rate in rates.items():
        target = "400" if way.startswith("batches") else ""
        print(
            f"| {way} | {rate:.0f} | {rate * yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE:.0f} |"
            f" {rate / first:.1f} | {target} |"
        )

    with tempfile.TemporaryDirectory() as name:
        folder, random, paths = Path(name), np.random.default_rng(0), []
        for number in range(options.clips):
            paths.append(str(folder / f"{number}.wav"))
            audio.save(
                paths[-1], random.uniform(-0.3, 0.3, 5 * yamnet.SAMPLE_RATE), sample_rate=yamnet.SAMPLE_RATE
            )
        weights = random_weights(folder / "yamnet.h5")
        EmbeddingStore(folder / "warm", weights).activations(paths[:4])
        begin = time.perf_counter()
        EmbeddingStore(folder / "store", weights).activations(paths)
        once = time.perf_counter() - begin
        begin = time.perf_counter()
        for _ in range(5):
            EmbeddingStore(folder / "five", weights).activations(paths)
        five = time.perf_counter() - begin
    print(f"\n{options.clips} clips of 5 s: one extraction {once:.2f} s, five folds {five:.2f} s")
    print(f"five folds / one extraction: {five / once:.2f} (target at most 1.2)")


if __name__ == "__main__":
    main()
