"""autopool: exponential softmax with a learned sharpness."""

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from audiomtl.nn.pooling import PoolingLayer, weighted
from audiomtl.nn.softmax import masked_softmax
from audiomtl.settings.pooling import Pooling as Settings

if TYPE_CHECKING:
    import tensorflow as tf


def layer(settings: Settings) -> layers.Layer:
    return AutoPool(settings.autopool_limit, settings.autopool_penalty, name="pooling")


@keras.saving.register_keras_serializable(package="audiomtl")
class Within(keras.constraints.Constraint):
    """Every entry in [-limit, limit]."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, value: keras.Variable) -> "tf.Tensor":
        return keras.ops.clip(value, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        return {"limit": self.limit}


@keras.saving.register_keras_serializable(package="audiomtl")
class AutoPool(PoolingLayer):
    """Exponential softmax with a learned sharpness alpha per class, 1 at the start (McFee, Salamon and Bello,
    2018).

    ``limit`` above 0 keeps ``|alpha|`` within it (their constrained auto-pool), ``penalty`` adds penalty *
    sum(alpha^2) to the losses (regularised). alpha = 0 is mean, large alpha is max.
    """

    def __init__(self, limit: float = 0.0, penalty: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.limit, self.penalty = limit, penalty

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.alpha = self.add_weight(
            name="alpha",
            shape=(shapes[0][2],),
            initializer="ones",
            constraint=Within(self.limit) if self.limit else None,
            regularizer=keras.regularizers.L2(self.penalty) if self.penalty else None,
        )

    def pool(
        self, probabilities: "tf.Tensor", features: "tf.Tensor", valid: "tf.Tensor"
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        return weighted(probabilities, masked_softmax(self.alpha * probabilities, valid))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"limit": self.limit, "penalty": self.penalty}
