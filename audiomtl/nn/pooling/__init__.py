"""From windows to the bag: masked pooling operators of multiple-instance learning behind one interface.

Conventions: ``layer([probabilities, features, counts])`` -> ``(pooled, weights)``. probabilities (bags,
windows, classes) are each window's own answer, in [0, 1]; features (bags, windows, size) its last hidden
layer, which attention and lstm look at; counts (bags,) says how many windows are valid. They come first; what
stands behind them may be anything, NaN included, and has no influence on value or gradient.

pooled (bags, classes) lies between the least and the greatest probability of the bag (noisy-or: between the
greatest and 1), class by class: but for the operators that weigh all classes alike it need not sum to 1 over
classes. weights (bags, windows, classes) say what each window contributed to each class: at least 0, sum 1
over the valid windows, 0 behind them. An **empty bag** gives 1 / classes for every class, weights 0 and no
gradient. All operators but lstm take windows in any order.

For a loss, ``layer([probabilities, features, counts, logs, rests])`` -> ``(pooled, weights, log, rest)``:
from the logarithms of p and of 1 - p (`nn.losses.Logs`) those of the pooled value and of 1 less it (bags,
classes), without loss of digits where p underflows or rounds to 1. An operator whose value is the sum of
weights times probabilities needs nothing for it; others have a function ``pool_logs(logs, rests, valid,
layer)`` -> (log, rest).

One file for each operator, found by its name. An operator without variables is a function
``pool(probabilities, valid, layer)`` -> (pooled, weights), valid (bags, windows, 1) bool, ``layer`` the
`Pooling` with its settings; one that learns has a function ``layer(settings)``, which makes a `PoolingLayer`.
``BY_RANK = True`` says that it chooses windows by order, ``FROM_ZERO = True`` that it takes zeros, which
stand behind the end, for the least there is.

Contents: `pooling_layer`, `kind`, `PoolingLayer`, `Pooling`, `weighted`, `log_weighted`,
`masked_log_sum_exp`, `majority_vote`.
"""

import importlib
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.nn.softmax import LOWEST
from audiomtl.settings.pooling import Pooling as Settings


def kind(name: str) -> ModuleType:
    """The module of an operator."""
    return importlib.import_module(f"{__name__}.{name}")


def pooling_layer(settings: Settings) -> layers.Layer:
    """The operator that the settings name."""
    module = kind(settings.name)
    if hasattr(module, "layer"):
        return module.layer(settings)
    return Pooling(
        settings.name,
        quantile=settings.quantile,
        sharpness=settings.sharpness,
        top_k=settings.top_k,
        name="pooling",
    )


def valid_windows(counts: tf.Tensor, windows: tf.Tensor | int) -> tf.Tensor:
    """Mask (bags, windows) of the windows that count."""
    return tf.sequence_mask(counts, windows)


