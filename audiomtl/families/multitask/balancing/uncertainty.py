"""uncertainty: sum of exp(-s_i) L_i / 2 + s_i / 2, s_i trained (Kendall, Gal and Cipolla, 2018)."""

from typing import Any

import tensorflow as tf

LEARNS_VARIANCES = True


def total(layer: Any, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    layer.now.assign(tf.exp(-layer.log_variances) / 2)
    return uncertainty(losses * tf.constant(layer.start), tf.convert_to_tensor(layer.log_variances), present)


def uncertainty(losses: tf.Tensor, log_variances: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """``sum(exp(-s) L / 2 + s / 2)`` over the present tasks: may be negative, so raw losses are logged
    apart.
    """
    return tf.reduce_sum(present * (0.5 * tf.exp(-log_variances) * losses + 0.5 * log_variances))
