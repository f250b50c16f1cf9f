"""From a flat batch of windows to bags and back.

Conventions: the windows of all bags of a batch stand one behind the other, (n_windows, n_bands, n_frames, 1):
no padded window is ever computed, so the first step costs the same for any number of windows
(`TimeDistributed` unrolls a loop over them). ``counts`` (bags,) says how many belong to each bag.

Contents: `Bags`, `ToOne`.
"""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="audiomtl")
class Bags(layers.Layer):
    """Values of all windows (n_windows, size) and counts (bags,) to bags (bags, longest, size), zeros
    behind the end.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        values, counts = inputs
        return tf.RaggedTensor.from_row_lengths(values, tf.cast(counts, tf.int64)).to_tensor()

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (shapes[1][0], None, shapes[0][1])


@keras.saving.register_keras_serializable(package="audiomtl")
class ToOne(layers.Layer):
    """Divide by the sum over classes."""

    def call(self, values: tf.Tensor) -> tf.Tensor:
        return values / tf.maximum(tf.reduce_sum(values, axis=-1, keepdims=True), 1e-9)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape
