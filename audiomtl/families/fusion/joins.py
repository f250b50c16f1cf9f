"""Joins: what the encoders of several modalities give becomes one vector for each clip.

Conventions: ``names`` are the modalities in the order of the columns of ``presence`` (clips, modalities), 1 where a clip has one. Joins of
vectors read ``[presence, *vectors]``, each (clips, size). Joins of sequences read ``[presence, *vectors, *steps, *masks]``: steps
(clips, steps, size) in any number and which are a clip's own. All give (clips, any). What is absent is replaced by zeros and weighs
nothing: it has no influence on output or gradient, exactly. A clip that has nothing gives a finite value.

================ ========================================================================================================
average          mean of the present modalities, each projected to one size
weighted         their weighted mean; weights fixed, or learned through a softmax
concatenation    side by side, zeros for what is absent
gated            gated multimodal units (Arevalo et al., 2017)
bilinear         low-rank product of all (Liu et al., 2018)
late             mean of the logits of a classifier for each modality
film             one modality scales and shifts the steps of the others (Perez et al., 2018)
cross_attention  the steps of each modality attend to those of all others and are compared with what they find (Vaswani et al., 2017; the
                 comparison: Chen et al., 2017)
aligned          the others are brought to the steps of one, by place or, off its grid, by attention, and compared step by step
================ ========================================================================================================

Contents: `join`, `check_ranks`, a layer for each.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.errors import UserError
from audiomtl.families.fusion.encoders import kept, max_over, mean_over, registered
from audiomtl.families.fusion.settings import Join

OF_SEQUENCES = ("film", "cross_attention", "aligned")
NARROW = 500.0  # aligned: how much less a step at first looks at one whose relative place is wrong by one
PERIODS = 8  # sine and cosine pairs that tell a step's place
LOWEST = -1e30


def join(
    settings: Join,
    presence: Any,
    vectors: Mapping[str, Any],
    sequences: Mapping[str, tuple[Any, Any]],
    *,
    classes: int,
    weights: Sequence[float],
    on_grid: Sequence[str],
) -> Any:
    """One tensor (clips, any) from all modalities; the logits (clips, classes) with ``late``.

    Parameters
    ----------
    vectors : name -> (clips, size).
    sequences : name -> steps (clips, steps, size) and mask (clips, steps).
    weights : of each modality (weighted).
    on_grid : modalities whose steps share one grid of time (aligned).

    Raises
    ------
    UserError : a tensor of the wrong rank, with the way to the right one.
    """
    names, kind = list(vectors), settings.kind
    check_ranks(vectors, 2)
    if kind in OF_SEQUENCES:
        check_ranks({name: steps for name, (steps, _) in sequences.items()}, 3)
        inputs = [presence, *vectors.values(), *(steps for steps, _ in sequences.values()), *(mask for _, mask in sequences.values())]
        if kind == "film":
            return Film(names, settings.size, settings.by, name="join")(inputs)
        if kind == "cross_attention":
            return CrossAttention(names, settings.size, settings.heads, name="join")(inputs)
        return Aligned(names, settings.size, settings.by, list(on_grid), settings.kernel, name="join")(inputs)
    layer: layers.Layer
    if kind == "average":
        layer = Average(names, settings.size, name="join")
    elif kind == "weighted":
        layer = Weighted(names, settings.size, list(weights), settings.learn_weights, name="join")
    elif kind == "concatenation":
        layer = Concatenation(names, name="join")
    elif kind == "gated":
        layer = Gated(names, settings.size, name="join")
    elif kind == "bilinear":
        layer = Bilinear(names, settings.size, settings.rank, name="join")
    else:
        layer = Late(names, settings.size, classes, name="join")
    return layer([presence, *vectors.values()])


def check_ranks(tensors: Mapping[str, Any], rank: int) -> None:
    """Refuse tensors that cannot be joined: all vectors (clips, size), rank 2, or all sequences (clips, steps, size), rank 3.

    Raises
    ------
    UserError : which input has which shape, and how it is brought to the right one.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [name for name, shape in shapes.items() if len(shape) != rank]
    if not wrong:
        return
    every = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if rank == 2:
        how = {3: "over its steps first (PoolSteps, GlobalAveragePooling1D)", 4: "over height and width first (GlobalAveragePooling2D)"}
        remedy = f"pool {wrong[0]} {how.get(len(shapes[wrong[0]]), 'to one vector for each clip first')}"
    else:
        remedy = f"reshape {wrong[0]} first: height and width to steps, a vector to one step (Reshape)"
    kind = "vectors (clips, size)" if rank == 2 else "sequences (clips, steps, size)"
    raise UserError(f"join: {every}: only {kind} can be joined, and {wrong[0]} has {len(shapes[wrong[0]])} axes: {remedy}")


