"""A sound read as YAMNet's embeddings against convolutions of its features, and both together, in fusion.

Run ``python benchmarks/fusion_embeddings.py [--seeds S ...]``; it prints a Markdown table. Clips are ESC-10
of AUDIOMTL_DATA on its published folds, one label from one recording, with the data of mil_esc10 and one set
of settings for all networks, none of which was tuned. Accuracies are on validation, means over seeds; no test
clip is scored. CPU seconds are of a training in one thread, and of computing the inputs of all clips in an
empty cache.
"""

import argparse
import os
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as audiomtl does, which is imported later

import numpy as np
import tensorflow as tf

from audiomtl import config
from audiomtl.families.fusion import model as fusion
from audiomtl.nn.fit import seed_everything

EPOCHS, SHARED = 20, ("data", "protocol")
YAMNET = {
    "kind": "audio",
    "column": "path",
    "encoder": "yamnet",
    "weights": "",
    "size": 64,
    "pooling": "mean",
}
FRAMES = {
    **{"kind": "audio", "column": "path", "encoder": "embedding", "pooling": "mean"},
    **{"filters": [32, 64], "kernel": 5, "pool": 2},
}
NETWORKS = {
    "convolutions of log-mel bands": {"frames": FRAMES},
    "YAMNet's embeddings": {"patches": YAMNET},
    "both, concatenated": {"frames": FRAMES, "patches": YAMNET},
}


def settings_of(modalities: dict[str, Any]) -> Any:
    raw, clips = (config.load_experiment(name).raw for name in ("fusion_pictures", "mil_esc10"))
    raw = raw | {name: clips[name] for name in SHARED} | {"modalities": modalities}
    join = {"kind": "concatenation", "hidden": [], "dropout": 0.2, "leave_out": []}
    changes = {
        **{"features.bands": 64, "modality_dropout": 0.0},
        **{"training.epochs": EPOCHS, "training.batch_size": 16, "optimizer.learning_rate": 0.002},
        **{"optimizer.schedule": "cosine", "optimizer.clipnorm": 5.0},
        **{"training.monitor": "validation/loss", "training.monitor_direction": "minimize"},
    }
    raw["protocol"] = {name: value for name, value in raw["protocol"].items() if name != "leaky"}
    return config.settings_of(config.override(raw | {"join": join}, changes), "fusion_embeddings")


def measured(settings: Any, seeds: list[int]) -> list[str]:
    """Cells of a row: accuracy, parameters, CPU seconds of inputs and of a training."""
    scores, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUDIOMTL_CACHE"] = folder
        seed_everything(0)
        began = time.process_time()
        fusion.prepare(settings, seeds[0])
        inputs = time.process_time() - began
        for seed in seeds:
            prepared = fusion.prepare(settings, seed)
            seed_everything(seed)
            began = time.process_time()
            fitted = fusion.train(settings, prepared, seed, lambda epoch, scores: True, None)
            seconds.append(time.process_time() - began)
            found = fusion.outputs(fitted, prepared.examples["validation"])
            scores.append(np.mean([clip.label == answer["clip"].argmax() for clip, answer in found]))
    shown = ", ".join(f"{score:.3f}" for score in scores)
    return [
        f"{np.mean(scores):.3f} ({shown})",
        f"{fitted.parameters:,}",
        f"{inputs:.1f} s",
        f"{np.mean(seconds):.1f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4])
    given = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print("| input | accuracy on validation | parameters | inputs of all clips | a training |")
    print("|---|---|---|---|---|")
    for name, modalities in NETWORKS.items():
        print(f"| {name} | {' | '.join(measured(settings_of(modalities), given.seeds))} |", flush=True)


if __name__ == "__main__":
    main()
