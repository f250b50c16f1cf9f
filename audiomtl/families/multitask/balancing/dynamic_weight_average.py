"""dynamic_weight_average: w_i by softmax of L_i(t-1) / L_i(t-2) over ``temperature``, of epochs (Liu,
Johns and Davison, 2019).
"""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import SMALLEST


def total(layer: Any, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weights = tf.constant(layer.start)
    ready = tf.reduce_all(layer.before > 0)
    weights *= tf.where(
        ready,
        dynamic_weights(
            tf.convert_to_tensor(layer.last), tf.convert_to_tensor(layer.before), layer.temperature
        ),
        1.0,
    )
    layer.now.assign(weights)
    return tf.reduce_sum(weights * losses)


def dynamic_weights(last: tf.Tensor, before: tf.Tensor, temperature: float) -> tf.Tensor:
    """``T softmax((L(t-1) / L(t-2)) / temperature)``: (T,), sum T; a task that falls slower weighs more."""
    tasks = tf.cast(tf.shape(last)[0], tf.float32)
    return tasks * tf.nn.softmax(last / tf.maximum(before, SMALLEST) / temperature)
