"""A tiny experiment of every family on thirty sounds of a second: settings, clips, and what must be equal bit
for bit.

Contents: `sounds`, `raw_settings`, `FAMILIES`, `untrained`, `digest`.
"""

import hashlib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio
from audiomtl.nn.fit import Fit, seed_everything
from tests.nn import yamnet_weights
from tests.whole_settings import whole_settings

PROJECT = Path(__file__).parents[2]
RATE = 16000
CLIPS, FOLDS, SOURCES = 30, 5, 15
PITCHES = {"a": 400.0, "b": 900.0, "c": 1700.0}
FAMILIES = ("baseline", "ctc", "fusion", "mil", "multitask", "transfer")


def sounds(folder: Path) -> Path:
    """Write clips (a tone somewhere in noise), their table ``clips.parquet`` and weights of a YAMNet that
    has learned nothing.
    """
    folder.mkdir(parents=True)
    rows = []
    for number in range(CLIPS):
        random, name = np.random.default_rng(number), "abc"[number % 3]
        seconds = float(random.uniform(0.7, 1.4))
        y = 0.02 * random.standard_normal(round(seconds * RATE))
        start = float(random.uniform(0.1, 0.2))
        end = start + 0.4
        inside = slice(round(start * RATE), round(end * RATE))
        y[inside] += 0.3 * np.sin(2 * np.pi * PITCHES[name] * np.arange(len(y))[inside] / RATE)
        audio.save(folder / f"{number:02}.wav", y, sample_rate=RATE)
        matplotlib.image.imsave(folder / f"{number:02}.png", random.uniform(0, 1, (8, 8, 3)))
        rows.append({
            "path": f"{number:02}.wav", "clip_id": f"clip_{number:02}", "kind": name, "fold": number // 3 % FOLDS + 1,
            "source": f"source_{number % SOURCES:02}", "picture": str(folder / f"{number:02}.png"), "words": ["say", name],
            "passages": [[start, end]], "phones": ["_", name, "_"], "starts": [0.0, start, end], "ends": [start, end, seconds],
            "notes": [[start, end, 60.0 + number % 3]], "age": float(number % 3),
            "tags": [["low"], ["low", "odd"], []][number % 3] + ["late"] * (start > 0.15),
        })  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "clips.parquet")
    yamnet_weights.write(folder / "yamnet.h5")
    return folder


