"""weighted: their weighted mean; weights fixed, or learned through a softmax."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining, weighted_mean
from audiomtl.families.fusion.settings import Join
from audiomtl.nn.softmax import LOWEST


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Weighted(names, settings.size, weights, settings.learn_weights, name="join")


@registered
class Weighted(Joining):
    """Their weighted mean.

    Weights are a softmax over the present modalities of scores that begin at the logarithms of ``weights``.
    """

    def __init__(
        self, names: Sequence[str], size: int, weights: Sequence[float], learned: bool, **options: Any
    ) -> None:
        super().__init__(names, **options)
        self.size, self.weights_at_start, self.learned = size, list(weights), learned

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.to_size = self.projections(shapes, self.size, "projection")
        start = keras.initializers.Constant([float(value) for value in tf.math.log(self.weights_at_start)])
        self.scores = self.add_weight(
            shape=(len(self.names),), initializer=start, trainable=self.learned, name="scores"
        )

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        scores = tf.where(inputs[0] > 0, self.scores[None, :], LOWEST)
        shares = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True))) * inputs[0]
        return weighted_mean(self.projected(inputs, self.to_size), shares)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "size": self.size,
            "weights": self.weights_at_start,
            "learned": self.learned,
        }
