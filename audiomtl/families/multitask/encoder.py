"""The shared encoder of several heads: from frames to one vector per step; padding has no influence.

Conventions: a *step* is ``stride`` frames, the product of two pools; clips are padded at their end,
``lengths`` (clips,) are in frames. What stands behind a clip's end is set to 0 after every layer.

Contents: `encoder`, `text_encoder`; `ShiftBands`, `PerKey`, `Positions`, `Attend`, `Known`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.data.scores import KEYS
from audiomtl.families.multitask.settings import Encoder
from audiomtl.nn.fit import stream
from audiomtl.nn.harmonics import Harmonics
from audiomtl.nn.masking import Masked, Valid, WholeSteps

HEADS, BLOCKS = 4, 2  # of the transformer
NARROW = 20.0  # how much less likely a position is at first whose relative place is wrong by one


@keras.saving.register_keras_serializable(package="audiomtl")
class ShiftBands(layers.Layer):
    """In training, move each clip's bands (clips, frames, bands) up or down by a random whole number of at
    most ``most``.

    So that voices of other lengths of the vocal tract are no surprise (after Jaitly and Hinton's
    perturbation, 2013). What would come from outside the bands is the outermost one.
    """

    def __init__(self, most: int, *, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.most, self.seed = most, seed
        self.draws = keras.random.SeedGenerator(seed)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training or not self.most:
            return x
        moved = keras.random.randint((tf.shape(x)[0], 1), -self.most, self.most + 1, seed=self.draws)
        bands = tf.clip_by_value(tf.range(tf.shape(x)[2])[None, :] + moved, 0, tf.shape(x)[2] - 1)
        return tf.gather(x, bands, axis=2, batch_dims=1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"most": self.most, "seed": self.seed}


@keras.saving.register_keras_serializable(package="audiomtl")
class PerKey(layers.Layer):
    """Keys (clips, steps, 88, channels) and steps (clips, steps, size) -> (clips, steps, 88, ``outputs``).

    Each key's own numbers and the step's go through one small network that all keys share; only a bias, at
    first ``start``, is a key's own.
    """

    def __init__(self, outputs: int, hidden: int = 16, start: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.outputs, self.hidden, self.start = outputs, hidden, start
        self.key, self.step, self.last = layers.Dense(hidden), layers.Dense(hidden), layers.Dense(outputs)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        for layer, size in ((self.key, shapes[0][-1]), (self.step, shapes[1][-1]), (self.last, self.hidden)):
            layer.build((None, size))
        self.bias = self.add_weight(
            shape=(KEYS, self.outputs), initializer=keras.initializers.Constant(self.start), name="bias"
        )

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        keys, steps = inputs
        return self.last(tf.nn.relu(self.key(keys) + self.step(steps)[:, :, None, :])) + self.bias

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (*shapes[0][:3], self.outputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"outputs": self.outputs, "hidden": self.hidden, "start": self.start}


@keras.saving.register_keras_serializable(package="audiomtl")
class Positions(layers.Layer):
    """Add sines and cosines of the step's number (Vaswani et al., "Attention is all you need", 2017)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        size = x.shape[2]
        rates = 10000.0 ** (-np.arange(0, size, 2, dtype=np.float32) / size)
        angles = tf.range(tf.shape(x)[1], dtype=tf.float32)[:, None] * rates[None, :]
        return x + tf.concat([tf.sin(angles), tf.cos(angles)], axis=1)[None, :, :size]


