"""From stored patches of a pretrained network to a clip's class: a dense head with a pooling of
probabilities, logits or embeddings.

Conventions as in `bags`: the patches of all clips of a batch stand one behind the other, ``counts`` says how
many belong to each.

Contents: `head_network`, `Standardise`, `Pool`.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.families.transfer.settings import Head, PatchPooling
from audiomtl.nn.bags import Bags, ToOne
from audiomtl.nn.losses import Logs
from audiomtl.nn.pooling import kind, pooling_layer
from audiomtl.settings.pooling import Pooling as PoolingSettings


def head_network(
    head: Head,
    pooling: PatchPooling,
    *,
    size: int,
    classes: int,
    mean: np.ndarray,
    deviation: np.ndarray,
    several: bool = False,
) -> keras.Model:
    """``model([embeddings, counts])`` -> clip and patch probabilities and weights, and logits for the loss.

    Parameters
    ----------
    size : numbers of an embedding.
    mean, deviation : (size,) that the head subtracts and divides by; zeros and ones change nothing.
    several : whether clips have several labels: then each class has a sigmoid of its own.

    Returns
    -------
    keras.Model with outputs clip (bags, classes) and patches (n_patches, classes), each summing to 1 unless
        ``several``, and weights (bags, longest, classes), or (bags, longest, 1) where embeddings are pooled:
        the mean over their numbers; clip_logits and patch_logits, whose softmax, or sigmoid, they are.
    """
    embeddings = layers.Input((size,), name="embeddings")
    counts = layers.Input((), dtype="int32", name="counts")
    dense = [
        layers.Dense(units, activation="relu", name=f"hidden_{number}")
        for number, units in enumerate(head.hidden, start=1)
    ]
    dropout = layers.Dropout(head.dropout, name="dropout")
    last = layers.Dense(classes, name="logits")

    def logits_of(x: Any) -> tuple[Any, Any]:
        for layer in dense:
            x = layer(x)
        return last(dropout(x) if head.dropout else x), x

    standard = Standardise(name="standardise")
    x = standard(embeddings)
    logits, features = logits_of(x)
    answer = _sigmoid if several else layers.Softmax
    probabilities = answer(name="patches")(logits)
    options = pooling.model_dump(mode="json", exclude={"of"}, exclude_none=True)
    values = {"probabilities": probabilities, "logits": logits, "embeddings": x}[pooling.of]
    seen = x if pooling.of == "embeddings" else features
    bags = [Bags(name="values")([values, counts]), Bags(name="features")([seen, counts]), counts]
    answers = {"patches": probabilities, "patch_logits": logits}
    if pooling.of == "probabilities":
        bags += Logs(several, name="logs")(Bags(name="patch_logits")([logits, counts]))
        pooled, weights, log, rest = Pool(options, name="pool")(bags)
        clip = pooled if several else ToOne(name="clip")(pooled)
        answers["clip_logits"] = log - rest if several else log
    else:
        pooled, weights = Pool(options, name="pool")(bags)
        if pooling.of == "embeddings":
            pooled = logits_of(pooled)[0]
            weights = MeanOverNumbers(name="weights")(weights)
        clip, answers["clip_logits"] = answer(name="clip")(pooled), pooled
    answers |= {"clip": clip, "weights": weights}
    model = keras.Model([embeddings, counts], answers, name="head")
    standard.start_from(mean, deviation)
    return model


def _sigmoid(name: str) -> layers.Layer:
    return layers.Activation("sigmoid", name=name)


@keras.saving.register_keras_serializable(package="audiomtl")
class Standardise(layers.Layer):
    """Subtract a fixed mean and divide by a fixed deviation, number by number."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="mean")
        self.deviation = self.add_weight(
            shape=(shape[-1],), initializer="ones", trainable=False, name="deviation"
        )

    def start_from(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        self.mean.assign(mean)
        # a number that never changes in train stays near 0
        self.deviation.assign(np.where(deviation > 0, deviation, 1.0))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return (x - self.mean) / self.deviation

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


@keras.saving.register_keras_serializable(package="audiomtl")
class Pool(layers.Layer):
    """An operator of `pooling` for values of any range.

    Operators that choose by order see values brought into [0, 1] bag by bag and class by class, log-sum-exp
    values that begin at 0: both commute with what these operators do, so that the result is that of the
    values themselves. All others see the values as they are.
    """

    def __init__(self, options: dict[str, Any], **config: Any) -> None:
        super().__init__(**config)
        self.options = options
        self.operator = pooling_layer(PoolingSettings.model_validate(options))

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        self.operator.build(shapes)

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        operator = kind(self.options["name"])
        if len(inputs) > 3 or not getattr(operator, "FROM_ZERO", False):  # with logarithms: of probabilities
            return self.operator(inputs)
        values, features, counts = inputs
        valid = tf.sequence_mask(counts, tf.shape(values)[1])[:, :, None]
        low = tf.reduce_min(tf.where(valid, values, values.dtype.max), axis=1, keepdims=True)
        span = tf.reduce_max(tf.where(valid, values, values.dtype.min), axis=1, keepdims=True) - low
        low = tf.stop_gradient(low)
        span = (
            tf.stop_gradient(tf.maximum(span, 1e-12))
            if getattr(operator, "BY_RANK", False)
            else tf.ones_like(span)
        )
        pooled, weights = self.operator([(values - low) / span, features, counts])
        return pooled * span[:, 0] + low[:, 0], weights

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> tuple[keras.KerasTensor, ...]:
        return self.operator.compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"options": self.options}


@keras.saving.register_keras_serializable(package="audiomtl")
class MeanOverNumbers(layers.Layer):
    """(bags, patches, size) -> (bags, patches, 1): what a patch contributes on average over the
    embedding's numbers.
    """

    def call(self, weights: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(weights, axis=2, keepdims=True)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:2], 1)
