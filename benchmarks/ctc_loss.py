"""CPU time of the CTC loss, value and gradient: ours, `keras.losses.CTC`, and torch where there is one.

Run ``python benchmarks/ctc_loss.py [--torch-python PATH] [--rounds N]``; it prints a Markdown table. Medians
of `time.process_time` (the work of all threads) over interleaved rounds; both losses of ours are wrapped in
one `tf.function` each. Full lengths, because `keras.losses.CTC` takes no others. torch (extra `bench`) is
measured in a process of its own: with the interpreter at PATH, or this one.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SIZES = [(16, 200, 40, 30), (16, 400, 40, 60)]  # batch, frames, classes, labels
TARGETS = [8, 10]  # times cheaper than keras.losses.CTC


def inputs(size: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Logits (batch, frames, classes) and labels (batch, labels), the same for everyone."""
    batch, frames, classes, labels = size
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, frames, classes)).astype(np.float32), rng.integers(
        1, classes, (batch, labels)
    ).astype(np.int32)


def cpu_milliseconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU time of each call, taken in turns after two calls to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(-2, rounds):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            if turn >= 0:
                times[name].append(1000 * (time.process_time() - begin))
    return {name: statistics.median(values) for name, values in times.items()}


def measure_tensorflow(size: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    import keras
    import tensorflow as tf

    from audiomtl.nn.ctc import ctc_loss

    batch, frames, _, n_labels = size
    logits, labels = map(tf.constant, inputs(size))
    frame_lengths, label_lengths = tf.fill([batch], frames), tf.fill([batch], n_labels)
    keras_loss = keras.losses.CTC(reduction="none")

    def with_gradient(loss):
        @tf.function
        def step():
            with tf.GradientTape() as tape:
                tape.watch(logits)
                values = loss()
            return values, tape.gradient(values, logits)

        return step

    ours = with_gradient(lambda: ctc_loss(logits, frame_lengths, labels, label_lengths))
    theirs = with_gradient(lambda: keras_loss(labels, logits))
    for mine, other, tolerance in zip(ours(), theirs(), (1e-3, 1e-2), strict=True):
        np.testing.assert_allclose(mine, other, atol=tolerance, rtol=1e-5)  # the same work
    return cpu_milliseconds({"ours": lambda: ours()[1].numpy(), "keras": lambda: theirs()[1].numpy()}, rounds)


def measure_torch(size: tuple[int, int, int, int], rounds: int) -> dict[str, float]:
    import torch

    batch, frames, _, n_labels = size
    logits, labels = map(torch.tensor, inputs(size))
    frame_lengths, label_lengths = torch.full((batch,), frames), torch.full((batch,), n_labels)

    def step():
        leaf = logits.clone().requires_grad_()
        scores = torch.nn.functional.log_softmax(leaf, dim=2).transpose(0, 1)
        torch.nn.functional.ctc_loss(
            scores, labels, frame_lengths, label_lengths, reduction="none"
        ).sum().backward()
        return leaf.grad

    return cpu_milliseconds({"torch": step}, rounds)


def torch_times(python: str, rounds: int) -> list[dict[str, float]]:
    """What a process of ``python`` measures with torch; nothing where it has none."""
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        return [{} for _ in SIZES]
    command = [python, __file__, "--only-torch", "--rounds", str(rounds)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="CPU time of the CTC loss, value and gradient.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--torch-python", default=sys.executable, help="an interpreter that has torch (default: this one)"
    )
    parser.add_argument("--only-torch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only_torch:
        print(json.dumps([measure_torch(size, arguments.rounds) for size in SIZES]))
        return
    torch = torch_times(arguments.torch_python, arguments.rounds)
    print(
        "| batch, frames, classes, labels | audiomtl | keras.losses.CTC | torch | keras / audiomtl | target |"
    )
    print("|---|---|---|---|---|---|")
    for size, target, other in zip(SIZES, TARGETS, torch, strict=True):
        times = {"torch": float("nan")} | other | measure_tensorflow(size, arguments.rounds)
        columns = " | ".join(
            "not installed" if np.isnan(times[name]) else f"{times[name]:.1f} ms"
            for name in ("ours", "keras", "torch")
        )
        print(
            f"| {', '.join(map(str, size))} | {columns} | {times['keras'] / times['ours']:.1f} | {target} |"
        )


if __name__ == "__main__":
    main()
