"""attention: one learned weight per window."""

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from audiomtl.nn.pooling import PoolingLayer, weighted
from audiomtl.nn.softmax import masked_softmax
from audiomtl.settings.pooling import Pooling as Settings

if TYPE_CHECKING:
    import tensorflow as tf


def layer(settings: Settings) -> layers.Layer:
    return Attention(settings.units, gated=False, name="pooling")


@keras.saving.register_keras_serializable(package="audiomtl")
class Attention(PoolingLayer):
    """One weight per window for all classes, ``softmax(w tanh(V h))``, gated by ``sigmoid(U h)`` (Ilse,
    Tomczak and Welling, 2018).
    """

    def __init__(self, units: int, gated: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.gated = units, gated
        self.hidden = layers.Dense(units, activation="tanh")
        self.gate = layers.Dense(units, activation="sigmoid") if gated else None
        self.score = layers.Dense(1, use_bias=False)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.hidden.build(shapes[1])
        if self.gate:
            self.gate.build(shapes[1])
        self.score.build((*shapes[1][:-1], self.units))

    def pool(
        self, probabilities: "tf.Tensor", features: "tf.Tensor", valid: "tf.Tensor"
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        hidden = self.hidden(features)
        scores = self.score(hidden * self.gate(features) if self.gate else hidden)  # (bags, windows, 1)
        return weighted(probabilities, masked_softmax(scores, valid))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units, "gated": self.gated}
