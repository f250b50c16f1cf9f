"""What a whole study costs, beside the same trainings by hand: plain Optuna, Keras and MLflow in one process,
and KerasTuner where it is installed (extra ``bench``).

1. 24 trials of 60 short epochs: seconds of the whole process, with one slot and with two.
2. One training of about a minute: what the harness adds to ``model.fit``.
3. 100 trials of one epoch: memory of the worker, and of the process that trains by hand.

The trainings are those of ``tests/lab``: a dense network on 16 numbers a clip, one TensorFlow thread each::

    python benchmarks/whole_study.py [1] [2] [3]
"""

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
LAB = ROOT / "tests" / "lab"
PARTS = {"1", "2", "3"}

# by hand, in a process of its own; prints a line of JSON: seconds of the fits, memory after each trial (MB)
BY_HAND = """
import json, os, sys, time
tool, trials, epochs, batch, clips, folder = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
import keras, mlflow, numpy as np, psutil, tensorflow as tf
from mlflow.entities import Metric
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
random = np.random.default_rng(0)
labels = np.arange(clips) % 2
inputs = ((0.4 + 0.4 * labels[:, None]) * random.standard_normal((clips, 16))).astype(np.float32)
train, held_out = slice(0, clips * 9 // 16), slice(clips * 9 // 16, clips * 3 // 4)
seconds, memory = [], []
def network(units, rate):
    model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(units, "relu"),
        keras.layers.BatchNormalization(), keras.layers.Dropout(0.3), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(rate, 0.9, True, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model
client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
experiment = client.create_experiment("by hand", artifact_location=f"{folder}/artifacts")
class Log(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.run = client.create_run(experiment).info.run_id
        self.began = time.perf_counter()
    def on_epoch_end(self, epoch, logs=None):
        now = int(time.time() * 1000)
        client.log_batch(self.run, [Metric(key, float(value), now, epoch + 1) for key, value in logs.items()])
    def on_train_end(self, logs=None):
        seconds.append(time.perf_counter() - self.began)
        client.set_terminated(self.run)
        memory.append(psutil.Process().memory_info().rss / 2**20)
fit = dict(epochs=epochs, batch_size=batch, verbose=0, callbacks=[Log()],
    validation_data=(inputs[held_out], labels[held_out]))
if tool == "optuna":
    import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    def objective(trial):
        keras.utils.set_random_seed(0)
        units = trial.suggest_categorical("units", [4, 8])
        rate = trial.suggest_float("rate", 1e-3, 1e-1, log=True)
        model = network(units, rate)
        return min(model.fit(inputs[train], labels[train], **fit).history["val_loss"])
    sampler = optuna.samplers.TPESampler(seed=3)
    study = optuna.create_study(storage=f"sqlite:///{folder}/optuna.db", sampler=sampler)
    study.optimize(objective, n_trials=trials)
else:
    import keras_tuner
    build = lambda hp: network(hp.Choice("units", [4, 8]), hp.Float("rate", 1e-3, 1e-1, sampling="log"))
    options = dict(objective="val_loss", max_trials=trials, seed=3, directory=folder)
    tuner = keras_tuner.BayesianOptimization(build, **options)
    fit.pop("verbose")
    tuner.search(inputs[train], labels[train], verbose=0, **fit)
print(json.dumps({"seconds": seconds, "memory": memory}))
"""


