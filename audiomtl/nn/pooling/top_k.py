"""top_k: the mean of the largest values."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import weighted

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

BY_RANK = True
FROM_ZERO = True


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """The mean of the ``top_k`` greatest windows of each class, of all if there are fewer (Li and
    Vasconcelos, 2015).
    """
    order = tf.argsort(tf.where(valid, p, -1.0), axis=1, direction="DESCENDING", stable=True)
    rank = tf.argsort(order, axis=1, stable=True)
    chosen = tf.cast((rank < layer.top_k) & valid, tf.float32)
    return weighted(p, chosen / tf.maximum(tf.reduce_sum(chosen, axis=1, keepdims=True), 1.0))
