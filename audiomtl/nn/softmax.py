"""Softmax over what counts, and the numbers that keep logarithms and divisions finite.

Contents: `SMALLEST`, `LOWEST`, `softmax`, `masked_softmax`.
"""

import keras
import tensorflow as tf

SMALLEST = 1e-7  # a divisor; losses add it to nothing (`nn.losses`)
LOWEST = -1e30  # a score that a softmax turns into exactly 0


@keras.saving.register_keras_serializable(package="audiomtl")
def softmax(logits: tf.Tensor) -> tf.Tensor:
    """Softmax over the last axis; unlike that of Keras it does not warn where this axis has one place, as
    the positions of a text without phones do.
    """
    return tf.nn.softmax(logits)


def masked_softmax(scores: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Softmax over axis 1 of the scores (bags, places, any) whose places are ``valid`` (bags, places, 1)
    bool; all 0 where none is.
    """
    scores = tf.where(valid, scores, LOWEST)
    shares = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True))) * tf.cast(
        valid, scores.dtype
    )
    return shares / tf.maximum(tf.reduce_sum(shares, axis=1, keepdims=True), SMALLEST)
