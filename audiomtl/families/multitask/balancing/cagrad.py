"""cagrad: the direction near the mean gradient with the best worst task (Liu et al., 2021)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import ROUNDS, SMALLEST, count


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    products = tf.matmul(rows, rows, transpose_b=True)
    return layer.along(rows, count(present) * conflict_averse(products, present, layer.c))


def conflict_averse(products: tf.Tensor, present: tf.Tensor, c: float) -> tf.Tensor:
    """CAGrad: coefficients (T,) of the gradients in ``g0 + c |g0| gw / |gw|``, g0 their mean over present
    tasks.

    gw, a convex combination, minimises ``gw . g0 + c |g0| |gw|``; found by exponentiated gradient steps.
    """
    mean = present / tf.maximum(tf.reduce_sum(present), 1.0)
    length = tf.sqrt(tf.maximum(tf.tensordot(mean, tf.linalg.matvec(products, mean), 1), 0.0))
    scale = tf.maximum(tf.reduce_max(tf.linalg.diag_part(products)), SMALLEST)
    weights = mean
    for _ in range(ROUNDS):
        towards = tf.linalg.matvec(products, weights)
        norm = tf.sqrt(tf.maximum(tf.tensordot(weights, towards, 1), SMALLEST))
        slope = (tf.linalg.matvec(products, mean) + c * length * towards / norm) / scale
        weights = weights * tf.exp(-slope - tf.reduce_max(-slope))
        weights /= tf.maximum(tf.reduce_sum(weights), SMALLEST)
    norm = tf.sqrt(tf.maximum(tf.tensordot(weights, tf.linalg.matvec(products, weights), 1), SMALLEST))
    return mean + c * length / norm * weights
