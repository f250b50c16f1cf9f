"""average: the mean of the present modalities, each projected to one size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining, weighted_mean
from audiomtl.families.fusion.settings import Join

if TYPE_CHECKING:
    import tensorflow as tf


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Average(names, settings.size, name="join")


@registered
class Average(Joining):
    """The mean of the present modalities' projections."""

    def __init__(self, names: Sequence[str], size: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size = size

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.to_size = self.projections(shapes, self.size, "projection")

    def call(self, inputs: "list[tf.Tensor]") -> "tf.Tensor":
        return weighted_mean(self.projected(inputs, self.to_size), inputs[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size}
