"""pcgrad: conflicting gradients projected onto each other's normal plane (Yu et al., 2020)."""

from typing import Any

import tensorflow as tf


def direction(layer: Any, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    order = tf.random.experimental.stateless_shuffle(
        tf.range(len(layer.start)), seed=tf.cast(layer.draws.next(), tf.int32)
    )
    return project_conflicts(rows, order)


def project_conflicts(gradients: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """PCGrad: of each gradient (T, n) the part against another one is taken away, others in ``order`` (T,).

    The sum of what is left.
    """
    tasks = gradients.shape[0]
    total = tf.zeros_like(gradients[0])
    # no square of a small gradient underflows
    largest = tf.reduce_max(tf.abs(gradients))
    gradients = tf.math.divide_no_nan(gradients, largest)
    for task in range(tasks):
        mine = gradients[task]
        for place in range(tasks):
            other = tf.gather(gradients, order[place])
            square = tf.reduce_sum(other**2)
            against = tf.math.divide_no_nan(tf.minimum(tf.tensordot(mine, other, 1), 0.0), square)
            mine = mine - tf.where(order[place] == task, 0.0, against) * other
        total += mine
    return largest * total
