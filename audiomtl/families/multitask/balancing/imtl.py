"""imtl: the combination with equal projections on all gradients (IMTL-G, Liu et al., 2021)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import SMALLEST, count


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    whole = tf.reduce_all(present > 0)
    # equal weights in a batch that lacks a task
    weights = tf.where(whole, count(present) * impartial(rows), present)
    return layer.along(rows, weights)


def impartial(gradients: tf.Tensor) -> tf.Tensor:
    """IMTL-G: coefficients (T,), sum 1, with which the combination has the same projection on every
    gradient (T, n).
    """
    # coefficients do not depend on the gradients' unit, but divisors and the ridge do
    gradients = tf.math.divide_no_nan(gradients, tf.reduce_max(tf.norm(gradients, axis=1)))
    units = gradients / tf.maximum(tf.norm(gradients, axis=1, keepdims=True), SMALLEST)
    differences, turned = gradients[:1] - gradients[1:], units[:1] - units[1:]  # (T - 1, n)
    square = tf.matmul(differences, turned, transpose_b=True)
    ridge = SMALLEST * tf.eye(tf.shape(square)[0])
    right = tf.matmul(gradients[:1], turned, transpose_b=True)  # (1, T - 1)
    rest = tf.transpose(tf.linalg.solve(square + ridge, tf.transpose(right), adjoint=True))[0]
    return tf.concat([[1 - tf.reduce_sum(rest)], rest], axis=0)
