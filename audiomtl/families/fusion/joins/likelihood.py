"""likelihood: how probable a text and a score are, given the sound: by recognisers that learn with the join.

The sound of ``by`` becomes probabilities of tokens, for connectionist temporal classification, and of keys in
every step. What is joined are costs: of a text, the negative log probability of its tokens in their order,
over all alignments (Graves et al., 2006); of a score, that of its keys in the steps of its notes; each beside
what the best answer of any kind would cost. The recognisers learn from the classes in which a text or score
is that of the sound (``modalities.NAME.agrees``): there its cost is part of the loss, by
``join.evidence_weight``. No times of phones, and no text but the one that is given, are read.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.data.scores import KEYS
from audiomtl.families.fusion.encoders import kept, registered
from audiomtl.families.fusion.joins import Joining
from audiomtl.families.fusion.settings import Join
from audiomtl.nn.ctc import ctc_loss

OF_SEQUENCES = True
VALUES = 3  # numbers of each modality: its cost, the least cost, their difference
HELD = 0.5  # share of a step that a note must fill


def layer(
    settings: Join, names: Sequence[str], *, classes: int, weights: Sequence[float], on_grid: Sequence[str]
) -> layers.Layer:
    return Likelihood(names, settings.by, on_grid, name="join")


def costs(names: Sequence[str], by: str) -> dict[str, int]:
    """Column of the joined vector that has the cost of each modality but the sound, whose zeros are costs of
    what is absent.
    """
    return {name: VALUES * number for number, name in enumerate(name for name in names if name != by)}


@registered
class Likelihood(Joining):
    """(clips, 3 x modalities but ``by``): costs in nats, of a text per token, of a score per step with a
    note; zeros where the modality or the sound is absent, and for a text of more tokens than steps.
    """

    def __init__(self, names: Sequence[str], by: str, on_grid: Sequence[str], **options: Any) -> None:
        super().__init__(names, **options)
        self.by, self.on_grid = by, list(on_grid)

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        count = len(self.names)
        sizes = {name: int(shapes[1 + count + number][-1] or 0) for number, name in enumerate(self.names)}
        self.tokens = {
            name: self.dense(sizes[name], sizes[self.by], f"tokens_{name}")
            for name in self.names
            if name != self.by and name not in self.on_grid and self.by in self.names
        }
        self.keys = {  # beside the salience; the last class is no key
            name: self.dense(KEYS + 1, sizes[self.by], f"keys_{name}", kernel_initializer="zeros")
            for name in self.names
            if name in self.on_grid and name != self.by
        }

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        every = dict(zip(self.names, self.steps(inputs), strict=True))
        found = []
        for name in self.names:
            if name == self.by:
                continue
            x, mask = every[name]
            if self.by not in self.names:
                found.append(tf.zeros([tf.shape(x)[0], VALUES]))
                continue
            sound, own = every[self.by]
            known = tf.reduce_any(own, axis=1) & tf.reduce_any(mask, axis=1)
            of = self._score if name in self.on_grid else self._text
            found.append(kept(tf.stack(of(name, sound, own, x, mask), axis=1), known))
        return tf.concat(found, axis=1) if found else tf.zeros([tf.shape(inputs[0])[0], 1])

    def _text(
        self, name: str, sound: tf.Tensor, own: tf.Tensor, x: tf.Tensor, mask: tf.Tensor
    ) -> list[tf.Tensor]:
        """Three values (clips,) of a text whose steps are one-hot; its index 0, padding, is the blank."""
        logits = self.tokens[name](sound)  # (clips, steps, tokens)
        labels = tf.argmax(x, axis=2, output_type=tf.int32)
        frames, length = (tf.reduce_sum(tf.cast(one, tf.int32), axis=1) for one in (own, mask))
        repeats = tf.reduce_sum(
            tf.cast((labels[:, 1:] == labels[:, :-1]) & mask[:, 1:] & mask[:, :-1], tf.int32), axis=1
        )
        length = tf.where(length + repeats <= frames, length, 0)
        cost = ctc_loss(logits, frames, labels, length)
        best = tf.reduce_max(tf.nn.log_softmax(logits), axis=2)
        least = -tf.reduce_sum(tf.where(own, best, 0.0), axis=1)
        count = tf.maximum(tf.cast(length, tf.float32), 1.0)
        values = tf.stack([cost, least, cost - least], axis=1) / count[:, None]
        return tf.unstack(kept(values, length > 0), axis=1)

    def _score(
        self, name: str, sound: tf.Tensor, own: tf.Tensor, x: tf.Tensor, mask: tf.Tensor
    ) -> list[tf.Tensor]:
        """Three values (clips,) of a score on the sound's grid, whose first 88 numbers are the keys held."""
        longer = tf.maximum(tf.shape(sound)[1] - tf.shape(x)[1], 0)
        held = tf.pad(x[:, :, :KEYS], [[0, 0], [0, longer], [0, 0]])[:, : tf.shape(sound)[1]]
        salience = tf.pad(sound[:, :, :KEYS], [[0, 0], [0, 0], [0, 1]])
        likely = tf.nn.log_softmax(salience + self.keys[name](sound))  # (clips, steps, 89)
        keys = tf.cast(held > HELD, tf.float32) * tf.cast(own, tf.float32)[:, :, None]
        count = tf.maximum(tf.reduce_sum(keys, axis=[1, 2]), 1.0)
        cost = -tf.reduce_sum(keys * likely[:, :, :KEYS], axis=[1, 2]) / count
        best = tf.reduce_max(likely, axis=2) * tf.reduce_sum(keys, axis=2)
        least = -tf.reduce_sum(best, axis=1) / count
        return [cost, least, cost - least]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (shapes[0][0], max(VALUES * (len(self.names) - (self.by in self.names)), 1))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"by": self.by, "on_grid": self.on_grid}
