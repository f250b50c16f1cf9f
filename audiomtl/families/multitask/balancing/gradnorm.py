"""gradnorm: w_i trained until gradient norms follow the tasks' relative speeds (Chen et al., 2018)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import SMALLEST, count


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    tasks, start = count(present), tf.constant(layer.start)
    norms = tf.norm(rows, axis=1) / start  # of the gradients themselves: weights begin at `start`
    layer.first.assign(tf.where((layer.first == 0) & (present > 0), losses, layer.first))
    speed = tf.math.divide_no_nan(losses, layer.first)
    relative = speed / tf.maximum(tf.reduce_sum(speed * present) / tasks, SMALLEST)
    target = tf.reduce_sum(layer.now * norms * present) / tasks * relative**layer.asymmetry
    moved = tf.maximum(layer.now - layer.rate * present * norms * tf.sign(layer.now * norms - target), 1e-3)
    layer.now.assign(moved * tf.reduce_sum(start) / tf.reduce_sum(moved))
    return tf.linalg.matvec(rows, layer.now / start, transpose_a=True)
