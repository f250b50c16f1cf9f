"""YAMNet in plain Keras 3 layers: waveform to AudioSet scores, embeddings and log-mel spectrogram, with the
published weights.

Source: https://github.com/tensorflow/models/tree/master/research/audioset/yamnet (Plakal and Ellis,
Apache-2.0), a MobileNet v1 (Howard et al., 2017). 16 kHz mono in [-1, 1]; magnitudes of a 400-sample periodic
Hann window every 160 samples in an FFT of 512; 64 mel bands from 125 to 7500 Hz; log(x + 0.001); patches of
96 frames every 48. A waveform is filled up with zeros to one patch (15,600 samples) and then to whole hops of
7,680: 5 s are 10 patches. The last ``tail_blocks`` of the 14 blocks can be built apart from the rest, so that
what is frozen is computed once.

Contents: `log_mel`, `patches_of`, `yamnet`, `core`, `body`, `tail`, `read_weights`, `set_weights`,
`class_names`.
"""

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf
from keras import layers

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
# what features are: a part of every key and export
PROFILE = {
    "name": "yamnet",
    "sample_rate": SAMPLE_RATE,
    "window_samples": WINDOW,
    "hop_samples": HOP,
    "n_fft": FFT,
    "spectrum": "magnitude",
    "bands": BANDS,
    "low_hz": LOW_HZ,
    "high_hz": HIGH_HZ,
    "log_offset": OFFSET,
    "patch_frames": PATCH_FRAMES,
    "patch_hop_frames": PATCH_HOP,
}


# ---------------------------------------------------------------- front end


def padded(waveform: tf.Tensor) -> tf.Tensor:
    """Fill a waveform (n_samples,) up with zeros to one patch and then to whole hops."""
    n = tf.shape(waveform)[0]
    beyond = tf.maximum(n - PATCH_SAMPLES, 0)
    hops = (beyond + PATCH_HOP_SAMPLES - 1) // PATCH_HOP_SAMPLES
    return tf.pad(waveform, [[0, PATCH_SAMPLES + hops * PATCH_HOP_SAMPLES - n]])


def log_mel(waveform: tf.Tensor) -> tf.Tensor:
    """(n_samples,) at 16 kHz -> (n_frames, 64); frame t begins at sample 160 t, nothing is centred."""
    spectrum = tf.abs(tf.signal.stft(waveform, WINDOW, HOP, FFT))  # (n_frames, 257), periodic Hann
    return tf.math.log(tf.matmul(spectrum, tf.constant(_mel_matrix())) + OFFSET)


@cache
def _mel_matrix() -> np.ndarray:  # (257, 64): not librosa's, which differs by up to 4.4e-3
    with tf.init_scope():
        return tf.signal.linear_to_mel_weight_matrix(
            BANDS, FFT // 2 + 1, SAMPLE_RATE, LOW_HZ, HIGH_HZ
        ).numpy()