class _Join(layers.Layer):
    """What joins share: absent vectors and steps are zeros before anything sees them."""

    def __init__(self, names: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = list(names)
        self.supports_masking = True  # and needs none: masks are among the inputs

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return super().get_config() | {"names": self.names}

    def vectors(self, inputs: Sequence[Any]) -> list[tf.Tensor]:
        """Of each modality (clips, size), zeros where absent."""
        return [kept(inputs[1 + number], self.has(inputs, number)) for number in range(len(self.names))]

    def steps(self, inputs: Sequence[Any]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Of each modality steps and mask, zeros and false where absent or not a clip's own."""
        count = len(self.names)
        found = []
        for number in range(count):
            mask = tf.logical_and(inputs[1 + 2 * count + number], self.has(inputs, number)[:, None])
            found.append((tf.where(mask[:, :, None], inputs[1 + count + number], 0.0), mask))
        return found

    def has(self, inputs: Sequence[Any], number: int) -> tf.Tensor:
        """(clips,) bool"""
        return inputs[0][:, number] > 0

    def dense(self, units: int, inputs: int, name: str, **options: Any) -> layers.Dense:
        """A dense layer, built."""
        made = layers.Dense(units, name=name, **options)
        made.build((None, inputs))
        return made

    def projections(self, shapes: Sequence[Any], units: int, name: str, **options: Any) -> list[layers.Dense]:
        """A dense layer for each modality, from what it gives to ``units``."""
        return [self.dense(units, shapes[1 + number][-1], f"{name}_{one}", **options) for number, one in enumerate(self.names)]

    def projected(self, inputs: Sequence[Any], by: Sequence[layers.Dense]) -> tf.Tensor:
        """(clips, modalities, units), zeros where absent: a projection of zeros is its bias."""
        each = enumerate(zip(self.vectors(inputs), by, strict=True))
        return tf.stack([kept(layer(vector), self.has(inputs, number)) for number, (vector, layer) in each], axis=1)


def _weighted_mean(each: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(clips, modalities, units) and weights (clips, modalities), 0 where absent -> (clips, units); zeros where all are absent."""
    total = tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.reduce_sum(each * (weights / tf.where(total > 0, total, 1.0))[:, :, None], axis=1)


# ---------------------------------------------------------------- joins of vectors


@registered
class Average(_Join):
    """The mean of the present modalities' projections."""

    def __init__(self, names: Sequence[str], size: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size = size

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection")

    def call(self, inputs):
        return _weighted_mean(self.projected(inputs, self.to_size), inputs[0])

    def get_config(self):
        return super().get_config() | {"size": self.size}


@registered
class Weighted(_Join):
    """Their weighted mean. Weights are a softmax over the present modalities of scores that begin at the logarithms of ``weights``."""

    def __init__(self, names: Sequence[str], size: int, weights: Sequence[float], learned: bool, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.weights_at_start, self.learned = size, list(weights), learned

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection")
        start = keras.initializers.Constant([float(value) for value in tf.math.log(self.weights_at_start)])
        self.scores = self.add_weight(shape=(len(self.names),), initializer=start, trainable=self.learned, name="scores")

    def call(self, inputs):
        scores = tf.where(inputs[0] > 0, self.scores[None, :], LOWEST)
        shares = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True))) * inputs[0]
        return _weighted_mean(self.projected(inputs, self.to_size), shares)

    def get_config(self):
        return super().get_config() | {"size": self.size, "weights": self.weights_at_start, "learned": self.learned}


@registered
class Concatenation(_Join):
    """Side by side, zeros for what is absent; of vectors of any size."""

    def call(self, inputs):
        return tf.concat(self.vectors(inputs), axis=1)

    def compute_output_shape(self, shapes):
        return (shapes[0][0], sum(shape[1] for shape in shapes[1:]))


@registered
class Gated(_Join):
    """``sum_i z_i tanh(W_i x_i)``, ``z_i = sigmoid(V_i [x_1, ..., x_n])``: gated multimodal units (Arevalo et al., 2017, figure 2a).

    What is absent opens no gate, and is zeros in the gates of the others.
    """

    def __init__(self, names: Sequence[str], size: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size = size

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection", activation="tanh")
        together = sum(shape[-1] for shape in shapes[1:])
        self.gates = [self.dense(self.size, together, f"gate_{name}", activation="sigmoid") for name in self.names]

    def call(self, inputs):
        together = tf.concat(self.vectors(inputs), axis=1)
        gates = tf.stack([gate(together) for gate in self.gates], axis=1)  # (clips, modalities, size)
        return tf.reduce_sum(gates * self.projected(inputs, self.to_size), axis=1)

    def get_config(self):
        return super().get_config() | {"size": self.size}


@registered
class Bilinear(_Join):
    """``sum_r prod_i W_i^r [x_i, 1]``: a product of all modalities of rank ``rank`` (Liu et al., 2018, low-rank multimodal fusion).

    The factor of what is absent is 1.
    """

    def __init__(self, names: Sequence[str], size: int, rank: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.rank = size, rank

    def build(self, shapes):
        one = keras.initializers.Ones()  # of the appended 1: at the start every factor lies around 1, none is near 0
        self.factors = self.projections(shapes, self.rank * self.size, "factor", bias_initializer=one)

    def call(self, inputs):
        each = self.projected(inputs, self.factors)
        product = tf.reduce_prod(tf.where(inputs[0][:, :, None] > 0, each, 1.0), axis=1)
        return tf.reduce_mean(tf.reshape(product, [-1, self.rank, self.size]), axis=1)

    def get_config(self):
        return super().get_config() | {"size": self.size, "rank": self.rank}


@registered
class Late(_Join):
    """The mean over the present modalities of the logits of a classifier for each, with a hidden layer of ``size`` units."""

    def __init__(self, names: Sequence[str], size: int, classes: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.classes = size, classes

    def build(self, shapes):
        self.hidden = self.projections(shapes, self.size, "hidden", activation="relu")
        self.logits = [self.dense(self.classes, self.size, f"logits_{name}") for name in self.names]

    def call(self, inputs):
        each = tf.stack([layer(hidden(x)) for layer, hidden, x in zip(self.logits, self.hidden, self.vectors(inputs), strict=True)], axis=1)
        return _weighted_mean(tf.where(inputs[0][:, :, None] > 0, each, 0.0), inputs[0])

    def get_config(self):
        return super().get_config() | {"size": self.size, "classes": self.classes}


# ---------------------------------------------------------------- joins of sequences


@registered
class Film(_Join):
    """Feature-wise linear modulation: steps of the others become ``relu((1 + g) x + b)``, g and b dense layers of the vector of ``by``
    (Perez et al., 2018); then a dense layer step by step, the mean and the greatest over steps, and the vector of ``by`` beside them.

    Without ``by``, left out or absent, g and b are 0.
    """

    def __init__(self, names: Sequence[str], size: int, by: str, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.by = size, by

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection")  # a modality's vectors are as wide as its steps
        others = [name for name in self.names if name != self.by]
        width = shapes[1 + self.names.index(self.by)][-1] if self.by in self.names else 0
        self.scale = [self.dense(self.size, width, f"scale_{name}") for name in others if width]
        self.shift = [self.dense(self.size, width, f"shift_{name}") for name in others if width]
        self.after = [self.dense(self.size, self.size, f"after_{name}", activation="relu") for name in others]

    def call(self, inputs):
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
                scale, shift = (kept(part[place](vectors[index]), self.has(inputs, index)) for part in (self.scale, self.shift))
                x = (1.0 + scale[:, None]) * x + shift[:, None]
            found.append(_mean_and_max(self.after[place](tf.nn.relu(x)), mask))
            place += 1
        return tf.concat(found, axis=1)

    def get_config(self):
        return super().get_config() | {"size": self.size, "by": self.by}


def _mean_and_max(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps, size) -> (clips, 2 size); zeros without steps."""
    return tf.concat([mean_over(x, mask), max_over(x, mask)], axis=1)


def _place(mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps): each step's place in its own clip, 0 at its first step and 1 behind its last."""
    own = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True), 1.0)
    return tf.range(tf.shape(mask)[1], dtype=tf.float32)[None, :] / own


def _places(mask: tf.Tensor) -> tf.Tensor:
    """(clips, steps, 2 PERIODS): sines and cosines of each step's `_place`."""
    angles = _place(mask)[:, :, None] * 3.14159265 * tf.constant([2.0**power for power in range(PERIODS)])
    return tf.where(mask[:, :, None], tf.concat([tf.sin(angles), tf.cos(angles)], axis=2), 0.0)


def _attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, mask: tf.Tensor, heads: int, less: Any = 0.0) -> tf.Tensor:
    """Scaled dot-product attention of ``heads`` heads: query (clips, steps, size), key and value (clips, others, size) -> like query.

    ``less`` (clips, 1, steps, others) is subtracted from the scores. Zeros for clips whose others are all masked.
    """
    clips, steps, others = tf.shape(query)[0], tf.shape(query)[1], tf.shape(key)[1]
    size = query.shape[2] // heads
    q = tf.transpose(tf.reshape(query, [clips, steps, heads, size]), [0, 2, 1, 3])
    k, v = (tf.transpose(tf.reshape(one, [clips, others, heads, size]), [0, 2, 1, 3]) for one in (key, value))
    scores = tf.matmul(q, k, transpose_b=True) / size**0.5 - less
    scores = tf.where(mask[:, None, None, :], scores, LOWEST)
    found = tf.matmul(tf.nn.softmax(scores), v)  # (clips, heads, steps, size)
    return kept(tf.reshape(tf.transpose(found, [0, 2, 1, 3]), [clips, steps, heads * size]), tf.reduce_any(mask, axis=1))


def _compared(x: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    """Side by side: both, their difference and their product (Chen et al., 2017, enhanced LSTM for inference, equations 14 and 15)."""
    return tf.concat([x, found, x - found, x * found], axis=-1)


@registered
class CrossAttention(_Join):
    """The steps of each modality attend to those of all others, compare themselves with what they find, and are pooled: mean and greatest.

    A step's place in its clip is given to query and key, so that what comes at the same time can find one another.
    """

    def __init__(self, names: Sequence[str], size: int, heads: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.heads = size, heads

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection")
        self.query = [self.dense(self.size, self.size + 2 * PERIODS, f"query_{name}") for name in self.names]
        self.key = [self.dense(self.size, self.size + 2 * PERIODS, f"key_{name}") for name in self.names]
        self.value = [self.dense(self.size, self.size, f"value_{name}") for name in self.names]
        self.after = [self.dense(self.size, 4 * self.size, f"after_{name}", activation="relu") for name in self.names]

    def call(self, inputs):
        steps = self.steps(inputs)
        masks = [mask for _, mask in steps]
        xs = [layer(x) for layer, (x, _) in zip(self.to_size, steps, strict=True)]
        placed = [tf.concat([x, _places(mask)], axis=2) for x, mask in zip(xs, masks, strict=True)]
        found = []
        for number, (x, mask) in enumerate(zip(xs, masks, strict=True)):
            others = [other for other in range(len(xs)) if other != number]
            context = tf.zeros_like(x)
            if others:
                keys = tf.concat([self.key[other](placed[other]) for other in others], axis=1)
                values = tf.concat([self.value[other](xs[other]) for other in others], axis=1)
                every = tf.concat([masks[other] for other in others], axis=1)
                context = _attend(self.query[number](placed[number]), keys, values, every, self.heads)
            found.append(_mean_and_max(self.after[number](_compared(x, context)), mask))
        return tf.concat(found, axis=1)

    def get_config(self):
        return super().get_config() | {"size": self.size, "heads": self.heads}


@registered
class Aligned(_Join):
    """Step by step on the grid of ``by``: modalities ``on_grid`` are there by place, others through attention; each is compared with
    ``by``, a convolution over ``kernel`` steps looks at all of it, and its mean and greatest over steps stand beside the others' vectors.

    What is absent is compared as zeros, so that ``by`` alone is heard. Without ``by``, left out or absent, only the vectors are left.
    At first every modality is compared as it is (projections begin as identities), and attention keeps near the same relative place: a
    trained factor times the squared distance is subtracted from its scores.
    """

    def __init__(self, names: Sequence[str], size: int, by: str, on_grid: Sequence[str], kernel: int, **options: Any) -> None:
        super().__init__(names, **options)
        self.size, self.by, self.on_grid, self.kernel = size, by, list(on_grid), kernel

    def build(self, shapes):
        self.to_size = self.projections(shapes, self.size, "projection", kernel_initializer="identity")
        away = [name for name in self.names if name != self.by and name not in self.on_grid]
        self.query = [self.dense(self.size, self.size + 2 * PERIODS, f"query_{name}") for name in away]
        self.key = [self.dense(self.size, self.size + 2 * PERIODS, f"key_{name}") for name in away]
        start = keras.initializers.Constant(NARROW)
        self.narrow = [self.add_weight(shape=(), initializer=start, name=f"narrow_{name}") for name in away]
        self.convolution = layers.Conv1D(self.size, self.kernel, padding="same", activation="relu", name="convolution")
        self.convolution.build((None, None, self.size * max(4 * (len(self.names) - 1), 1)))

    def call(self, inputs):
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
                query, key = self.query[away](_placed(grid, mask)), self.key[away](_placed(x, own))
                far = (_place(mask)[:, None, :, None] - _place(own)[:, None, None, :]) ** 2
                x, away = _attend(query, key, x, own, 1, self.narrow[away] * far), away + 1
            else:  # a clip that lacks the grid may make a batch longer here or there
                longer = tf.maximum(tf.shape(grid)[1] - tf.shape(x)[1], 0)
                x = tf.pad(tf.where(own[:, :, None], x, 0.0), [[0, 0], [0, longer], [0, 0]])[:, : tf.shape(grid)[1]]
            parts.append(_compared(grid, x))
        x = tf.concat(parts, axis=2) if parts else grid
        x = self.convolution(tf.where(mask[:, :, None], x, 0.0))
        others = [vector for name, vector in zip(self.names, self.vectors(inputs), strict=True) if name != self.by]
        return tf.concat([_mean_and_max(x, mask), *others], axis=1)

    def get_config(self):
        own = {"size": self.size, "by": self.by, "on_grid": self.on_grid, "kernel": self.kernel}
        return super().get_config() | own


def _placed(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    return tf.concat([x, _places(mask)], axis=2)
