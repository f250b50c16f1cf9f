"""A shipped experiment with a value for every setting that its kinds do not use, so that a test can
change a kind alone.
"""

from pathlib import Path
from typing import Any

from audiomtl import config
from audiomtl.settings import published
from audiomtl.settings.family import settings_class
from audiomtl.settings.fields import known_paths
from audiomtl.settings.toml import read

PROJECT = Path(__file__).parents[1]
FEATURES = {
    **{
        "features.kind": "log_mel",
        "features.sample_rate": 16000,
        "features.window_seconds": 0.025,
        "features.hop_seconds": 0.010,
    },
    **{
        "features.n_fft": 512,
        "features.bands": 64,
        "features.coefficients": 20,
        "features.low_hz": 125.0,
        "features.high_hz": 7500.0,
    },
    **{"features.floor_db": -60.0, "features.scaling": "none"},
}
POOLING = {
    **{
        "pooling.quantile": 0.75,
        "pooling.sharpness": 5.0,
        "pooling.top_k": 3,
        "pooling.units": 32,
        "pooling.heads": 4,
    },
    **{"pooling.autopool_limit": 0.0, "pooling.autopool_penalty": 0.0},
}
OPTIMIZER = {
    **{"optimizer.momentum": 0.0, "optimizer.nesterov": False, "optimizer.weight_decay": 0.0},
    **{"optimizer.plateau_factor": 0.5, "optimizer.plateau_patience": 3},
}
CLASSIFIER = {"trees": 500, "inverse_regularization": 0.1, "neighbours": 5, "kernel": "rbf"}
UNUSED = {
    **FEATURES,
    **POOLING,
    **OPTIMIZER,
    **{f"{table}.{name}": value for table in ("classifier", "head") for name, value in CLASSIFIER.items()},
    **{
        "protocol.test_share": 0.2,
        "protocol.validation_share": 0.2,
        "protocol.stratified": False,
        "protocol.column": "",
    },
    **{
        "protocol.folds": 5,
        "protocol.test_values": [1],
        "protocol.validation_values": [1],
        "protocol.rotations": 1,
    },
    **{
        "network.frames_share": 0.5,
        "network.convolution_frames": 5,
        "network.filters": 16,
        "network.hidden": 32,
    },
    **{
        "network.batch_normalization": False,
        "extractor.weights": "",
        "extractor.patch_seconds": 0.975,
        "extractor.hop_seconds": 0.48,
    },
    **{
        "fine_tune.rate_share": 0.1,
        "fine_tune.from_epoch": 0,
        "encoder.pool_bands": [2, 2],
        "encoder.units": 32,
        "encoder.shift_bands": 0,
    },
    **{
        "balancing.temperature": 2.0,
        "balancing.asymmetry": 1.5,
        "balancing.rate": 0.025,
        "balancing.c": 0.5,
    },
    **{
        "join.size": 16,
        "join.learn_weights": True,
        "join.rank": 4,
        "join.heads": 4,
        "join.by": "",
        "join.kernel": 5,
    },
    **{"join.hidden": [], "join.dropout": 0.0, "heads.*.threshold": 0.5},
    **{
        "modalities.*.size": 16,
        "modalities.*.filters": [16],
        "modalities.*.kernel": 3,
        "modalities.*.pool": 2,
    },
    **{"modalities.*.coordinates": False, "modalities.*.encoder": "lstm", "modalities.*.weight": 1.0},
    **{"modalities.*.weights": ""},
}


def whole_settings(name: str) -> dict[str, Any]:
    """Raw settings of ``experiments/NAME.toml``, without ``[expected]`` and ``[ablation]``."""
    raw = read(PROJECT / "experiments" / f"{name}.toml")
    for key in ("ablation", "expected", *published.KEYS):
        raw.pop(key, None)
    own = config.flatten(raw)
    missing = {}
    for path in known_paths(settings_class(raw, name), raw):
        first, *inner = path.split(".")
        general = f"{first}.*.{inner[-1]}" if len(inner) == 2 else path
        if path not in own and general in UNUSED:
            missing[path] = UNUSED[general]
    return config.override(raw, missing)
