"""log_sum_exp: between mean and maximum."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.softmax import LOWEST, SMALLEST

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

FROM_ZERO = True
NEAR = 1e-6  # r p below which the value is the mean, to float32's last digit


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


def pool_logs(
    logs: tf.Tensor, rests: tf.Tensor, valid: tf.Tensor, layer: "Pooling"
) -> tuple[tf.Tensor, tf.Tensor]:
    """1 less the value is ``-log(mean(exp(-r (1 - p)))) / r``: the same with the sign of r turned."""
    return _log(logs, valid, layer.sharpness), _log(rests, valid, -layer.sharpness)


def _log(logs: tf.Tensor, valid: tf.Tensor, r: float) -> tf.Tensor:
    """log of ``log(mean(exp(r p))) / r``, from log(p): values are relative to the greatest p, so that none
    underflows.
    """
    mask = tf.cast(valid, logs.dtype)
    count = tf.maximum(tf.reduce_sum(mask, axis=1), 1)
    peak = tf.stop_gradient(tf.reduce_max(tf.where(valid, logs, LOWEST), axis=1, keepdims=True))
    q = tf.exp(logs - peak) * mask  # (bags, windows, classes), 1 at most
    scale = r * tf.exp(peak)  # (bags, 1, classes)
    near = tf.abs(scale[:, 0]) < NEAR
    scale = tf.where(tf.abs(scale) < NEAR, 1.0, scale)
    # relative to the greatest exponent, so that nothing overflows
    top = tf.reduce_max(q, axis=1) if r > 0 else tf.reduce_min(tf.where(valid, q, 1.0), axis=1)
    top = tf.stop_gradient(top)  # (bags, classes)
    raised = tf.reduce_sum(tf.math.expm1(scale * (q - top[:, None])) * mask, axis=1) / count
    exact = top + tf.math.log1p(raised) / scale[:, 0]
    value = tf.where(near, tf.reduce_sum(q, axis=1) / count, exact)
    return peak[:, 0] + tf.math.log(tf.where(value > 0, value, 1.0))
