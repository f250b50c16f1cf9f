"""exponential_softmax: weighted by their exponentials."""

from typing import TYPE_CHECKING

from audiomtl.nn.pooling import weighted
from audiomtl.nn.softmax import masked_softmax

if TYPE_CHECKING:
    import tensorflow as tf

    from audiomtl.nn.pooling import Pooling


def pool(p: "tf.Tensor", valid: "tf.Tensor", layer: "Pooling") -> "tuple[tf.Tensor, tf.Tensor]":
    """``sum(p exp(r p)) / sum(exp(r p))``, r = ``sharpness`` (r = 1 in Wang, Li and Metze, 2019.

    McFee, Salamon and Bello, 2018).
    """
    return weighted(p, masked_softmax(layer.sharpness * p, valid))
