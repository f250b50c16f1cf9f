"""fixed: sum of w_i L_i."""

from typing import Any

import tensorflow as tf


def total(layer: Any, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weights = tf.constant(layer.start)
    layer.now.assign(weights)
    return tf.reduce_sum(weights * losses)
