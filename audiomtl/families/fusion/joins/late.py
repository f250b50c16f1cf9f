"""late: the mean of the logits of a classifier for each modality."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining, weighted_mean
from audiomtl.families.fusion.settings import Join

GIVES_LOGITS = True


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Late(names, settings.size, classes, name="join")


@registered
class Late(Joining):
    """The mean over the present modalities of the logits of a classifier for each, with a hidden layer of
    ``size`` units.
    """

    def __init__(self, names: Sequence[str], size: int, classes: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.classes = size, classes

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.hidden = self.projections(shapes, self.size, "hidden", activation="relu")
        self.logits = [self.dense(self.classes, self.size, f"logits_{name}") for name in self.names]

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        each = tf.stack(
            [
                layer(hidden(x))
                for layer, hidden, x in zip(self.logits, self.hidden, self.vectors(inputs), strict=True)
            ],
            axis=1,
        )
        return weighted_mean(tf.where(inputs[0][:, :, None] > 0, each, 0.0), inputs[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "classes": self.classes}
