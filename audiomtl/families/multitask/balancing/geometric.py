"""geometric: the geometric mean of the losses (Chennupati et al., 2019)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import SMALLEST, count


def total(layer: Any, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    logs = tf.reduce_sum(present * tf.math.log(losses + SMALLEST)) / count(present)
    mean = tf.exp(logs) * tf.minimum(tf.reduce_sum(present), 1.0)
    layer.now.assign(
        tf.stop_gradient(tf.math.divide_no_nan(present * mean, losses + SMALLEST)) / count(present)
    )
    return mean
