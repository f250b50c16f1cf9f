"""pcgrad: conflicting gradients projected onto each other's normal plane (Yu et al., 2020)."""

from typing import Any

import tensorflow as tf

from audiomtl.families.multitask.balancing import SMALLEST


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
    for task in range(tasks):
        mine = gradients[task]
        for place in range(tasks):
            other = tf.gather(gradients, order[place])
            against = tf.minimum(tf.tensordot(mine, other, 1), 0.0) / tf.maximum(
                tf.reduce_sum(other**2), SMALLEST
            )
            mine = mine - tf.where(order[place] == task, 0.0, against) * other
        total += mine
    return total