def by_hand(
    tool: str, trials: int, epochs: int, batch: int, clips: int
) -> tuple[float, dict[str, list[float]]]:
    """Seconds of the whole process, and what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        words = [str(number) for number in (trials, epochs, batch, clips)]
        done = subprocess.run(
            [sys.executable, "-c", BY_HAND, tool, *words, folder], capture_output=True, text=True, check=True
        )
        return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


class Study:
    """The same by the command, in a project of its own."""

    def __init__(self, folder: Path, trials: int, epochs: int, batch: int, clips: int) -> None:
        self.folder = folder
        changes = {"experiments": ("tiny.toml", {"epochs": epochs, "batch_size": batch, "clips": clips})}
        changes["studies"] = (
            "tiny_study.toml",
            {"trials": trials, "prune_after_epochs": 10**6},
        )  # all to their end
        for kind, (source, values) in changes.items():
            text = (LAB / source).read_text()
            for key, value in values.items():
                text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
            (folder / kind).mkdir()
            (folder / kind / "tiny.toml").write_text(text)
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(LAB), str(ROOT)])}
        self.environment |= {"AUDIOMTL_RUNS": str(folder / "runs"), "AUDIOMTL_CACHE": str(folder / "cache")}

    def run(self, slots: int) -> tuple[float, list[float]]:
        """Seconds of the whole process, and memory of the worker (MB), read ten times a second."""
        script = str(Path(sys.executable).with_name("audiomtl"))
        began, memory = time.perf_counter(), []
        with (self.folder / "log.txt").open("w") as log:
            worker = subprocess.Popen(
                [script, "study", "tiny", "--slots", str(slots)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
            while worker.poll() is None:
                memory.append(psutil.Process(worker.pid).memory_info().rss / 2**20)
                time.sleep(0.1)
        seconds = time.perf_counter() - began
        if worker.returncode:
            raise SystemExit((self.folder / "log.txt").read_text())
        return seconds, memory

    def costs(self, name: str) -> list[float]:
        """A cost of every run."""
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{self.folder / 'runs' / 'mlflow.db'}")
        [experiment] = [one for one in client.search_experiments() if one.name == "tiny"]
        found = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'", max_results=1000)
        return [run.data.metrics[f"cost/{name}"] for run in found]


def trials_of_a_second() -> None:
    shape = (24, 60, 2, 64)
    rows = {"plain Optuna + Keras + MLflow, one process": by_hand("optuna", *shape)[0]}
    if importlib.util.find_spec("keras_tuner"):
        rows["KerasTuner + MLflow, one process"] = by_hand("keras_tuner", *shape)[0]
    else:
        print("KerasTuner is not installed (pip install -e '.[bench]'): left out")
    for slots in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            rows[f"audiomtl study --slots {slots}"] = Study(Path(folder), *shape).run(slots)[0]
    first = next(iter(rows.values()))
    print(
        "24 trials of 60 short epochs, seconds of the whole process with its imports\n\n| | seconds | speed |"
    )
    print("|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.1f} | {first / seconds:.2f} |")


def a_training_of_a_minute() -> None:
    shape = (1, 60, 1, 2048)
    _, hand = by_hand("optuna", *shape)
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), *shape)
        study.run(1)
        [trained], [wall] = study.costs("seconds"), study.costs("wall_seconds")
    print("\none training, 60 epochs, seconds\n")
    print("| model.fit by hand | audiomtl, training alone | with child and record |")
    print("|---|---|---|")
    print(f"| {hand['seconds'][0]:.1f} | {trained:.1f} | {wall:.1f} |")
    share = 100 * (wall - trained) / trained
    print(f"\naround the training: {wall - trained:.2f} s, {share:.1f} %")
    print(f"all of it over model.fit: {wall / hand['seconds'][0]:.2f}")


def memory_of_many_trials() -> None:
    shape = (100, 1, 8, 64)
    memory = by_hand("optuna", *shape)[1]["memory"]
    with tempfile.TemporaryDirectory() as folder:
        worker = Study(Path(folder), *shape).run(1)[1]
    started = worker[len(worker) // 10]  # after its imports
    print(
        "\n100 trials, memory in MB\n\n| | after the first trials | at the end | growth |\n|---|---|---|---|"
    )
    print(f"| by hand, one process | {memory[4]:.0f} | {memory[-1]:.0f} | {memory[-1] - memory[4]:+.0f} |")
    last = statistics.median(worker[-10:])
    print(f"| audiomtl, the worker | {started:.0f} | {last:.0f} | {last - started:+.0f} |")


def main() -> None:
    chosen = set(sys.argv[1:]) or PARTS
    if not chosen <= PARTS:
        raise SystemExit(f"parts are {', '.join(sorted(PARTS))}")
    if "1" in chosen:
        trials_of_a_second()
    if "2" in chosen:
        a_training_of_a_minute()
    if "3" in chosen:
        memory_of_many_trials()


if __name__ == "__main__":
    main()
