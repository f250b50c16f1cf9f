"""lstm: a window's score from an LSTM over the windows."""

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from audiomtl.nn.pooling import PoolingLayer, weighted
from audiomtl.nn.softmax import masked_softmax
from audiomtl.settings.pooling import Pooling as Settings

if TYPE_CHECKING:
    import tensorflow as tf


def layer(settings: Settings) -> layers.Layer:
    return Recurrent(settings.units, name="pooling")


@keras.saving.register_keras_serializable(package="audiomtl")
class Recurrent(PoolingLayer):
    """An LSTM reads the features in order, its state at each window gives the window's score: the one
    operator that hears the order.
    """

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.lstm = layers.LSTM(units, return_sequences=True)
        self.score = layers.Dense(1, use_bias=False)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.lstm.build(shapes[1])
        self.score.build((*shapes[1][:-1], self.units))

    def pool(
        self, probabilities: "tf.Tensor", features: "tf.Tensor", valid: "tf.Tensor"
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        # read forwards, so that zeros behind the valid windows come too late to matter
        return weighted(probabilities, masked_softmax(self.score(self.lstm(features)), valid))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}
