"""bilinear: low-rank product of all (Liu et al., 2018)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.settings import Join


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Bilinear(names, settings.size, settings.rank, name="join")


@registered
class Bilinear(Joining):
    """``sum_r prod_i W_i^r [x_i, 1]``: a product of all modalities of rank ``rank`` (Liu et al., 2018,
    low-rank multimodal fusion).

    The factor of what is absent is 1.
    """

    def __init__(self, names: Sequence[str], size: int, rank: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.rank = size, rank

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        # of the appended 1: at the start every factor lies around 1, none is near 0
        one = keras.initializers.Ones()
        self.factors = self.projections(shapes, self.rank * self.size, "factor", bias_initializer=one)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        each = self.projected(inputs, self.factors)
        product = tf.reduce_prod(tf.where(inputs[0][:, :, None] > 0, each, 1.0), axis=1)
        return tf.reduce_mean(tf.reshape(product, [-1, self.rank, self.size]), axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "rank": self.rank}
