"""What mil_songs would reach if it were told which bars carry the style.

Run ``python benchmarks/songs_oracle.py [EXPERIMENT] [--seeds S ...]``. The oracle is the experiment's own
network, trained, chosen and tested on the windows that lie in the passages of their clip for at least half
of their length, as the score of evidence counts them; a clip without such a window keeps all its windows.
Beside it stand the recorded scores of the network that has to find the passages itself. It prints a Markdown
table; one training per seed, of about a minute of CPU.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as audiomtl does, which is imported later

import tensorflow as tf

from audiomtl import config
from audiomtl.families.mil import model as mil
from audiomtl.families.mil.examples import Example
from audiomtl.families.mil.settings import Settings
from audiomtl.nn.fit import seed_everything


def told(examples: Sequence[Example], settings: Settings) -> list[Example]:
    """Each clip with the windows of its passages alone."""
    found = []
    for one in examples:
        evidence = mil._evidence(one, settings)
        if evidence is None:
            raise SystemExit(f"clip {one.clip_id}: its passages are not known, so there is no oracle")
        found.append(replace(one, first=one.first[evidence]) if evidence.any() else one)
    return found


def oracle(settings: Settings, seed: int) -> dict[str, float]:
    """Scores on test."""
    seed_everything(seed)
    prepared = mil.prepare(settings, seed)
    kept = {side: told(some, settings) for side, some in prepared.examples.items()}
    seed_everything(seed)  # again, as the harness does
    fitted = mil.train(settings, replace(prepared, examples=kept), seed, lambda epoch, scores: True, None)
    return mil.evaluate(fitted, mil.outputs(fitted, kept["test"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="mil_songs")
    parser.add_argument("--seeds", type=int, nargs="+")
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    file = config.load_experiment(given.experiment)
    seeds = given.seeds or list(file.settings.seeds)
    by_seed = {seed: oracle(file.settings, seed)["accuracy"] for seed in seeds}  # type: ignore[arg-type]
    recorded = dict(
        zip(file.expected["recorded"]["seeds"], file.expected["test/accuracy"]["per_seed"], strict=True)
    )
    print(f"| test accuracy of {file.name} | {' | '.join(f'seed {seed}' for seed in seeds)} | mean |")
    print(f"| --- | {'--- | ' * (len(seeds) + 1)}")
    for name, values in (("told the passages", by_seed), ("recorded: finds them itself", recorded)):
        cells = [f"{values[seed]:.4f}" for seed in seeds]
        print(f"| {name} | {' | '.join(cells)} | {fmean(values[seed] for seed in seeds):.4f} |")


if __name__ == "__main__":
    main()
