"""max: the maximum."""

from typing import TYPE_CHECKING

import tensorflow as tf

from audiomtl.nn.pooling import weighted

if TYPE_CHECKING:
    from audiomtl.nn.pooling import Pooling

BY_RANK = True
FROM_ZERO = True


def pool(p: tf.Tensor, valid: tf.Tensor, layer: "Pooling") -> tuple[tf.Tensor, tf.Tensor]:
    """The standard assumption: a bag is positive if one instance is (Dietterich et al., 1997).

    Weight 1 on the first greatest.
    """
    best = tf.argmax(tf.where(valid, p, -1.0), axis=1)  # (bags, classes)
    weights = tf.transpose(tf.one_hot(best, tf.shape(p)[1]), [0, 2, 1])
    return weighted(p, weights)
