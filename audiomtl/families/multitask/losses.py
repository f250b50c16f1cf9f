"""Losses shared by several kinds of heads, and the loss between two heads.

Conventions as in `heads`: ``each`` is the loss of every step (clips, steps), or of every clip (clips,);
``counted`` of the same shape is 1 where there is something to learn, else 0.

Contents: `cross_entropy`, `binary_cross_entropy`, `over_steps`, `over_clips`, `coupling_loss`.
"""

from typing import Any

import tensorflow as tf

from audiomtl.nn import losses
from audiomtl.nn.softmax import SMALLEST


def cross_entropy(logits: Any, target: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Of logits (..., classes) and numbers of classes (...), -1 without one, or shares of classes (...,
    classes): each loss, and what counts.
    """
    each = losses.cross_entropy(logits, target)
    shares = len(target.shape) == len(logits.shape)
    return each, tf.ones_like(each) if shares else tf.cast(target >= 0, tf.float32)


def binary_cross_entropy(logits: Any, target: Any, often: Any = 1.0) -> tuple[tf.Tensor, tf.Tensor]:
    """Of logits and targets (clips, steps, columns), summed over columns.

    ``often`` weighs what is to be found.
    """
    each = tf.reduce_sum(losses.binary_cross_entropy(logits, target, often), axis=2)
    return each, tf.ones_like(each)


def over_steps(each: tf.Tensor, counted: tf.Tensor, weight: Any, steps: Any) -> tf.Tensor:
    """Weighted mean over clips of the mean over a clip's own steps that count."""
    counted *= tf.sequence_mask(steps, tf.shape(each)[1], dtype=each.dtype)
    each = tf.reduce_sum(tf.where(counted > 0, each, 0.0), axis=1) / tf.maximum(
        tf.reduce_sum(counted, axis=1), 1.0
    )
    return _weighted_mean(each, weight)


def over_clips(each: tf.Tensor, counted: tf.Tensor, weight: Any) -> tf.Tensor:
    """Weighted mean over the clips that count."""
    return _weighted_mean(each, weight * counted)


def _weighted_mean(each: tf.Tensor, weight: Any) -> tf.Tensor:
    total = tf.reduce_sum(weight)
    return tf.reduce_sum(tf.where(weight > 0, weight * each, 0.0)) / tf.where(total > 0, total, 1.0)


def coupling_loss(clip_class: Any, segments: Any, steps: Any) -> tf.Tensor:
    """Disagreement of two heads: mean squared difference of class probabilities and pooled activities.

    Activities (clips, steps, classes) are pooled by linear softmax, sum of squares over sum (Wang, Li and
    Metze, 2019), which gives (clips, classes). No label is needed.
    """
    own = segments * tf.sequence_mask(steps, tf.shape(segments)[1], dtype=segments.dtype)[:, :, None]
    pooled = tf.reduce_sum(own**2, axis=1) / tf.maximum(tf.reduce_sum(own, axis=1), SMALLEST)
    return tf.reduce_mean((clip_class - pooled) ** 2)
