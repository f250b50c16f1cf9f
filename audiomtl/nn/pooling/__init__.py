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

One file for each operator, found by its name. An operator without variables is a function
``pool(probabilities, valid, layer)`` -> (pooled, weights), valid (bags, windows, 1) bool, ``layer`` the
`Pooling` with its settings; one that learns has a function ``layer(settings)``, which makes a `PoolingLayer`.
``BY_RANK = True`` says that it chooses windows by order, ``FROM_ZERO = True`` that it takes zeros, which
stand behind the end, for the least there is.

Contents: `pooling_layer`, `kind`, `PoolingLayer`, `Pooling`, `weighted`, `majority_vote`.
"""

import importlib
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

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

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        probabilities, features, counts = inputs
        valid = valid_windows(counts, tf.shape(probabilities)[1])[:, :, None]  # (bags, windows, 1)
        # replaced, not multiplied: 0 * NaN is NaN
        probabilities, features = tf.where(valid, probabilities, 0.0), tf.where(valid, features, 0.0)
        pooled, weights = self.pool(probabilities, features, valid)
        weights = tf.where(valid, tf.broadcast_to(weights, tf.shape(probabilities)), 0.0)
        nothing = 1.0 / tf.cast(tf.shape(probabilities)[2], pooled.dtype)
        return tf.where(counts[:, None] > 0, pooled, nothing), weights

    def pool(
        self, probabilities: tf.Tensor, features: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        raise NotImplementedError

    def compute_output_shape(
        self, shapes: list[tuple[int | None, ...]]
    ) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
        return (shapes[0][0], shapes[0][2]), shapes[0]

    def compute_output_spec(
        self, inputs: list[keras.KerasTensor]
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        pooled, weights = self.compute_output_shape([one.shape for one in inputs])
        return keras.KerasTensor(pooled, dtype="float32"), keras.KerasTensor(weights, dtype="float32")


def weighted(probabilities: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sum of weights times probabilities over windows, and the weights."""
    return tf.reduce_sum(weights * probabilities, axis=1), weights


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
