"""log_sum_exp: between mean and maximum."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.softmax import SMALLEST

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

FROM_ZERO = True


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """``log(mean(exp(r p))) / r``, r = ``sharpness``: mean at 0, max at infinity (Pinheiro and Collobert,
    2015).

    Weights: its gradient.
    """
    r = layer.sharpness
    peak = tf.stop_gradient(tf.reduce_max(p, axis=1, keepdims=True))
    mask = tf.cast(valid, tf.float32)
    raised = tf.exp(r * (p - peak)) * mask
    total, count = tf.reduce_sum(raised, axis=1), tf.reduce_sum(mask, axis=1)
    # keeps digits where r is small
    mean_less_one = tf.reduce_sum(tf.math.expm1(r * (p - peak)) * mask, axis=1) / tf.maximum(count, 1)
    pooled = peak[:, 0] + tf.math.log1p(mean_less_one) / r
    return pooled, tf.stop_gradient(raised / tf.maximum(total, SMALLEST)[:, None])
