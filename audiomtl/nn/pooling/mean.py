"""mean: the average."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import weighted
from audiomtl.nn.softmax import masked_softmax

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """The average of the windows' answers, a soft majority vote:
    https://stackoverflow.com/questions/55272508.
    """
    return weighted(p, masked_softmax(tf.zeros_like(p), valid))
