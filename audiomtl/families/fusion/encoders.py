"""Encoders of audio, score, text, picture and numbers: from a clip's raw inputs to steps, and the pooling
of the steps.

Conventions: an encoder gives *steps* (clips, steps, size) and which of them are a clip's own, (clips, steps)
bool; numbers are one step, the places of a picture are its steps, row by row. ``presence`` is (clips,
modalities), 1 where a clip has a modality. What is absent is replaced by zeros before its encoder: nothing
that stands there, NaN included, has influence on output or gradient.

Contents: `encode`, `PoolSteps`, `ModalityDropout`, the layers that encoders are made of, `kept`, `mean_over`,
`max_over`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.settings import Modality
from audiomtl.nn import harmonics, masking
from audiomtl.nn.masking import Valid, WholeSteps
from audiomtl.nn.softmax import LOWEST, masked_softmax

registered = keras.saving.register_keras_serializable(package="audiomtl.fusion")
# models that 0.1.0 saved name these layers of their own, which were twins of those of `nn.masking`
keras.saving.get_custom_objects().update(
    {"audiomtl.fusion>WholeSteps": WholeSteps, "audiomtl.fusion>OwnSteps": Valid}
)


# ---------------------------------------------------------------- small layers


@registered
class Present(layers.Layer):
    """[x (clips, ...), presence (clips, modalities)] -> x, zeros for clips that lack modality ``number``.

    Replaced: 0 * NaN is NaN.
    """

    def __init__(self, number: int, **options: Any) -> None:
        super().__init__(**options)
        self.number = number

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, presence = inputs
        return kept(x, presence[:, self.number] > 0)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"number": self.number}


@registered
class ModalityDropout(layers.Layer):
    """presence (clips, modalities) -> the same; in training, each modality of a clip is declared absent with
    probability ``share``.

    A clip that would lose all it has keeps all (Neverova et al., 2016, drop modalities in the same way).
    """

    def __init__(self, share: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.share, self.seed = share, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, presence: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not self.share:
            return presence
        kept = keras.random.uniform(keras.ops.shape(presence), seed=self.seed_generator) >= self.share
        left = tf.where(kept, presence, 0.0)
        return tf.where(tf.reduce_any(left > 0, axis=1, keepdims=True), left, presence)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"share": self.share, "seed": self.seed}


@registered
class Masked(layers.Layer):
    """[x (clips, steps, size), mask (clips, steps)] -> x, zeros where the mask is false."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True  # and does its work itself

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, mask = inputs
        return tf.where(mask[:, :, None], x, 0.0)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]


@registered
class OneHot(layers.Layer):
    """[tokens (clips, steps) int, mask (clips, steps)] -> (clips, steps, vocabulary), zeros where masked."""

    def __init__(self, vocabulary: int, **options: Any) -> None:
        super().__init__(**options)
        self.vocabulary = vocabulary
        self.supports_masking = True  # and does its work itself

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, mask = inputs
        return tf.where(mask[:, :, None], tf.one_hot(x, self.vocabulary), 0.0)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (*shapes[0], self.vocabulary)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"vocabulary": self.vocabulary}


@registered
class Coordinates(layers.Layer):
    """(clips, height, width, channels) -> two channels more: row and column of each place in [-1, 1] (Liu
    et al., 2018, CoordConv).
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        clips, height, width = (tf.shape(x)[axis] for axis in range(3))
        rows = tf.broadcast_to(tf.linspace(-1.0, 1.0, height)[None, :, None, None], (clips, height, width, 1))
        columns = tf.broadcast_to(
            tf.linspace(-1.0, 1.0, width)[None, None, :, None], (clips, height, width, 1)
        )
        return tf.concat([x, rows, columns], axis=3)

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[int | None, ...]:
        return (*shape[:3], shape[3] + 2)


@registered
class PoolSteps(layers.Layer):
    """[steps (clips, steps, size), mask] -> (clips, size) over a clip's own steps: their mean, max or last,
    or learned attention.

    A clip without steps gives zeros. Attention is one learned score for each step, softmax over steps (Ilse
    et al., 2018, without gate).
    """

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__(**options)
        self.kind = kind
        self.supports_masking = True  # and needs none: it reads its own

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        if self.kind == "attention":
            self.score = layers.Dense(1, use_bias=False, kernel_initializer="zeros")  # at the start: the mean
            self.score.build(shapes[0])

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, mask = inputs
        x = tf.where(mask[:, :, None], x, 0.0)
        if self.kind == "mean":
            return mean_over(x, mask)
        if self.kind == "max":
            return max_over(x, mask)
        if self.kind == "last":
            last = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.int32), axis=1) - 1, 0)
            return tf.gather(x, last, batch_dims=1)
        return tf.reduce_sum(masked_softmax(self.score(x), mask[:, :, None]) * x, axis=1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (shapes[0][0], shapes[0][2])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kind": self.kind}


def kept(x: tf.Tensor, has: tf.Tensor) -> tf.Tensor:
    """``x`` (clips, ...), zeros where ``has`` (clips,) is false."""
    return tf.where(tf.reshape(has, [-1] + [1] * (len(x.shape) - 1)), x, tf.zeros((), x.dtype))


def mean_over(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    own = tf.cast(mask, x.dtype)[:, :, None]
    return tf.reduce_sum(x * own, axis=1) / tf.maximum(tf.reduce_sum(own, axis=1), 1.0)


def max_over(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    greatest = tf.reduce_max(tf.where(mask[:, :, None], x, LOWEST), axis=1)
    return kept(greatest, tf.reduce_any(mask, axis=1))


@registered
class AllSteps(Present):
    """[x (clips, steps, size), presence] -> lengths (clips,): all steps, none for clips that lack
    modality ``number``.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, presence = inputs
        return tf.where(presence[:, self.number] > 0, tf.shape(x)[1], 0)

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape[:1], dtype="int32")


