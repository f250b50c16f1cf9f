"""multi_head_attention: learned queries."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.nn.pooling import PoolingLayer, weighted
from audiomtl.nn.softmax import masked_softmax
from audiomtl.settings.pooling import Pooling as Settings


def layer(settings: Settings) -> layers.Layer:
    return MultiHeadAttention(settings.heads, name="pooling")


@keras.saving.register_keras_serializable(package="audiomtl")
class MultiHeadAttention(PoolingLayer):
    """Learned queries, one per head, over the features by scaled dot product.

    The heads' weights are averaged (Lee et al., 2019).
    """

    def __init__(self, heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.heads = heads
        self.queries = layers.Dense(heads, use_bias=False)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.queries.build(shapes[1])

    def pool(
        self, probabilities: tf.Tensor, features: tf.Tensor, valid: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # (bags, windows, heads)
        scores = self.queries(features) / tf.sqrt(tf.cast(tf.shape(features)[2], tf.float32))
        return weighted(probabilities, tf.reduce_mean(masked_softmax(scores, valid), axis=2, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"heads": self.heads}
