"""linear_softmax: weighted by the probabilities themselves."""

import tensorflow as tf

from audiomtl.nn.pooling import weighted
from audiomtl.nn.softmax import SMALLEST


def pool(p, valid, layer):
    """``sum(p p) / sum(p)`` (Wang, Li and Metze, 2019): weights are the probabilities themselves."""
    mask = tf.cast(valid, tf.float32)
    raised = (p + SMALLEST) * mask
    return weighted(p, raised / tf.maximum(tf.reduce_sum(raised, axis=1, keepdims=True), SMALLEST))