# ---------------------------------------------------------------- encoders


def encode(
    modality: Modality,
    name: str,
    number: int,
    x: Any,
    lengths: Any,
    presence: Any,
    *,
    vocabulary: int,
    hertz: Sequence[float],
) -> tuple[Any, Any]:
    """Steps (clips, steps, size) and mask (clips, steps) of one modality.

    Parameters
    ----------
    number : of its column of ``presence``.
    x, lengths : audio (clips, frames, bands), or embeddings (clips, patches, 1024); score (clips, frames,
        88), text (clips, tokens) int; image (clips, height, width, 3), table (clips, numbers), whose lengths
        are not looked at.
    vocabulary : rows of the embedding of text: tokens and the two indices that stand for padding and for
        unknown tokens.
    hertz : (bands,) centres of the bands of sounds; encoder keys looks at them.
    """
    x, lengths = (
        Present(number, name=f"{name}_present")([x, presence]),
        Present(number, name=f"{name}_own")([lengths, presence]),
    )
    if modality.kind == "text":
        mask = Valid(1, name=f"{name}_mask")([x, lengths])
        if modality.encoder == "one_hot":
            return OneHot(vocabulary, name=f"{name}_one_hot")([x, mask]), mask
        x = layers.Embedding(vocabulary, modality.size, name=f"{name}_embedding")(x)
        if modality.encoder == "lstm":
            x = layers.LSTM(modality.size, return_sequences=True, name=f"{name}_lstm")(x, mask=mask)
        return Masked(name=f"{name}_masked")([x, mask]), mask
    if modality.embedded:
        mask = Valid(1, name=f"{name}_mask")([x, lengths])
        x = layers.Dense(modality.size, activation="relu", name=f"{name}_dense")(x)  # patch by patch
        return Masked(name=f"{name}_masked")([x, mask]), mask
    if modality.kind == "table":
        x = layers.Dense(modality.size, activation="relu", name=f"{name}_dense")(x)
        x = layers.Reshape((1, modality.size))(x)
    elif modality.kind == "image":
        x = Coordinates(name=f"{name}_coordinates")(x) if modality.coordinates else x
        for layer, filters in enumerate(modality.filters, start=1):
            x = layers.Conv2D(
                filters,
                modality.kernel,
                padding="same",
                activation="relu",
                name=f"{name}_convolution_{layer}",
            )(x)
            x = layers.MaxPooling2D(modality.pool)(x)
        x = layers.Reshape((-1, x.shape[3]))(x)
    else:
        stride = modality.pool ** len(modality.filters)
        x = WholeSteps(stride)(x)
        keys = None
        if modality.encoder == "keys":
            keys = x if modality.kind == "score" else _salience(name, x, lengths, hertz)
        for layer, filters in enumerate(modality.filters, start=1):
            x = layers.Conv1D(
                filters,
                modality.kernel,
                padding="same",
                activation="relu",
                name=f"{name}_convolution_{layer}",
            )(x)
            x = Masked()([x, Valid(modality.pool ** (layer - 1))([x, lengths])])
            x = layers.MaxPooling1D(modality.pool)(x)
        if keys is not None and not modality.filters:
            return keys, Valid(stride, name=f"{name}_mask")([x, lengths])
        if keys is not None:
            x = layers.Concatenate()([layers.AveragePooling1D(stride)(keys), x])
        return x, Valid(stride, name=f"{name}_mask")([x, lengths])
    return x, Valid(1, name=f"{name}_mask")([x, AllSteps(number)([x, presence])])


def _salience(name: str, x: Any, lengths: Any, hertz: Sequence[float]) -> Any:
    """(clips, frames, bands) -> (clips, frames, 88): salience of each key, by the same convolutions over the
    overtones of all keys.
    """
    keys = harmonics.Harmonics(hertz, name=f"{name}_harmonics")(x)
    keys = masking.Masked(1)(
        [layers.Conv2D(8, 3, padding="same", activation="relu", name=f"{name}_keys")(keys), lengths]
    )
    # one ReLU may die
    keys = layers.Conv2D(1, 3, padding="same", activation="softplus", name=f"{name}_salience")(keys)
    return Masked()([layers.Reshape((-1, keys.shape[2]))(keys), Valid(1)([x, lengths])])
