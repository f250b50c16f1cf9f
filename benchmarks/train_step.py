"""CPU time of a training step: ours, plain Keras `fit`, XLA and mixed precision, on networks of families.

Run ``python benchmarks/train_step.py [--only NAME ...] [--seconds S]``; it prints a Markdown table. All ways
train the same network from the same weights on the same batches with the same loss and optimizer, in one
process with one thread, in turns; times are medians of `time.process_time` per step. Networks, batches and
losses are those of generated experiments; ``ctc`` is the network of the article "CTC model does not learn" on
(16, 300, 257) with random lengths.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as audiomtl does, which is imported later

import keras
import numpy as np
import tensorflow as tf

from audiomtl import config
from audiomtl.families.ctc.network import recurrent_network
from audiomtl.nn import fit as loop
from audiomtl.nn.ctc import ctc_loss
from audiomtl.nn.steps import Steps
from audiomtl.settings.shared import Optimizer

EXPERIMENTS = ("mil_songs", "multitask_scenes")
BATCH, FRAMES, BANDS, CLASSES, UNITS = 16, 300, 257, 40, (100, 100, 150)
BATCHES, EQUAL_STEPS = 2, 2
SGD = {"momentum": 0.9, "nesterov": True, "decay": 0.0, "clipnorm": 5.0, "global_clipnorm": 0.0}
Way = Callable[[Sequence[Any]], list[float]]  # batches -> their losses, or of `fit` the mean of them


@dataclass(frozen=True)
class Case:
    """What a family gives to its training loop."""

    name: str
    model: Any
    optimizer: Optimizer
    batches: list[dict[str, np.ndarray]]
    loss: Callable[[Any, Any], Any]


class _Captured(BaseException):
    pass


def of_experiment(name: str) -> Case:
    """The network, first batches and loss of an experiment, taken from the call of its training loop."""
    file = config.load_experiment(name)
    family, found = config.family("model", file.raw["model"]), []

    def capture(model: Any, **given: Any) -> None:
        batches = [
            {key: value for key, value in batch.items() if key != "clip_ids"}
            for batch, _ in zip(given["batches"](0), range(BATCHES), strict=False)
        ]
        found.append(Case(name, model, given["optimizer"], batches, given["loss"](0)))
        raise _Captured

    original = family.fit
    setattr(family, "fit", capture)  # noqa: B010
    try:
        loop.seed_everything(1)
        family.train(file.settings, family.prepare(file.settings, 1), 1, lambda *_: True, None)
    except _Captured:
        pass
    finally:
        setattr(family, "fit", original)  # noqa: B010
    return found[0]


def of_article() -> Case:
    loop.seed_everything(1)
    random = np.random.default_rng(0)
    batches = []
    for _ in range(BATCHES):
        lengths = random.integers(FRAMES // 2, FRAMES + 1, BATCH).astype(np.int32)
        lengths[0] = FRAMES
        frames = random.normal(size=(BATCH, FRAMES, BANDS)).astype(np.float32)
        batches.append(
            {
                "frames": frames * (np.arange(FRAMES) < lengths[:, None])[:, :, None],
                "lengths": lengths,
                "labels": random.integers(1, CLASSES, (BATCH, 30)).astype(np.int32),
                "label_lengths": np.full(BATCH, 30, np.int32),
            }
        )

    def loss(model: Any, batch: Any) -> Any:
        logits = model([batch["frames"], batch["lengths"]], training=True)
        return tf.reduce_mean(ctc_loss(logits, batch["lengths"], batch["labels"], batch["label_lengths"]))

    model = recurrent_network(BANDS, CLASSES, units=UNITS)
    optimizer = Optimizer(name="sgd", learning_rate=0.01, schedule="constant", **SGD)
    return Case("ctc", model, optimizer, batches, loss)


# ---------------------------------------------------------------- ways


def ours(case: Case) -> Way:
    step = Steps(case.model, loop.make_optimizer(case.optimizer)).compiled(case.loss)

    def run(batches: Sequence[Any]) -> list[float]:
        losses = [step(batch, case.optimizer.learning_rate) for batch in batches]
        return [float(loss) for loss in losses]

    return run


def plain(case: Case) -> Way:
    """`keras.Model.fit`, with a model whose output is its loss."""
    network = getattr(case.model, "network", case.model)

    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def call(self, batch: Any) -> Any:
            return case.loss(case.model, batch)

        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **__: Any) -> Any:
            return y_pred

    model = Plain()
    model.compile(optimizer=loop.make_optimizer(case.optimizer), jit_compile=False)
    shapes = {
        key: tf.TensorSpec([None] * np.ndim(value), np.asarray(value).dtype)
        for key, value in case.batches[0].items()
    }

    def run(batches: Sequence[Any]) -> list[float]:
        data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes)
        history = model.fit(
            data.prefetch(1), epochs=1, steps_per_epoch=len(batches), verbose=0, shuffle=False
        )
        return [history.history["loss"][0]]

    return run


def compiled_by_xla(case: Case) -> Way:
    model, optimizer = case.model, loop.make_optimizer(case.optimizer)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=True)
    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            value = case.loss(model, batch)
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
        return value

    return lambda batches: [
        float(step({key: tf.convert_to_tensor(value) for key, value in batch.items()})) for batch in batches
    ]


# ---------------------------------------------------------------- measurements


def per_step(ways: dict[str, Way], batches: Sequence[Any], seconds: float) -> dict[str, float]:
    """Median milliseconds of CPU per step of each way, in turns; ``seconds`` for all of them together."""
    first = next(iter(ways.values()))
    began = time.process_time()
    first(batches)
    each = (time.process_time() - began) / len(batches)
    count = int(np.clip(seconds / (5 * len(ways) * each), len(batches), 40))
    some = [batches[number % len(batches)] for number in range(count)]
    times: dict[str, list[float]] = {name: [] for name in ways}
    until = time.process_time() + seconds
    while not times[next(iter(ways))] or time.process_time() < until:
        for name, way in ways.items():
            began = time.process_time()
            way(some)
            times[name].append(1000 * (time.process_time() - began) / count)
    return {name: statistics.median(values) for name, values in times.items()}


def of_case(make: Callable[[], Case], seconds: float) -> list[str]:
    """Rows of the first table."""
    case = make()
    start = [variable.numpy() for variable in case.model.variables]

    def first_losses(way: Way) -> float:
        for variable, value in zip(case.model.variables, start, strict=True):
            variable.assign(value)
        return float(np.mean(way(case.batches[:EQUAL_STEPS])))

    ways, losses, failed = {}, {}, {}
    makers = {"audiomtl": ours, "keras fit": plain, "audiomtl, XLA": compiled_by_xla}
    for name, maker in makers.items():
        try:
            way = maker(case)
            losses[name] = first_losses(way)
        except Exception as error:
            failed[name] = type(error).__name__
        else:
            way(case.batches)  # compiled for all shapes
            ways[name] = way
    times = per_step(ways, case.batches, seconds)
    policy = "mixed_bfloat16"
    try:
        keras.config.set_dtype_policy(policy)
        other = replace(make(), name=policy)
        way = ours(other)
        losses[policy] = float(np.mean(way(other.batches[:EQUAL_STEPS])))
        way(other.batches)
        times |= per_step({policy: way}, other.batches, seconds / 4)
    except Exception as error:
        failed[policy] = type(error).__name__
    finally:
        keras.config.set_dtype_policy("float32")
    apart = {name: abs(loss / losses["audiomtl"] - 1) for name, loss in losses.items()}
    rows = [
        f"| {case.name} | {name} | {value:.1f} | {value / times['audiomtl']:.2f} | {apart[name]:.1g} |"
        for name, value in times.items()
    ]
    return rows + [f"| {case.name} | {name} | no step: {error} | | |" for name, error in failed.items()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="of measurement per network")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("ctc", *EXPERIMENTS),
        default=("ctc", *EXPERIMENTS),
        help="networks (default: all)",
    )
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}\n")
    print("| network | way | ms of CPU a step | times audiomtl | losses apart (relative) |")
    print("|---|---|---|---|---|", flush=True)
    for name in ("ctc", *EXPERIMENTS):
        if name in arguments.only:
            make = of_article if name == "ctc" else lambda name=name: of_experiment(name)
            print("\n".join(of_case(make, arguments.seconds)), flush=True)
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