class PoolingLayer(layers.Layer):
    """What all operators share: padding is replaced before anything sees it, and the empty bag has its
    value.
    """

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        probabilities, features, counts = inputs[:3]
        valid = valid_windows(counts, tf.shape(probabilities)[1])[:, :, None]  # (bags, windows, 1)
        # replaced, not multiplied: 0 * NaN is NaN
        probabilities, features = tf.where(valid, probabilities, 0.0), tf.where(valid, features, 0.0)
        pooled, weights = self.pool(probabilities, features, valid)
        weights = tf.where(valid, tf.broadcast_to(weights, tf.shape(probabilities)), 0.0)
        nothing = 1.0 / tf.cast(tf.shape(probabilities)[2], pooled.dtype)
        answers = (tf.where(counts[:, None] > 0, pooled, nothing), weights)
        if len(inputs) == 3:
            return answers
        logs, rests = (tf.where(valid, one, 0.0) for one in inputs[3:])
        log, rest = self.pool_logs(logs, rests, weights, valid)
        # rounding lifts neither above a probability of 1
        log, rest = (tf.where(counts[:, None] > 0, tf.minimum(one, 0.0), -1.0) for one in (log, rest))
        return (*answers, log, rest)

    def pool(
        self, probabilities: tf.Tensor, features: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        raise NotImplementedError

    def pool_logs(
        self, logs: tf.Tensor, rests: tf.Tensor, weights: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """log(pooled) and log(1 - pooled), (bags, classes); of an empty bag anything finite."""
        return log_weighted(logs, weights), log_weighted(rests, weights)

    def compute_output_shape(
        self, shapes: list[tuple[int | None, ...]]
    ) -> tuple[tuple[int | None, ...], ...]:
        pooled = (shapes[0][0], shapes[0][2])
        return (pooled, shapes[0]) if len(shapes) == 3 else (pooled, shapes[0], pooled, pooled)

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> tuple[keras.KerasTensor, ...]:
        shapes = self.compute_output_shape([one.shape for one in inputs])
        return tuple(keras.KerasTensor(shape, dtype="float32") for shape in shapes)


def weighted(probabilities: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of weights times probabilities over windows, and the weights."""
    return tf.reduce_sum(weights * probabilities, axis=1), weights


def log_weighted(logs: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """``log(sum(w exp(l)))`` over windows, (bags, classes); weights of 0 leave their window out."""
    used = tf.broadcast_to(weights, tf.shape(logs)) > 0
    peak = tf.stop_gradient(tf.reduce_max(tf.where(used, logs, LOWEST), axis=1, keepdims=True))
    shares = tf.where(used, weights * tf.exp(tf.where(used, logs - peak, 0.0)), 0.0)
    total = tf.reduce_sum(shares, axis=1)
    return peak[:, 0] + tf.math.log(tf.where(total > 0, total, 1.0))


def masked_log_sum_exp(logs: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """``log(sum(exp(l)))`` over the valid windows, (bags, classes)."""
    return log_weighted(logs, tf.cast(valid, logs.dtype))


@keras.saving.register_keras_serializable(package="audiomtl")
class Pooling(PoolingLayer):
    """An operator without variables; it pays the features no attention."""

    def __init__(
        self, operator: str, quantile: float = 0.75, sharpness: float = 1.0, top_k: int = 3, **options: Any
    ) -> None:
        super().__init__(**options)
        self.operator, self.quantile, self.sharpness, self.top_k = operator, quantile, sharpness, top_k

    def pool(
        self, probabilities: tf.Tensor, features: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return kind(self.operator).pool(probabilities, valid, self)

    def pool_logs(
        self, logs: tf.Tensor, rests: tf.Tensor, weights: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        operator = kind(self.operator)
        if hasattr(operator, "pool_logs"):
            return operator.pool_logs(logs, rests, valid, self)
        return super().pool_logs(logs, rests, weights, valid)

    def get_config(self) -> dict[str, Any]:
        own = {
            "operator": self.operator,
            "quantile": self.quantile,
            "sharpness": self.sharpness,
            "top_k": self.top_k,
        }
        return super().get_config() | own


def majority_vote(probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For evaluation only: the share of a bag's windows that vote for each class.

    Ties go to the class with the greater mean probability, which is added at a weight too small to overturn a
    vote.

    Parameters
    ----------
    probabilities : (bags, windows, classes) ; counts : (bags,)

    Returns
    -------
    np.ndarray (bags, classes), sum 1; 1 / classes for an empty bag
    """
    classes = probabilities.shape[2]
    pooled = np.full((len(probabilities), classes), 1 / classes)
    for bag, count in enumerate(counts):
        if count:
            some = np.asarray(probabilities[bag, :count], np.float64)
            votes = np.bincount(some.argmax(axis=1), minlength=classes) / count
            share = 0.1 / count  # of the whole: less than half of one vote
            pooled[bag] = (1 - share) * votes + share * some.mean(axis=0) / some.mean(axis=0).sum()
    return pooled
