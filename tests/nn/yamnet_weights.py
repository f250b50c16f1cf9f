"""The published weights, and a file of random ones in the layout of the published ``yamnet.h5``."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from audiomtl.nn.yamnet_weights import weight_shapes

PUBLISHED = Path(os.environ.get("AUDIOMTL_DATA", "data")) / "yamnet" / "yamnet.tflite"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_file(), reason=f"{PUBLISHED} is absent: set AUDIOMTL_DATA"
)


def write(path: Path, seed: int = 0) -> Path:
    random = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for name, shape in weight_shapes().items():
            layer, _, weight = name.partition("/")
            if layer == "scores":
                place = f"dense/dense/{weight}:0"
            else:
                number, part = layer.removesuffix("_bn").split("_", 1)
                of = f"{number}/{part}{'/bn' if layer.endswith('_bn') else ''}"
                place = f"{of}/{of}/{'depthwise_' if part == 'depthwise_conv' and weight == 'kernel' else ''}{weight}:0"
            scale = np.sqrt(2 / np.prod(shape[:-1])) if weight == "kernel" and shape[-1] > 1 else 0.4
            values = random.normal(0, scale, shape)
            file[place] = np.float32(
                np.abs(values) + 0.5
                if weight == "moving_variance"
                else 0.1 * values
                if len(shape) == 1
                else values
            )
    return path
