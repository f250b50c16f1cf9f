"""linear_softmax: weighted by the probabilities themselves."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import masked_log_sum_exp, weighted
from audiomtl.nn.softmax import SMALLEST

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """``sum(p p) / sum(p)`` (Wang, Li and Metze, 2019): weights are the probabilities themselves."""
    mask = tf.cast(valid, tf.float32)
    raised = (p + SMALLEST) * mask
    return weighted(p, raised / tf.maximum(tf.reduce_sum(raised, axis=1, keepdims=True), SMALLEST))


def pool_logs(
    logs: tf.Tensor, rests: tf.Tensor, valid: tf.Tensor, layer: "Pooling"
) -> tuple[tf.Tensor, tf.Tensor]:
    total = masked_log_sum_exp(logs, valid)
    return masked_log_sum_exp(2 * logs, valid) - total, masked_log_sum_exp(logs + rests, valid) - total
