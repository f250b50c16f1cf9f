"""noisy_or: independent causes."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import masked_log_sum_exp
from audiomtl.nn.softmax import SMALLEST, masked_softmax

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

NEAR = 1e-8  # sum of probabilities below which it is the pooled value, to float32's last digit


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """``1 - prod(1 - p)``: instances are independent causes (Maron and Lozano-Perez, 1998).

    Weights are shares of -log(1 - p).
    """
    evidence = -tf.math.log1p(-tf.minimum(p, 1 - SMALLEST)) * tf.cast(valid, tf.float32)
    total = tf.reduce_sum(evidence, axis=1)
    even = masked_softmax(tf.zeros_like(p), valid)
    shares = tf.where(total[:, None] > SMALLEST, evidence / tf.maximum(total[:, None], SMALLEST), even)
    # one window is that window: 1 - exp(log(1 - p)) loses digits near 1
    alone = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1) == 1
    return tf.where(alone, tf.reduce_sum(p, axis=1), -tf.math.expm1(-total)), tf.stop_gradient(shares)


def pool_logs(
    logs: tf.Tensor, rests: tf.Tensor, valid: tf.Tensor, layer: "Pooling"
) -> tuple[tf.Tensor, tf.Tensor]:
    rest = tf.reduce_sum(rests * tf.cast(valid, rests.dtype), axis=1)
    near = rest > -NEAR
    exact = tf.math.log(-tf.math.expm1(tf.where(near, -1.0, rest)))
    return tf.where(near, masked_log_sum_exp(logs, valid), exact), rest