def patches_of(frames: tf.Tensor) -> tf.Tensor:
    """(n_frames, 64) -> (n_patches, 96, 64), every 48 frames."""
    # views of halves: tf.signal.frame would copy by gathering each frame
    halves = tf.reshape(frames[: tf.shape(frames)[0] // PATCH_HOP * PATCH_HOP], [-1, PATCH_HOP, BANDS])
    return tf.concat([halves[:-1], halves[1:]], axis=1)


@keras.saving.register_keras_serializable(package="audiomtl")
class LogMel(layers.Layer):
    """A waveform (n_samples,) of any length, filled up, to its log-mel spectrogram (n_frames, 64)."""

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        return log_mel(padded(waveform))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (None, BANDS)


@keras.saving.register_keras_serializable(package="audiomtl")
class Patches(layers.Layer):
    """(n_frames, 64) -> (n_patches, 96, 64)."""

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        return patches_of(frames)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (None, PATCH_FRAMES, BANDS)


# ---------------------------------------------------------------- networks


@keras.saving.register_keras_serializable(package="audiomtl")
class WaveformModel(keras.Model):
    """A model whose input is one waveform (n_samples,), not a batch."""

    def predict(self, x: Any, *args: Any, **options: Any) -> NoReturn:
        raise UserError(
            "predict cuts a waveform into batches of 32 samples: call the model itself, model(waveform) with"
            " (n_samples,) at 16 kHz, or use `audiomtl predict EXPERIMENT FILE`"
        )


def _block(x: Any, number: int) -> Any:
    stride, filters = BLOCKS[number - 1]
    name = f"layer{number}"

    def normalised(x: Any, part: str) -> Any:
        x = layers.BatchNormalization(center=True, scale=False, epsilon=EPSILON, name=f"{name}_{part}_bn")(x)
        return layers.ReLU(name=f"{name}_{part}_relu")(x)

    if number == 1:
        return normalised(
            layers.Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x), "conv"
        )
    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = normalised(x, "depthwise_conv")
    return normalised(
        layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_pointwise_conv")(x),
        "pointwise_conv",
    )


def shape_before(block: int) -> tuple[int, int, int]:
    """Shape of what enters a block (1 to 14; 15: what leaves the last): time, band, channel."""
    time, band = PATCH_FRAMES, BANDS
    for stride, _ in BLOCKS[: block - 1]:
        time, band = -(-time // stride), -(-band // stride)
    return time, band, BLOCKS[block - 2][1] if block > 1 else 1


def core() -> keras.Model:
    """Patches (n, 96, 64) -> {"scores": (n, 521), "embeddings": (n, 1024)}: 3,751,369 parameters."""
    inputs = layers.Input((PATCH_FRAMES, BANDS), name="patches")
    x = layers.Reshape((PATCH_FRAMES, BANDS, 1), name="as_picture")(inputs)
    for number in range(1, len(BLOCKS) + 1):
        x = _block(x, number)
    embeddings = layers.GlobalAveragePooling2D(name="embeddings")(x)
    scores = layers.Dense(CLASSES, activation="sigmoid", name="scores")(embeddings)
    return keras.Model(inputs, {"scores": scores, "embeddings": embeddings}, name="yamnet_core")


def yamnet() -> keras.Model:
    """The whole: ``model(waveform)`` -> {"scores", "embeddings", "log_mel_spectrogram"} of one waveform
    (n_samples,) at 16 kHz.
    """
    waveform = keras.Input(batch_shape=(None,), name="waveform")
    frames = LogMel(name="log_mel")(waveform)
    outputs = core()(Patches(name="patches")(frames))
    return WaveformModel(waveform, {**outputs, "log_mel_spectrogram": frames}, name="yamnet")


def body(tail_blocks: int) -> keras.Model:
    """Patches (n, 96, 64) -> what enters the last ``tail_blocks`` blocks, flat (n, size).

    Of 0 blocks: the embeddings (n, 1024).
    """
    inputs = layers.Input((PATCH_FRAMES, BANDS), name="patches")
    x = layers.Reshape((PATCH_FRAMES, BANDS, 1), name="as_picture")(inputs)
    for number in range(1, len(BLOCKS) + 1 - tail_blocks):
        x = _block(x, number)
    x = layers.Flatten()(x) if tail_blocks else layers.GlobalAveragePooling2D(name="embeddings")(x)
    return keras.Model(inputs, x, name="yamnet_body")


def body_size(tail_blocks: int) -> int:
    """Numbers per patch that `body` gives."""
    return int(np.prod(shape_before(len(BLOCKS) + 1 - tail_blocks))) if tail_blocks else SIZE


def tail(tail_blocks: int, weights: Mapping[str, np.ndarray], rate_share: float) -> keras.Model:
    """The last blocks as a model to fine-tune: what `body` gives (n, size) -> embeddings (n, 1024).

    Convolutions are the published ones plus a trained difference; batch normalisation is frozen. An optimizer
    with step sizes of its own (Adam and its kind) moves the kernels by ``rate_share`` times what it moves
    other weights; weight decay draws them back to the published ones.
    """
    first = len(BLOCKS) + 1 - tail_blocks
    inputs = layers.Input((body_size(tail_blocks),), name="activations")
    x = layers.Reshape(shape_before(first), name="as_picture")(inputs)
    for number in range(first, len(BLOCKS) + 1):
        x = Tuned(number, rate_share, name=f"layer{number}")(x)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="embeddings")(x), name="yamnet_tail")
    for number in range(first, len(BLOCKS) + 1):
        model.get_layer(f"layer{number}").start_from(weights)
    return model


@keras.saving.register_keras_serializable(package="audiomtl")
class Tuned(layers.Layer):
    """One depthwise-separable block: fixed kernels plus ``rate_share`` times trained differences, batch
    normalisation folded in.
    """

    def __init__(self, number: int, rate_share: float, **options: Any) -> None:
        super().__init__(**options)
        self.number, self.rate_share = number, rate_share

    def build(self, shape: tuple[int | None, ...]) -> None:
        filters = BLOCKS[self.number - 1][1]
        shapes = {"depthwise_conv": (3, 3, shape[-1], 1), "pointwise_conv": (1, 1, shape[-1], filters)}
        self.fixed, self.change, self.scale, self.shift = {}, {}, {}, {}
        for part, kernel in shapes.items():
            channels = kernel[2] if part == "depthwise_conv" else kernel[3]
            self.fixed[part] = self.add_weight(
                shape=kernel, trainable=False, initializer="zeros", name=f"{part}_fixed"
            )
            self.change[part] = self.add_weight(shape=kernel, initializer="zeros", name=f"{part}_change")
            self.scale[part] = self.add_weight(
                shape=(channels,), trainable=False, initializer="ones", name=f"{part}_scale"
            )
            self.shift[part] = self.add_weight(
                shape=(channels,), trainable=False, initializer="zeros", name=f"{part}_shift"
            )

    def start_from(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take the published kernels and batch normalisation."""
        for part in self.fixed:
            of = f"layer{self.number}_{part}"
            scale = 1 / np.sqrt(weights[f"{of}_bn/moving_variance"] + EPSILON)
            self.fixed[part].assign(weights[f"{of}/kernel"])
            self.scale[part].assign(scale)
            self.shift[part].assign(weights[f"{of}_bn/beta"] - weights[f"{of}_bn/moving_mean"] * scale)

    def kernel(self, part: str) -> tf.Tensor:
        return self.fixed[part] + self.rate_share * self.change[part]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        stride = BLOCKS[self.number - 1][0]
        x = tf.nn.depthwise_conv2d(x, self.kernel("depthwise_conv"), [1, stride, stride, 1], "SAME")
        x = tf.nn.relu(x * self.scale["depthwise_conv"] + self.shift["depthwise_conv"])
        x = tf.nn.conv2d(x, self.kernel("pointwise_conv"), 1, "SAME")
        return tf.nn.relu(x * self.scale["pointwise_conv"] + self.shift["pointwise_conv"])

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[int | None, ...]:
        stride, filters = BLOCKS[self.number - 1]
        return (shape[0], -(-shape[1] // stride), -(-shape[2] // stride), filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"number": self.number, "rate_share": self.rate_share}


# ---------------------------------------------------------------- weights


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
