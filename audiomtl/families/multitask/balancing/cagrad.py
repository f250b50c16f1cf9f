"""cagrad: the direction near the mean gradient with the best worst task (Liu et al., 2021)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import count
from audiomtl.families.multitask.balancing._simplex import least, relative

ROUND = 1e-24  # added to a squared length: the length has a slope where it is 0


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weights = conflict_averse(relative(rows), present, layer.c)
    return layer.along(rows, count(present) * tf.cast(weights, rows.dtype))


def conflict_averse(products: tf.Tensor, present: tf.Tensor, c: float) -> tf.Tensor:
    """CAGrad: coefficients (T,) of the gradients in ``g0 + c |g0| gw / |gw|``, g0 their mean over present
    tasks.

    gw, a convex combination, minimises ``gw . g0 + c |g0| |gw|``, whose least value is the improvement of the
    worst task. ``products`` (T, T) are the gradients' dot products, 1 at most.
    """
    products = tf.cast(products, tf.float64)
    mean = tf.cast(present, tf.float64) / tf.maximum(tf.reduce_sum(tf.cast(present, tf.float64)), 1.0)
    towards = tf.linalg.matvec(products, mean)
    factor = c * tf.sqrt(tf.maximum(tf.tensordot(mean, towards, 1), 0.0))

    def value(weights: tf.Tensor) -> tf.Tensor:  # (n, T) -> (n,)
        square = tf.reduce_sum(weights * tf.matmul(weights, products), axis=1)
        return tf.linalg.matvec(weights, towards) + factor * tf.sqrt(tf.maximum(square, 0.0) + ROUND)

    def slopes(weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        along = tf.linalg.matvec(products, weights)
        length = tf.sqrt(tf.maximum(tf.tensordot(weights, along, 1), 0.0) + ROUND)
        curve = products / length - along[:, None] * along[None, :] / length**3
        return towards + factor * along / length, factor * curve

    weights = least(value, slopes, present)
    square = tf.tensordot(weights, tf.linalg.matvec(products, weights), 1)
    return mean + factor * weights / tf.sqrt(tf.maximum(square, 0.0) + ROUND)
