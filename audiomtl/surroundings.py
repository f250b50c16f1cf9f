"""Pinned Keras settings, so that a training does not depend on the user's configuration.

Keras reads ``KERAS_BACKEND`` and ``keras.json`` in ``KERAS_HOME`` (or ``~/.keras``) once, when it is
imported. `import_keras` imports it with a ``keras.json`` of this package and puts the person's environment
back. Everything in this project that needs Keras is below ``audiomtl.nn``, whose import does that first.

Contents: `KERAS`, `import_keras`, `keras_environment`, `keras_text`, `ignored`, `computing_variables`.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from audiomtl.errors import UserError

# as in keras.json
KERAS = {
    "backend": "tensorflow",
    "floatx": "float32",
    "image_data_format": "channels_last",
    "epsilon": 1e-07,
}
KERNELS = {"TF_ENABLE_ONEDNN_OPTS": "1"}  # by this package, when it is imported; see audiomtl/__init__.py
KERAS_HOME = Path(__file__).parent / "keras_home"  # holds keras.json
# variables of the environment whose names begin so may change last bits: which kernels are chosen, how a sum
# is divided
COMPUTING = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "OPENBLAS_", "NPY_", "NVIDIA_", "CUDA_", "CUDNN_", "CUBLAS_")


def keras_text() -> str:
    """The pinned settings as they stand in records: ``tensorflow float32 channels_last 1e-07``."""
    return " ".join(map(str, KERAS.values()))


def ignored() -> str:
    """One line where the environment asks for another backend, which is not taken; else nothing."""
    asked = os.environ.get("KERAS_BACKEND", "")
    return (
        f"KERAS_BACKEND={asked} is ignored: audiomtl trains with {KERAS['backend']}"
        if asked not in ("", KERAS["backend"])
        else ""
    )


def computing_variables() -> str:
    """Variables of the environment that may change last bits and were not set by this package, as
    ``NAME=value`` separated by spaces: kept with every run.
    """
    return " ".join(
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith(COMPUTING) and KERNELS.get(name) != value
    )


@contextlib.contextmanager
def keras_environment() -> Iterator[None]:
    """The environment in which Keras is imported, here or in a process that is started meanwhile."""
    pinned = {"KERAS_BACKEND": str(KERAS["backend"]), "KERAS_HOME": str(KERAS_HOME)}
    before = {name: os.environ.get(name) for name in pinned}
    os.environ.update(pinned)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def import_keras() -> None:
    """Import Keras with the pinned settings; set them where it was imported before.

    Raises
    ------
    UserError : Keras was imported before with another backend, which cannot be changed any more.
    """
    before = "keras" in sys.modules
    with keras_environment():
        import keras
    if keras.config.backend() != KERAS["backend"]:
        raise UserError(
            f"keras was imported with the backend {keras.config.backend()} before audiomtl, which needs"
            f" {KERAS['backend']}: set KERAS_BACKEND={KERAS['backend']}, or import audiomtl.nn first"
        )
    if before:
        keras.config.set_floatx(KERAS["floatx"])
        keras.config.set_image_data_format(KERAS["image_data_format"])
        keras.config.set_epsilon(KERAS["epsilon"])
