"""YAMNet as published: its sizes, and its weights read from file.

Source as in `yamnet`, which is built of these. Contents: the sizes, `shape_before`, `weight_shapes`,
`read_weights`, `set_weights`, `class_names`.
"""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.errors import UserError

SAMPLE_RATE = 16000  # Hz
WINDOW, HOP, FFT = 400, 160, 512  # samples
BANDS, LOW_HZ, HIGH_HZ, OFFSET = 64, 125.0, 7500.0, 0.001
PATCH_FRAMES, PATCH_HOP = 96, 48  # frames
PATCH_SAMPLES, PATCH_HOP_SAMPLES = 15600, PATCH_HOP * HOP
CLASSES, SIZE = 521, 1024  # AudioSet classes; numbers of an embedding
EPSILON = 1e-4  # of batch normalisation
# (stride, filters) of each block: a convolution, then 13 depthwise-separable ones, all 3 x 3
BLOCKS = (
    (2, 32),
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *((1, 512),) * 5,
    (2, 1024),
    (1, 1024),
)


def shape_before(block: int) -> tuple[int, int, int]:
    """Shape of what enters a block (1 to 14; 15: what leaves the last): time, band, channel."""
    time, band = PATCH_FRAMES, BANDS
    for stride, _ in BLOCKS[: block - 1]:
        time, band = -(-time // stride), -(-band // stride)
    return time, band, BLOCKS[block - 2][1] if block > 1 else 1


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights, such as ``layer2_pointwise_conv/kernel`` and
    ``layer2_pointwise_conv_bn/beta``.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for number, (_, filters) in enumerate(BLOCKS, start=1):
        channels = shape_before(number)[2]
        parts = {"conv": (3, 3, 1, filters)} if number == 1 else {}
        parts |= (
            {"depthwise_conv": (3, 3, channels, 1), "pointwise_conv": (1, 1, channels, filters)}
            if number > 1
            else {}
        )
        for part, kernel in parts.items():
            name = f"layer{number}_{part}"
            shapes[f"{name}/kernel"] = kernel
            size = (kernel[2] if part == "depthwise_conv" else kernel[3],)
            shapes |= {f"{name}_bn/{one}": size for one in ("beta", "moving_mean", "moving_variance")}
    return shapes | {"scores/kernel": (SIZE, CLASSES), "scores/bias": (CLASSES,)}


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """All weights by the names of `weight_shapes`, from the published ``yamnet.h5`` or ``yamnet.tflite``.

    Of the TFLite file kernels of 8 bits are multiplied out, and batch normalisation, which is folded into
    kernels and biases, becomes a shift.

    Raises
    ------
    UserError : the file cannot be read, lacks a weight, or has one of another shape: it is cut off, or of
        another network.
    """
    try:
        found = _read_tflite(path) if path.suffix == ".tflite" else _read_h5(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{path}: cannot be read as weights ({' '.join(str(error).split())[:160]}); download it again"
        ) from error
    for name, shape in weight_shapes().items():
        if name not in found:
            raise UserError(
                f"{path}: has no {name}: not YAMNet's weights, or truncated; download them with `audiomtl"
                " data fetch yamnet`"
            )
        if found[name].shape != shape:
            raise UserError(
                f"{path}: {name} has the shape {found[name].shape}, but YAMNet's is {shape}: not YAMNet's"
                " weights"
            )
    return {name: found[name] for name in weight_shapes()}


PLACE = re.compile(
    r"(?:^|/)(layer\d+)/(conv|depthwise_conv|pointwise_conv)(/bn)?/(?:depthwise_)?(kernel|beta|moving_mean|moving_variance)(?::0)?$"
)
LOGITS = re.compile(r"(?:^|/)(?:dense|logits)(?:_\d+)?/(kernel|bias)(?::0)?$")


def _read_h5(path: Path) -> dict[str, np.ndarray]:
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if place := PLACE.search(name):
            layer, part, bn, weight = place.groups()
            found[f"{layer}_{part}{'_bn' if bn else ''}/{weight}"] = np.asarray(item, np.float32)
        elif place := LOGITS.search(name):
            found[f"scores/{place[1]}"] = np.asarray(item, np.float32)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _read_tflite(path: Path) -> dict[str, np.ndarray]:
    import warnings

    found: dict[str, np.ndarray] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the interpreter will move to another package
        interpreter = tf.lite.Interpreter(model_content=path.read_bytes())
    for detail in interpreter.get_tensor_details():
        name, shape = detail["name"].split(";")[0], tuple(detail["shape"])
        place = re.search(
            r"(layer\d+)/(conv|depthwise_conv|pointwise_conv)/(?:Conv2D|bn/FusedBatchNormV3)$", name
        )
        if place and len(shape) in (1, 4) and (len(shape) == 1 or shape[0] > 1 or shape[1:3] == (3, 3)):
            of, values = f"{place[1]}_{place[2]}", _dequantised(interpreter, detail)
            if len(shape) == 1:
                found[f"{of}_bn/beta"] = values
                found[f"{of}_bn/moving_mean"] = np.zeros_like(values)
                found[f"{of}_bn/moving_variance"] = np.full_like(values, 1 - EPSILON)
            else:
                found[f"{of}/kernel"] = values.transpose(1, 2, 3, 0)
        elif name.endswith("dense/MatMul") and shape == (CLASSES, SIZE):
            found["scores/kernel"] = _dequantised(interpreter, detail).T
        elif shape == (CLASSES,):
            found["scores/bias"] = _dequantised(interpreter, detail)
    return found


def _dequantised(interpreter: Any, detail: Mapping[str, Any]) -> np.ndarray:
    values = interpreter.get_tensor(detail["index"])
    scheme = detail["quantization_parameters"]
    if not len(scheme["scales"]):
        return values.astype(np.float32)
    shape = [1] * values.ndim
    shape[scheme["quantized_dimension"]] = -1
    return (
        (values.astype(np.float32) - scheme["zero_points"].reshape(shape)) * scheme["scales"].reshape(shape)
    ).astype(np.float32)


def set_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> keras.Model:
    """Put weights into every layer of a model (and of the models in it) that has their name."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            set_weights(layer, weights)
        for variable in (
            layer.weights if f"{layer.name}/kernel" in weights or f"{layer.name}/beta" in weights else []
        ):
            variable.assign(weights[f"{layer.name}/{variable.name}"])
    return model


def class_names(path: Path) -> tuple[str, ...]:
    """The 521 names of AudioSet classes from ``yamnet_class_map.csv`` (index, mid, display_name)."""
    with path.open(newline="", encoding="utf-8") as file:
        names = tuple(row["display_name"] for row in csv.DictReader(file))
    if len(names) != CLASSES:
        raise UserError(
            f"{path}: has {len(names)} classes, but YAMNet has {CLASSES}; use the published"
            " yamnet_class_map.csv"
        )
    return names