def encoder(
    settings: Encoder, hertz: Sequence[float], *, seed: int, audio: bool = True, score: bool = False
) -> keras.Model:
    """[frames (clips, longest, bands), lengths, and with ``score`` a roll (clips, steps, 88)] -> (clips,
    steps, size).

    ``hertz`` (bands,) are the centres of the bands; kind harmonic looks at them, others count them, and has a
    second output for heads that look at keys (`PerKey`): (clips, steps, 88, ``filters[1]``). ``seed`` is the
    training's: noise and shifts of bands are drawn from it.

    Of the article's trunk (4 x 4 convolutions of 32 and 64, pools of 2 bands by 4 frames, dense 128, 128, 64)
    these were repaired: it flattened the whole clip, which fixes its length and cannot be joined with a
    sequence: here every step is flattened for itself; it joined the dense layer with two outputs whose inputs
    were the targets: there are the inputs alone, and a roll is joined step by step; its pools make steps of
    16 frames, too long for phones: ``pool_frames`` says how many.
    """
    stride, bands = settings.pool_frames[0] * settings.pool_frames[1], len(hertz)
    frames, lengths = (
        layers.Input((None, bands), name="frames"),
        layers.Input((), dtype="int32", name="lengths"),
    )
    inputs, parts, keys, pooled, heard = [frames, lengths], [], None, 1, frames
    if settings.noise:
        heard = Masked(1)([layers.GaussianNoise(settings.noise, seed=stream(seed, "noise"))(frames), lengths])
    if audio and settings.kind == "harmonic":
        whole = WholeSteps(stride)(heard)
        keys = Harmonics(hertz, name="harmonics")(whole)
        for number, (filters, frames_of) in enumerate(
            zip(settings.filters, settings.pool_frames, strict=True), start=1
        ):
            keys = layers.Conv2D(filters, (3, 3), padding="same", activation="relu", name=f"keys_{number}")(
                keys
            )
            keys = Masked(pooled)([keys, lengths])
            keys = layers.MaxPooling2D((frames_of, 1), padding="same")(keys) if frames_of > 1 else keys
            pooled *= frames_of
        shifted = ShiftBands(settings.shift_bands, seed=stream(seed, "shift_bands"))(whole)
        near = layers.Conv1D(128, 3, padding="same", activation="relu", name="near")(shifted)
        near = Masked(1)([near, lengths])
        parts.append(layers.AveragePooling1D(stride, padding="same")(near) if stride > 1 else near)
    elif audio:
        x = layers.Reshape((-1, bands, 1))(WholeSteps(stride)(heard))
        for number, (filters, *pools) in enumerate(
            zip(settings.filters, settings.pool_frames, settings.pool_bands, strict=True), start=1
        ):
            x = layers.Conv2D(filters, 4, padding="same", activation="relu", name=f"convolution_{number}")(x)
            x = Masked(pooled)([x, lengths])
            x = layers.MaxPooling2D(tuple(pools), padding="same")(x)
            pooled *= pools[0]
        parts.append(layers.Reshape((-1, x.shape[2] * x.shape[3]))(x))
    if score:
        roll = layers.Input((None, KEYS), name="roll")
        inputs.append(roll)
        parts.append(roll)
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    x = layers.Dense(128, activation="relu", name="dense_1")(x)
    valid = Valid(stride, name="valid")([x, lengths])
    if settings.kind == "article":
        for number, units in enumerate((128, 64), start=2):
            x = layers.Dense(units, activation="relu", name=f"dense_{number}")(x)
    elif settings.kind in ("recurrent", "harmonic"):
        x = layers.Bidirectional(layers.LSTM(settings.units, return_sequences=True), name="recurrent")(
            x, mask=valid
        )
    else:
        x = Positions(name="positions")(layers.Dense(settings.units, name="size")(x))
        for number in range(1, BLOCKS + 1):
            normal = layers.LayerNormalization(name=f"normal_{number}")(x)
            attended = layers.MultiHeadAttention(
                HEADS, max(settings.units // HEADS, 1), name=f"attention_{number}"
            )
            x = x + attended(normal, normal, key_mask=valid)
            normal = layers.LayerNormalization(name=f"normal_{number}_dense")(x)
            x = x + layers.Dense(settings.units, name=f"narrow_{number}")(
                layers.Dense(2 * settings.units, activation="relu", name=f"wide_{number}")(normal)
            )
    if settings.dropout:
        x = layers.Dropout(settings.dropout)(x)
    steps = Masked(stride)([x, lengths])
    return keras.Model(
        inputs, steps if keys is None else [steps, Masked(stride)([keys, lengths])], name="encoder"
    )


@keras.saving.register_keras_serializable(package="audiomtl")
class Attend(layers.Layer):
    """Which position of a text belongs to each step: (clips, steps, positions), shares over a clip's own
    positions.

    Of steps (clips, steps, size), lengths (clips,) in frames, keys (clips, positions, size), tokens (clips,
    positions; 0 is padding): the softmax of dot products, less a trained factor times the squared distance of
    the two relative places: a text is sung from its beginning to its end, so a phone that occurs twice is
    sought near its own place. With ``scores`` what goes into the softmax, -1e9 for padding.
    """

    def __init__(self, stride: int, scores: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.stride, self.scores = stride, scores

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.narrow = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(NARROW), name="narrow"
        )

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        steps, lengths, keys, tokens = inputs
        own = tf.cast((lengths + self.stride - 1) // self.stride, steps.dtype)[:, None]
        known = tf.cast(tf.reduce_sum(tf.cast(tokens > 0, tf.int32), axis=1), steps.dtype)[:, None]
        time = tf.range(tf.shape(steps)[1], dtype=steps.dtype)[None, :] / own
        place = tf.range(tf.shape(keys)[1], dtype=steps.dtype)[None, :] / tf.maximum(known, 1.0)
        scores = tf.matmul(steps, keys, transpose_b=True) / float(steps.shape[2]) ** 0.5
        scores -= self.narrow * (time[:, :, None] - place[:, None, :]) ** 2
        scores = tf.where((tokens > 0)[:, None, :], scores, -1e9)
        return scores if self.scores else tf.nn.softmax(scores, axis=2)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride, "scores": self.scores}

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (*shapes[0][:2], shapes[2][1])


@keras.saving.register_keras_serializable(package="audiomtl")
class Known(layers.Layer):
    """Set vectors (clips, positions, size) of padding (token 0) to 0."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, tokens = inputs
        return x * tf.cast(tokens > 0, x.dtype)[:, :, None]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]


def text_encoder(symbols: int, size: int) -> keras.Model:
    """Tokens (clips, positions), 0 is padding, below ``symbols`` -> (clips, positions, size): each with
    its neighbours, seven at once.
    """
    tokens = layers.Input((None,), dtype="int32", name="tokens")
    x = Known()([layers.Embedding(symbols, size, name="symbols")(tokens), tokens])
    near = layers.Conv1D(size, 7, padding="same", activation="relu", name="near")(x)
    return keras.Model(
        tokens, Known()([x + layers.Dense(size, name="context")(near), tokens]), name="text_encoder"
    )
