"""YAMNet in plain Keras 3 layers: waveform to AudioSet scores, embeddings and log-mel spectrogram, with the
published weights.

Source: https://github.com/tensorflow/models/tree/master/research/audioset/yamnet (Plakal and Ellis,
Apache-2.0), a MobileNet v1 (Howard et al., 2017). 16 kHz mono in [-1, 1]; magnitudes of a 400-sample periodic
Hann window every 160 samples in an FFT of 512; 64 mel bands from 125 to 7500 Hz; log(x + 0.001); patches of
96 frames every 48. A waveform is filled up with zeros to one patch (15,600 samples) and then to whole hops of
7,680: 5 s are 10 patches. The last ``tail_blocks`` of the 14 blocks can be built apart from the rest, so that
what is frozen is computed once.

Contents: `log_mel`, `patches_of`, `yamnet`, `core`, `body`, `tail`; and what `yamnet_weights` defines: sizes,
`read_weights`, `set_weights`, `class_names`.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.errors import UserError
from audiomtl.nn.yamnet_weights import (
    BANDS,
    BLOCKS,
    CLASSES,
    EPSILON,
    FFT,
    HIGH_HZ,
    HOP,
    LOW_HZ,
    OFFSET,
    PATCH_FRAMES,
    PATCH_HOP,
    PATCH_HOP_SAMPLES,
    PATCH_SAMPLES,
    SAMPLE_RATE,
    SIZE,
    WINDOW,
    shape_before,
)
from audiomtl.nn.yamnet_weights import class_names as class_names
from audiomtl.nn.yamnet_weights import read_weights as read_weights
from audiomtl.nn.yamnet_weights import set_weights as set_weights

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


def depthwise(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Depthwise convolution of (n, height, width, channels) with (3, 3, channels, 1), padded as "SAME".

    TensorFlow has no deterministic gradient of the kernel on a GPU and refuses it: there it is a sum of nine
    products, whose gradients are deterministic.
    """
    if not tf.config.list_logical_devices("GPU"):
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
    return sum_of_shifted(x, kernel, stride)


def sum_of_shifted(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """As `depthwise`: for each place of the kernel the shifted input times the channels' weights there."""
    sizes = [-(-size // stride) for size in x.shape[1:3]]  # of the output
    missing = [max((out - 1) * stride + 3 - size, 0) for out, size in zip(sizes, x.shape[1:3], strict=True)]
    x = tf.pad(x, [[0, 0], *([one // 2, one - one // 2] for one in missing), [0, 0]])
    height, width = ((out - 1) * stride + 1 for out in sizes)
    return tf.add_n(
        [
            x[:, row : row + height : stride, column : column + width : stride] * kernel[row, column, :, 0]
            for row in range(3)
            for column in range(3)
        ]
    )


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
        x = depthwise(x, self.kernel("depthwise_conv"), stride)
        x = tf.nn.relu(x * self.scale["depthwise_conv"] + self.shift["depthwise_conv"])
        x = tf.nn.conv2d(x, self.kernel("pointwise_conv"), 1, "SAME")
        return tf.nn.relu(x * self.scale["pointwise_conv"] + self.shift["pointwise_conv"])

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[int | None, ...]:
        stride, filters = BLOCKS[self.number - 1]
        return (shape[0], -(-shape[1] // stride), -(-shape[2] // stride), filters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"number": self.number, "rate_share": self.rate_share}
