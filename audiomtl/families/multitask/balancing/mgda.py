"""mgda: the shortest convex combination of gradients (Sener and Koltun, 2018)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import count
from audiomtl.families.multitask.balancing._simplex import least, relative


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weights = shortest(relative(rows), present)
    return layer.along(rows, count(present) * tf.cast(weights, rows.dtype))


def shortest(products: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """MGDA: weights (T,) at least 0, sum 1, of the shortest combination, from the gradients' dot products
    (T, T), 1 at most.
    """
    products = tf.cast(products, tf.float64)

    def value(weights: tf.Tensor) -> tf.Tensor:  # (n, T) -> (n,)
        return tf.reduce_sum(weights * tf.matmul(weights, products), axis=1) / 2

    def slopes(weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.linalg.matvec(products, weights), products

    return least(value, slopes, present)
