"""audiomtl: sweep, track, reproduce and ablate audio networks. See the README and docs/.

Importing it is light: what a name stands for is imported when the name is first used, and TensorFlow when a
model is.

Contents: `__version__`, which pyproject.toml reads from here; `load`, `Model`, `trials`, `runs`,
`predictions`, `clips`, `train`, `doctor`.
"""

import os as _os
from importlib import import_module as _import_module

# TensorFlow reads it when it is imported. By itself it takes the kernels of oneDNN only on processors with
# certain instruction sets; its own round differently and take up to five times as long.
_os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__version__ = "0.1.0"
_PLACES = {
    "load": "harness.use.trained",
    "Model": "harness.use.trained",
    "trials": "harness.notebook",
    "runs": "harness.notebook",
    "predictions": "harness.notebook",
    "clips": "harness.notebook",
    "train": "harness.notebook",
    "doctor": "nn.doctor",
}
__all__ = ["Model", "__version__", "clips", "doctor", "load", "predictions", "runs", "train", "trials"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(_import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
