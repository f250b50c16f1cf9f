"""aligned: other modalities are aligned with the steps of one, by position or, off its grid, by attention,
and compared step by step.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.joins._attention import PERIODS, attend, compared, mean_and_max, place, placed
from audiomtl.families.fusion.settings import Join

OF_SEQUENCES = True
NARROW = 500.0  # how much less a step at first looks at one whose relative place is wrong by one


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Aligned(names, settings.size, settings.by, on_grid, settings.kernel, name="join")


@registered
class Aligned(Joining):
    """Step by step on the grid of ``by``: modalities ``on_grid`` are there by place, others through
    attention; each is compared with ``by``, a convolution over ``kernel`` steps looks at all of it, and its
    mean and greatest over steps stand beside the others' vectors.

    What is absent is compared as zeros, so that ``by`` alone is heard. Without ``by``, left out or absent,
    only the vectors are left. At first every modality is compared as it is (projections begin as identities),
    and attention keeps near the same relative place: a trained factor times the squared distance is
    subtracted from its scores.
    """

    def __init__(
        self, names: Sequence[str], size: int, by: str, on_grid: Sequence[str], kernel: int, **options: Any
    ) -> None:
        super().__init__(names, **options)
        self.size, self.by, self.on_grid, self.kernel = size, by, list(on_grid), kernel

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.to_size = self.projections(shapes, self.size, "projection", kernel_initializer="identity")
        away = [name for name in self.names if name != self.by and name not in self.on_grid]
        self.query = [self.dense(self.size, self.size + 2 * PERIODS, f"query_{name}") for name in away]
        self.key = [self.dense(self.size, self.size + 2 * PERIODS, f"key_{name}") for name in away]
        start = keras.initializers.Constant(NARROW)
        self.narrow = [self.add_weight(shape=(), initializer=start, name=f"narrow_{name}") for name in away]
        self.convolution = layers.Conv1D(
            self.size, self.kernel, padding="same", activation="relu", name="convolution"
        )
        self.convolution.build((None, None, self.size * max(4 * (len(self.names) - 1), 1)))

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        steps = [(layer(x), mask) for layer, (x, mask) in zip(self.to_size, self.steps(inputs), strict=True)]
        if self.by not in self.names:
            return tf.concat(self.vectors(inputs), axis=1)
        index = self.names.index(self.by)
        grid, mask = steps[index]
        parts, away = [], 0
        for number, name in enumerate(self.names):
            if name == self.by:
                continue
            x, own = steps[number]
            if name not in self.on_grid:
                query, key = self.query[away](placed(grid, mask)), self.key[away](placed(x, own))
                far = (place(mask)[:, None, :, None] - place(own)[:, None, None, :]) ** 2
                x, away = attend(query, key, x, own, 1, self.narrow[away] * far), away + 1
            else:  # a clip that lacks the grid may make a batch longer here or there
                longer = tf.maximum(tf.shape(grid)[1] - tf.shape(x)[1], 0)
                x = tf.pad(tf.where(own[:, :, None], x, 0.0), [[0, 0], [0, longer], [0, 0]])[
                    :, : tf.shape(grid)[1]
                ]
            parts.append(compared(grid, x))
        x = tf.concat(parts, axis=2) if parts else grid
        x = self.convolution(tf.where(mask[:, :, None], x, 0.0))
        others = [
            vector for name, vector in zip(self.names, self.vectors(inputs), strict=True) if name != self.by
        ]
        return tf.concat([mean_and_max(x, mask), *others], axis=1)

    def get_config(self) -> dict[str, Any]:
        own = {"size": self.size, "by": self.by, "on_grid": self.on_grid, "kernel": self.kernel}
        return super().get_config() | own
