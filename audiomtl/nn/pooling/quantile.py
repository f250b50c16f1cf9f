"""quantile: a quantile."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import weighted

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

BY_RANK = True
FROM_ZERO = True


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """The ``quantile`` of the windows, linear between order statistics (Hyndman and Fan, 1996, type 7).

    Weights are theirs.
    """
    count = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1)  # (bags, 1)
    order = tf.argsort(tf.where(valid, p, 2.0), axis=1, stable=True)  # behind all valid ones stand the others
    rank = tf.cast(tf.argsort(order, axis=1, stable=True), tf.float32)  # (bags, windows, classes)
    position = (layer.quantile * tf.maximum(count - 1, 0))[:, None]  # (bags, 1, 1)
    return weighted(p, tf.maximum(0.0, 1 - tf.abs(rank - position)) * tf.cast(valid, tf.float32))
