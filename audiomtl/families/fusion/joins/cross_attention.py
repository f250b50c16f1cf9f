"""cross_attention: the steps of each modality attend to those of all others and are compared with the result.

Vaswani et al., 2017; the comparison: Chen et al., 2017.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.families.fusion.encoders import registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.joins._attention import PERIODS, attend, compared, mean_and_max, places
from audiomtl.families.fusion.settings import Join

OF_SEQUENCES = True


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return CrossAttention(names, settings.size, settings.heads, name="join")


@registered
class CrossAttention(Joining):
    """The steps of each modality attend to those of all others, are compared with the result, and are pooled:
    mean and maximum.

    A step's place in its clip is given to query and key, so that what comes at the same time can find one
    another.
    """

    def __init__(self, names: Sequence[str], size: int, heads: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.heads = size, heads

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.to_size = self.projections(shapes, self.size, "projection")
        self.query = [self.dense(self.size, self.size + 2 * PERIODS, f"query_{name}") for name in self.names]
        self.key = [self.dense(self.size, self.size + 2 * PERIODS, f"key_{name}") for name in self.names]
        self.value = [self.dense(self.size, self.size, f"value_{name}") for name in self.names]
        self.after = [
            self.dense(self.size, 4 * self.size, f"after_{name}", activation="relu") for name in self.names
        ]

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        steps = self.steps(inputs)
        masks = [mask for _, mask in steps]
        xs = [layer(x) for layer, (x, _) in zip(self.to_size, steps, strict=True)]
        placed = [tf.concat([x, places(mask)], axis=2) for x, mask in zip(xs, masks, strict=True)]
        found = []
        for number, (x, mask) in enumerate(zip(xs, masks, strict=True)):
            others = [other for other in range(len(xs)) if other != number]
            context = tf.zeros_like(x)
            if others:
                keys = tf.concat([self.key[other](placed[other]) for other in others], axis=1)
                values = tf.concat([self.value[other](xs[other]) for other in others], axis=1)
                every = tf.concat([masks[other] for other in others], axis=1)
                context = attend(self.query[number](placed[number]), keys, values, every, self.heads)
            found.append(mean_and_max(self.after[number](compared(x, context)), mask))
        return tf.concat(found, axis=1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"size": self.size, "heads": self.heads}
