"""exponential_softmax: weighted by their exponentials."""

from audiomtl.nn.pooling import weighted
from audiomtl.nn.softmax import masked_softmax


def pool(p, valid, layer):
    """``sum(p exp(r p)) / sum(exp(r p))``, r = ``sharpness`` (r = 1 in Wang, Li and Metze, 2019.

    McFee, Salamon and Bello, 2018).
    """
    return weighted(p, masked_softmax(layer.sharpness * p, valid))
