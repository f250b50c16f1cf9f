"""Averaged weights: an exponential moving average over the steps of a training (Polyak and Juditsky, 1992).

An average of a network is its own weights' average, not that of its outputs. It is scored and kept in the
place of the last step's weights; the training itself goes on from those.

Contents: `Average`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

STATISTICS = ("moving_mean", "moving_variance")  # names of Keras's variables of batch normalisation


class Average:
    """Averages of a model's variables; none with ``decay`` = 0.

    What is averaged are the trainable variables and the running statistics of batch normalisation, all with
    the same decay. (The statistics belong to the weights: those of the last step would not fit the averaged
    weights. Those of a pass over the train split would fit them exactly, at the cost of that pass in every
    epoch.) Other state, such as random generators and the balancing of losses, stays as it is.

    After step t = 1, 2 ... each average moves towards its variable by 1 - min(decay, (1 + t) / (10 + t)), so
    that the initial weights are soon forgotten however close to 1 the decay is.

    Parameters
    ----------
    variables : all variables of the model. trainable : those of them that are trained.
    """

    def __init__(self, variables: Sequence[Any], trainable: Sequence[Any], decay: float) -> None:
        self.decay = decay
        trained = {id(variable) for variable in trainable}
        self.averaged = [
            variable
            for variable in variables
            if decay and (id(variable) in trained or variable.name in STATISTICS)
        ]
        self.values = [tf.Variable(variable.numpy(), trainable=False) for variable in self.averaged]

    def update(self, steps: Any) -> None:
        """Move the averages towards the variables. ``steps``, a tensor: finished steps, this one included."""
        if not self.averaged:
            return
        count = tf.cast(steps, tf.float32)
        share = 1.0 - tf.minimum(self.decay, (1.0 + count) / (10.0 + count))
        for value, variable in zip(self.values, self.averaged, strict=True):
            # in this form a variable that does not change has exactly itself as its average
            value.assign_add(tf.cast(share, value.dtype) * (tf.convert_to_tensor(variable) - value))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averaged variables inside, and its own again behind."""
        own = [variable.numpy() for variable in self.averaged]
        for variable, value in zip(self.averaged, self.values, strict=True):
            variable.assign(value)
        try:
            yield
        finally:
            for variable, before in zip(self.averaged, own, strict=True):
                variable.assign(before)
