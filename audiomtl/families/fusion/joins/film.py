"""film: one modality scales and shifts the steps of the others (Perez et al., 2018)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import kept, registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.joins._attention import mean_and_max
from audiomtl.families.fusion.settings import Join

OF_SEQUENCES = True


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Film(names, settings.size, settings.by, name="join")


@registered
class Film(Joining):
    """Feature-wise linear modulation: steps of the others become ``relu((1 + g) x + b)``, g and b dense
    layers of the vector of ``by`` (Perez et al., 2018); then a dense layer step by step, the mean and the
    greatest over steps, and the vector of ``by`` beside them.

    Without ``by``, left out or absent, g and b are 0.
    """

    def __init__(self, names: Sequence[str], size: int, by: str, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.by = size, by

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        # a modality's vectors are as wide as its steps
        self.to_size = self.projections(shapes, self.size, "projection")
        others = [name for name in self.names if name != self.by]
        width = shapes[1 + self.names.index(self.by)][-1] if self.by in self.names else 0
        self.scale = [self.dense(self.size, width, f"scale_{name}") for name in others if width]
        self.shift = [self.dense(self.size, width, f"shift_{name}") for name in others if width]
        self.after = [self.dense(self.size, self.size, f"after_{name}", activation="relu") for name in others]

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        vectors, steps = self.vectors(inputs), self.steps(inputs)
        found, place = [], 0
        for number, name in enumerate(self.names):
            if name == self.by:
                found.append(kept(self.to_size[number](vectors[number]), self.has(inputs, number)))
                continue
            x, mask = steps[number]
            x = self.to_size[number](x)  # (clips, steps, size)
            if self.by in self.names:
                index = self.names.index(self.by)
                scale, shift = (
                    kept(part[place](vectors[index]), self.has(inputs, index))
                    for part in (self.scale, self.shift)
                )
                x = (1.0 + scale[:, None]) * x + shift[:, None]
            found.append(mean_and_max(self.after[place](tf.nn.relu(x)), mask))
            place += 1
        return tf.concat(found, axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "by": self.by}
