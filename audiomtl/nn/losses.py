"""Losses of classification, computed from logits: their gradient is right however sure a network is.

Conventions: logits (..., classes). ``log(p + 1e-7)`` of a probability p has no gradient from a logit of -17
on; here nothing is added and nothing clipped. ``log_loss`` alone takes probabilities: those of scikit-learn's
classifiers, and of networks that earlier versions saved.

Contents: `cross_entropy`, `binary_cross_entropy`, `of_items`, `of_bags` (TensorFlow); `Logs`, the logarithms
of probabilities and of their complements; `log_loss`, `binary_log_loss`, `mean_of_clips`, `logits_of`
(NumPy).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.nn.softmax import LOWEST

LEAST = float(np.finfo(np.float64).eps)  # 2.2e-16, as in scikit-learn's log_loss


def cross_entropy(logits: Any, target: Any, of_class: Any = None) -> tf.Tensor:
    """``-sum(w t log softmax(z))``: the loss of each item (...).

    Parameters
    ----------
    target : numbers of classes (...), int; a number below 0 is read as 0, its loss is to be left out. Or
        shares of classes (..., classes), float, which need not sum to 1: a share of 2 counts twice.
    of_class : w (classes,), the weight of each class; None: 1.
    """
    logits = tf.cast(logits, tf.float32)
    target = tf.convert_to_tensor(target)
    if target.dtype.is_integer:
        target = tf.maximum(target, 0)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
        return each if of_class is None else each * tf.gather(tf.cast(of_class, tf.float32), target)
    shares = tf.cast(target, tf.float32)
    if of_class is not None:
        shares *= of_class
    # TensorFlow's own operation has a wrong gradient where shares do not sum to 1
    return -tf.reduce_sum(shares * tf.nn.log_softmax(logits), axis=-1)


def binary_cross_entropy(logits: Any, target: Any, positive: Any = 1.0) -> tf.Tensor:
    """``-(w t log sigmoid(z) + (1 - t) log sigmoid(-z))``, w = ``positive``: the loss of each number."""
    logits, target = tf.cast(logits, tf.float32), tf.cast(target, tf.float32)
    # TensorFlow's own operation has a wrong gradient at a logit of exactly 0
    return positive * target * tf.nn.softplus(-logits) + (1 - target) * tf.nn.softplus(logits)


def of_items(each: Any, weights: Any = None) -> tf.Tensor:
    """Losses (items,): their mean, of ``weights`` (items,) whose mean is 1 the weighted mean."""
    return tf.reduce_mean(each if weights is None else each * weights)


def of_bags(each: Any, counts: Any, weights: Any = None) -> tf.Tensor:
    """Losses (n_windows,) of the windows of all bags: mean over a bag's windows, then over bags, as of
    `of_items`.
    """
    bag = tf.repeat(tf.range(tf.shape(counts)[0]), counts)  # (n_windows,)
    share = 1 / tf.cast(tf.maximum(tf.gather(counts, bag), 1), tf.float32)
    if weights is not None:
        share *= tf.gather(weights, bag)
    return tf.reduce_sum(each * share) / tf.cast(tf.shape(counts)[0], tf.float32)


@keras.saving.register_keras_serializable(package="audiomtl")
class Logs(layers.Layer):
    """Logits (..., classes) to log(p) and log(1 - p), both without loss of digits: p is their softmax, or
    with ``several`` the sigmoid of each.
    """

    def __init__(self, several: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.several = several

    def call(self, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.several:
            return tf.math.log_sigmoid(logits), tf.math.log_sigmoid(-logits)
        logs = tf.nn.log_softmax(logits)
        first = tf.one_hot(tf.argmax(logits, axis=-1), tf.shape(logits)[-1], on_value=True, off_value=False)
        # every other probability is at most one half; 1 less the greatest is the sum of the others
        others = tf.reduce_logsumexp(tf.where(first, LOWEST, logs), axis=-1, keepdims=True)
        return logs, tf.where(first, others, tf.math.log1p(-tf.exp(tf.where(first, LOWEST, logs))))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[Any, Any]:
        return shape, shape

    def compute_output_spec(self, logits: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        one, other = (keras.KerasTensor(logits.shape, dtype="float32") for _ in range(2))
        return one, other

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"several": self.several}


# ---------------------------------------------------------------- of probabilities


def log_loss(probabilities: Any) -> np.ndarray:
    """``-log(p)`` of the true class's probability, those below 2.2e-16 counted as that."""
    return -np.log(np.maximum(np.asarray(probabilities, np.float64), LEAST))


def binary_log_loss(probabilities: Any, target: Any) -> np.ndarray:
    """``-(t log(p) + (1 - t) log(1 - p))`` of each number, p and 1 - p below 2.2e-16 counted as that."""
    p, target = np.asarray(probabilities, np.float64), np.asarray(target, np.float64)
    return target * log_loss(p) + (1 - target) * log_loss(1 - p)


def mean_of_clips(found: Sequence[tuple[Any, Mapping[str, np.ndarray]]]) -> float:
    """Mean cross-entropy of clips of one class each: pairs of an example with a ``label``, and its answer.

    From ``clip_logits`` (classes,) where the answer has them, else from the probabilities ``clip``.
    """
    each = []
    for one, answer in found:
        if "clip_logits" in answer:
            z = np.asarray(answer["clip_logits"], np.float64)
            each.append(np.logaddexp.reduce(z) - z[one.label])
        else:
            each.append(log_loss(answer["clip"][one.label]))
    return float(np.mean(each))


def logits_of(probabilities: Any, activation: str) -> np.ndarray:
    """Logits whose ``activation`` ("softmax", "sigmoid"; "" is none) gives these probabilities."""
    p = np.asarray(probabilities, np.float64)
    if not activation:
        return p
    logs = -log_loss(p)
    return logs if activation == "softmax" else logs + log_loss(1 - p)
