"""From nothing to the first line of a training: a child of the forkserver against a fresh Python that imports
TensorFlow.

Prints medians in seconds and their ratio. The first child waits for the server's own imports and is given
apart.
"""

import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from audiomtl.harness.train.forkserver import start_forkserver

ROUNDS = 5


def _enter(pipe) -> None:
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    pipe.send(time.time())


def child(context) -> float:
    """Seconds until a child of the forkserver has TensorFlow and Keras at hand."""
    ours, theirs = context.Pipe()
    began = time.time()
    process = context.Process(target=_enter, args=(theirs,))
    process.start()
    entered = ours.recv()
    process.join()
    return entered - began


def fresh() -> float:
    """Seconds until a new interpreter has."""
    began = time.time()
    code = "import tensorflow, keras, time; print(time.time())"
    return (
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        - began
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = start_forkserver("ctc", Path(folder) / "forkserver.log")
        first = child(context)
        children, interpreters = [], []
        for _ in range(ROUNDS):
            children.append(child(context))
            interpreters.append(fresh())
    ours, theirs = statistics.median(children), statistics.median(interpreters)
    print(f"medians of {ROUNDS}, seconds until TensorFlow and Keras can be used\n")
    print("| child of the forkserver | fresh interpreter | ratio | first child, with the server's start |")
    print("|---|---|---|---|")
    print(f"| {ours:.3f} | {theirs:.2f} | {theirs / ours:.0f} | {first:.2f} |")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
