"""Masking: clips are padded at their end, and the padding is set to 0 after every layer.

Conventions: ``lengths`` (clips,) are in frames; a place on the time axis is ``stride`` frames.

Contents: `Masked`, `WholeSteps`, `MeanOverSteps`, `MedianOverFrames`, `MomentsOverFrames`,
`Valid`.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="audiomtl")
class Masked(layers.Layer):
    """Set what stands behind a clip's end to 0: (clips, time, ...), lengths (clips,) in frames,
    ``stride`` frames to a place.
    """

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride
        self.supports_masking = True  # and does its work itself

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, lengths = inputs
        valid = tf.sequence_mask((lengths + self.stride - 1) // self.stride, tf.shape(x)[1], dtype=x.dtype)
        return x * tf.reshape(
            valid, tf.concat([tf.shape(valid), tf.ones(len(x.shape) - 2, tf.int32)], axis=0)
        )

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return shapes[0]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride}


@keras.saving.register_keras_serializable(package="audiomtl")
class WholeSteps(layers.Layer):
    """Fill up with zeros behind the end to whole steps: pools that pad for themselves would begin at
    another frame for another length.
    """

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.pad(x, [[0, 0], [0, -tf.shape(x)[1] % self.stride], [0, 0]])

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], None, shape[2])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride}


@keras.saving.register_keras_serializable(package="audiomtl")
class MeanOverSteps(layers.Layer):
    """(clips, steps, size), lengths in frames -> (clips, size): the mean over a clip's own steps."""

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, lengths = inputs
        valid = tf.sequence_mask((lengths + self.stride - 1) // self.stride, tf.shape(x)[1], dtype=x.dtype)[
            :, :, None
        ]
        return tf.reduce_sum(x * valid, axis=1) / tf.maximum(tf.reduce_sum(valid, axis=1), 1.0)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (shapes[0][0], shapes[0][2])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride}


@keras.saving.register_keras_serializable(package="audiomtl")
class MedianOverFrames(layers.Layer):
    """(clips, frames, columns), lengths in frames -> (clips, columns): the median over a clip's own frames.

    Only the columns from ``first`` on are kept. No gradient.
    """

    def __init__(self, first: int, **options: Any) -> None:
        super().__init__(**options)
        self.first = first

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, lengths = inputs
        x = x[:, :, self.first :]
        # a clip without frames has the median of its padding
        own = tf.sequence_mask(lengths, tf.shape(x)[1])[:, :, None] | (lengths < 1)[:, None, None]
        ordered = tf.sort(
            tf.where(own, x, x.dtype.max), axis=1
        )  # behind a clip's own frames stand the others
        last = tf.maximum(lengths - 1, 0)
        middle = tf.stack([last // 2, (last + 1) // 2], axis=1)  # the same place twice where it is one frame
        return tf.stop_gradient(tf.reduce_mean(tf.gather(ordered, middle, axis=1, batch_dims=1), axis=1))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        size = shapes[0][2]
        return (shapes[0][0], None if size is None else size - self.first)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"first": self.first}


@keras.saving.register_keras_serializable(package="audiomtl")
class MomentsOverFrames(layers.Layer):
    """(clips, frames, columns), lengths in frames -> (clips, 2 columns): mean and standard deviation over a
    clip's own frames. No gradient.
    """

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, lengths = inputs
        own = tf.sequence_mask(lengths, tf.shape(x)[1])[:, :, None]
        count = tf.maximum(tf.cast(lengths, x.dtype), 1.0)[:, None]
        mean = tf.reduce_sum(tf.where(own, x, 0.0), axis=1) / count
        square = tf.reduce_sum(tf.where(own, (x - mean[:, None]) ** 2, 0.0), axis=1) / count
        return tf.stop_gradient(tf.concat([mean, tf.sqrt(square)], axis=1))

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        size = shapes[0][2]
        return (shapes[0][0], None if size is None else 2 * size)


@keras.saving.register_keras_serializable(package="audiomtl")
class Valid(layers.Layer):
    """Which steps are a clip's own: (clips, steps) bool."""

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x, lengths = inputs
        return tf.sequence_mask((lengths + self.stride - 1) // self.stride, tf.shape(x)[1])

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape[:2], dtype="bool")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"stride": self.stride}
