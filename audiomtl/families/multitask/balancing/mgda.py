"""mgda: the shortest convex combination of gradients (Sener and Koltun, 2018)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import ROUNDS, SMALLEST, count


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    products = tf.matmul(rows, rows, transpose_b=True)
    return layer.along(rows, count(present) * shortest(products, present))


def shortest(products: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """MGDA: weights (T,) at least 0, sum 1, of the shortest combination, from the gradients' dot products
    (T, T); by Frank and Wolfe.
    """
    weights = present / tf.maximum(tf.reduce_sum(present), 1.0)
    for _ in range(ROUNDS):
        slope = tf.linalg.matvec(products, weights)
        best = tf.one_hot(tf.argmin(tf.where(present > 0, slope, slope.dtype.max)), tf.shape(weights)[0])
        way = best - weights
        curve = tf.tensordot(way, tf.linalg.matvec(products, way), 1)
        step = tf.clip_by_value(-tf.tensordot(way, slope, 1) / tf.maximum(curve, SMALLEST), 0.0, 1.0)
        weights += step * way
    return weights
