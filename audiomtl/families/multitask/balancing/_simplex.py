"""The small convex problems that cagrad and mgda solve in each step: the least value over the simplex.

Conventions: T tasks; weights (T,) are at least 0, sum to 1, and are 0 for absent tasks. Newton's method with
a logarithmic barrier (Boyd and Vandenberghe, "Convex optimization", 2004, chapter 11), in float64: after
`STEPS` steps the value is within T * `LAST` of the least one, where values are of the order of 1.

Contents: `least`, `relative`.
"""

from collections.abc import Callable

import tensorflow as tf

STEPS, FACTOR, LAST = 30, 0.35, 1e-12  # Newton steps; the barrier's weight: 0.35, 0.12 ... 1e-12
HALVINGS = 12  # of a step's length, of which the best one is taken
REACH = 0.99  # of the way to the boundary


def relative(rows: tf.Tensor) -> tf.Tensor:
    """Dot products (T, T), float64, of gradients (T, n) divided by the largest norm: a solution does not
    depend on the unit of the gradients, nor underflows.
    """
    rows = tf.cast(rows, tf.float64)
    norm = tf.sqrt(tf.reduce_max(tf.reduce_sum(rows**2, axis=1)))
    rows = tf.math.divide_no_nan(rows, norm)
    return tf.matmul(rows, rows, transpose_b=True)


def least(
    value: Callable[[tf.Tensor], tf.Tensor],
    slopes: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    present: tf.Tensor,
) -> tf.Tensor:
    """Weights (T,), float64, of the least value.

    Parameters
    ----------
    value : rows of weights (n, T) -> (n,), convex. slopes : weights (T,) -> gradient (T,) and Hessian (T, T).
    present : (T,) 1.0 where a task is present, else 0.0.
    """
    inside = tf.cast(present, tf.float64)
    lengths = REACH * 0.5 ** tf.range(HALVINGS, dtype=tf.float64)[:, None]  # (HALVINGS, 1)

    def step(weights: tf.Tensor, barrier: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        barrier = tf.maximum(FACTOR * barrier, LAST)
        safe = tf.where(inside > 0, weights, 1.0)
        gradient, hessian = slopes(weights)
        gradient = inside * (gradient - barrier / safe)
        hessian = inside[:, None] * hessian * inside[None, :]
        hessian += tf.linalg.diag(tf.where(inside > 0, barrier / safe**2, 1.0))
        both = tf.linalg.solve(hessian, tf.stack([gradient, inside], axis=1))  # (T, 2)
        total = tf.reduce_sum(both * inside[:, None], axis=0)
        way = both[:, 1] * tf.math.divide_no_nan(total[0], total[1]) - both[:, 0]
        most = tf.minimum(1 / tf.maximum(tf.reduce_max(-inside * way / safe), LAST), 1 / REACH)
        tried = weights + lengths * most * way  # (HALVINGS, T)
        logs = tf.math.log(tf.where(inside > 0, tried, 1.0))
        best = tf.gather(tried, tf.argmin(value(tried) - barrier * tf.reduce_sum(logs, axis=1)))
        return tf.math.divide_no_nan(best, tf.reduce_sum(best)), barrier

    start = inside / tf.maximum(tf.reduce_sum(inside), 1.0)
    weights, _ = tf.while_loop(
        lambda weights, barrier: True,
        step,
        (start, tf.ones([], tf.float64)),
        maximum_iterations=STEPS,
        parallel_iterations=1,
    )
    return weights
