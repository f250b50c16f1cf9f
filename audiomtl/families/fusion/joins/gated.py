"""gated: gated multimodal units (Arevalo et al., 2017)."""

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
    return Gated(names, settings.size, name="join")


@registered
class Gated(Joining):
    """``sum_i z_i tanh(W_i x_i)``, ``z_i = sigmoid(V_i [x_1, ..., x_n])``: gated multimodal units (Arevalo et
    al., 2017, figure 2a).

    What is absent opens no gate, and is zeros in the gates of the others.
    """

    def __init__(self, names: Sequence[str], size: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size = size

    def build(self, shapes: list[tuple[Any, ...]]) -> None:
        self.to_size = self.projections(shapes, self.size, "projection", activation="tanh")
        together = sum(shape[-1] for shape in shapes[1:])
        self.gates = [
            self.dense(self.size, together, f"gate_{name}", activation="sigmoid") for name in self.names
        ]

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        together = tf.concat(self.vectors(inputs), axis=1)
        gates = tf.stack([gate(together) for gate in self.gates], axis=1)  # (clips, modalities, size)
        return tf.reduce_sum(gates * self.projected(inputs, self.to_size), axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size}
