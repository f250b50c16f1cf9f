"""concatenation: side by side, zeros for what is absent."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.settings import Join


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Concatenation(names, name="join")


@registered
class Concatenation(Joining):
    """Side by side, zeros for what is absent; of vectors of any size."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return tf.concat(self.vectors(inputs), axis=1)

    def compute_output_shape(self, shapes: list[tuple[Any, ...]]) -> tuple[int | None, ...]:
        return (shapes[0][0], sum(shape[1] for shape in shapes[1:]))