def raw_settings(family: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """Settings of a family on the sounds in ``folder``, every source of chance switched on.

    ``a__b`` is the setting path a.b.
    """
    raw = whole_settings(SHIPPED[family])
    if family == "multitask":
        raw["decoding"] = {}  # of the shipped heads, in whose place tests have others
    if family != "ctc":
        raw["data"] = {
            "dataset": "manifest",
            "table": str(folder / "clips.parquet"),
            "on_bad": "error",
            "label": "kind",
        }
        raw["data"]["groups"] = ["source"]
        raw["protocol"] |= {"kind": "folds", "column": "fold"}
    if family == "fusion":
        raw["modalities"] = {
            name: (
                raw["modalities"]["picture"]
                | {
                    "kind": kind,
                    "column": column,
                    "size": 8,
                    "filters": [4],
                    "pooling": "mean",
                }
            )
            for name, kind, column in (
                ("picture", "image", "picture"),
                ("sound", "audio", "path"),
                ("words", "text", "words"),
            )
        }
    if family == "transfer":
        raw["extractor"]["weights"] = str(folder / "yamnet.h5")
    return config.override(
        raw,
        COMMON[family] | TINY[family] | {path.replace("__", "."): value for path, value in changes.items()},
    )


SHIPPED = {
    "baseline": "baseline_esc10",
    "ctc": "quickstart",
    "fusion": "fusion_pictures",
    "mil": "mil_songs",
    "multitask": "multitask_scenes",
    "transfer": "transfer_esc10",
}
SMALL = {
    "seeds": [1],
    "study_seed": 0,
    "features.kind": "log_mel",
    "features.sample_rate": RATE,
    "features.window_seconds": 0.032,
    "features.hop_seconds": 0.016,
    "features.n_fft": 512,
    "features.bands": 16,
    "features.low_hz": 50.0,
    "features.high_hz": 8000.0,
}
TRAINED = SMALL | {
    "training.epochs": 3,
    "training.batch_size": 6,
    "training.monitor": "validation/loss",
    "training.monitor_direction": "minimize",
    "training.patience": 0,
    "optimizer.name": "adam",
    "optimizer.learning_rate": 0.003,
    "optimizer.schedule": "plateau",
    "optimizer.plateau_patience": 1,
}
COMMON = {family: SMALL if family == "baseline" else TRAINED for family in FAMILIES}
TINY: dict[str, dict[str, Any]] = {
    "baseline": {"classifier.name": "random_forest", "classifier.trees": 20},
    "ctc": {
        "protocol.test_values": [1, 4],
        "protocol.validation_values": [1, 4],
        "data.held_out_speakers": [1, 1],
        "data.held_out_sentences": [4, 4],
        "data.speakers": 4,
        "data.sentences": 20,
        "data.blocks": 5,
        "data.clips": 40,
        "data.own_words_share": 0.05,
        "features.scaling": "minmax",
        "network.time_reduction": 2,
        "network.objective": "frames_then_ctc",
        "network.frames_share": 0.3,  # one epoch of three
        "network.units": [8],
        "network.dropout": 0.2,
        "network.convolution_filters": 8,
    },
    "fusion": {
        "modality_dropout": 0.3,
        "join.kind": "concatenation",
        "join.by": "words",
        "join.size": 8,
        "join.heads": 2,
        "join.hidden": [8],
        "join.dropout": 0.2,
        "features.scaling": "per_band_train",
    },
    "mil": {
        "windows.seconds": 0.3,
        "windows.tail": "pad",
        "windows.bag_windows": 3,
        "network.window": "statistics",
        "network.dropout": 0.2,
    },
    "multitask": {
        "inputs.text": "",
        "encoder.kind": "article",
        "encoder.filters": [4, 4],
        "encoder.pool_frames": [4, 4],
        "encoder.units": 8,
        "encoder.dropout": 0.2,
        "encoder.noise": 0.2,
        "encoder.shift_bands": 2,
        "heads.activity.weight": 1.0,
        "balancing.method": "random",
    },
    "transfer": {
        "fine_tune.blocks": 0,
        "head.kind": "dense",
        "head.hidden": [8],
        "head.dropout": 0.3,
        "head.mixup_alpha": 0.4,
        "pooling.name": "mean",
        "pooling.of": "logits",
    },
}


def untrained(model: ModuleType, settings: Any, prepared: Any) -> Any:
    """What a family's `train` gives before the first step, without the seconds that a training takes; of a
    family without epochs the trained model.
    """
    none = Fit(best_epoch=0, best_score=0.0)
    seed_everything(1)  # as the child of a training does; without it each run of a test has other weights
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "fit", lambda *_, **options: none, raising=False)
        return model.train(settings, prepared, 1, lambda epoch, scores: True, None)


def digest(folder: Path) -> str:
    """Of every array in a folder: a saved model (``model.keras``, ``train.npz``), the last checkpoint
    (``epoch.npz``).
    """
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path, allow_pickle=False) as stored:
            for name in sorted(set(stored.files) - {"state"}):  # which tells the seconds
                total.update(stored[name].tobytes())
    for path in sorted(folder.rglob("*.keras")):
        with (
            zipfile.ZipFile(path) as archive,
            archive.open("model.weights.h5") as stored,
            h5py.File(stored) as file,
        ):
            file.visititems(
                lambda name, item: (
                    total.update(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None
                )
            )
    return total.hexdigest()
