"""What joins of sequences share: places of steps, attention, comparison, pooling.

Contents: `mean_and_max`, `place`, `places`, `placed`, `attend`, `compared`.
"""

from typing import Any

import tensorflow as tf

from audiomtl.families.fusion.encoders import kept, max_over, mean_over
from audiomtl.nn.softmax import LOWEST

PERIODS = 8  # sine and cosine pairs that tell a step's place


def mean_and_max(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps, size) -> (clips, 2 size); zeros without steps."""
    return tf.concat([mean_over(x, mask), max_over(x, mask)], axis=1)


def place(mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps): each step's place in its own clip, 0 at its first step and 1 behind its last."""
    own = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True), 1.0)
    return tf.range(tf.shape(mask)[1], dtype=tf.float32)[None, :] / own


def places(mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps, 2 PERIODS): sines and cosines of each step's `place`."""
    angles = place(mask)[:, :, None] * 3.14159265 * tf.constant([2.0**power for power in range(PERIODS)])
    return tf.where(mask[:, :, None], tf.concat([tf.sin(angles), tf.cos(angles)], axis=2), 0.0)


def placed(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.concat([x, places(mask)], axis=2)


def attend(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor, heads: int, less: Any = 0.0
) -> tf.Tensor:
    """Scaled dot-product attention of ``heads`` heads: query (clips, steps, size), key and value (clips,
    others, size) -> like query.

    ``less`` (clips, 1, steps, others) is subtracted from the scores. Zeros for clips whose others are all
    masked.
    """
    clips, steps, others = tf.shape(query)[0], tf.shape(query)[1], tf.shape(key)[1]
    size = query.shape[2] // heads
    q = tf.transpose(tf.reshape(query, [clips, steps, heads, size]), [0, 2, 1, 3])
    k, v = (tf.transpose(tf.reshape(one, [clips, others, heads, size]), [0, 2, 1, 3]) for one in (key, value))
    scores = tf.matmul(q, k, transpose_b=True) / size**0.5 - less
    scores = tf.where(mask[:, None, None, :], scores, LOWEST)
    found = tf.matmul(tf.nn.softmax(scores), v)  # (clips, heads, steps, size)
    return kept(
        tf.reshape(tf.transpose(found, [0, 2, 1, 3]), [clips, steps, heads * size]),
        tf.reduce_any(mask, axis=1),
    )


def compared(x: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Side by side: both, their difference and their product (Chen et al., 2017, enhanced LSTM for
    inference, equations 14 and 15).
    """
    return tf.concat([x, found, x - found, x * found], axis=-1)
