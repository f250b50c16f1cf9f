"""The network of one window, and of a whole bag of them.

Conventions as in `nn.bags`: batch normalisation and statistics see real windows only.

Contents: `window_network`, `mil_network`.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.families.mil.settings import Network
from audiomtl.nn.bags import Bags, ToOne
from audiomtl.nn.losses import Logs
from audiomtl.nn.pooling import pooling_layer
from audiomtl.settings.pooling import Pooling

# of batch normalisation's running means: an epoch of a few dozen steps must be able to move them (Keras's
# 0.99 takes hundreds)
MOMENTUM = 0.9


def window_network(network: Network, bands: int, frames: int) -> keras.Model:
    """From a window (bands, frames, 1) to its features (hidden,), before dropout and softmax.

    ``answer``      two convolutions 3x3 of 16, pools 2x3 and 2x2, two dense layers: https://stackoverflow.com/questions/55272508
    ``residual``    three residual blocks of 3x3 convolutions (He et al., 2016), each halving both axes; mean
                    over what is left
    ``convolutional``  four blocks of one 3x3 convolution, batch normalisation and a pool of 2x2; mean and
                    maximum over what is left
    ``statistics``  mean, deviation, minimum and maximum of each band over the window, then two dense layers
    ``yamnet``      YAMNet's embedding of each of its patches (frames = 1), then two dense layers
    ``embedding``   a stored vector per window (frames = 1), then two dense layers
    """
    window = layers.Input((bands, frames, 1), name="window")
    x = {
        "answer": _answer,
        "residual": _residual,
        "convolutional": _convolutional,
        "statistics": _statistics,
        "yamnet": _embedding,
        "embedding": _embedding,
    }[network.window](window, network)
    if network.window not in ("residual", "convolutional"):
        if network.window == "statistics" and not network.hidden_layers:
            x = layers.BatchNormalization(momentum=MOMENTUM)(x)  # they have units of their own
        for number in range(1, network.hidden_layers + 1):
            x = layers.Dense(network.hidden, activation="relu", name=f"hidden_{number}")(x)
            if network.window == "statistics" and network.batch_normalization:
                x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return keras.Model(window, x, name="window_network")


def _answer(x: Any, network: Network) -> Any:
    # a window too small for a pool of (2, 3) keeps what it has
    for pool in ((2, 3), (2, 2)):
        x = layers.Conv2D(
            16, (3, 3), activation="relu", padding="valid" if min(x.shape[1:3]) >= 3 else "same"
        )(x)
        if network.batch_normalization:
            x = layers.BatchNormalization(momentum=MOMENTUM)(x)
        x = layers.MaxPooling2D(
            tuple(min(size, have) for size, have in zip(pool, x.shape[1:3], strict=True))
        )(x)
    return layers.Flatten()(x)


def _residual(x: Any, network: Network) -> Any:
    for block in range(3):
        filters = network.filters * 2**block
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(y))
        y = layers.BatchNormalization(momentum=MOMENTUM)(
            layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        )
        x = layers.Activation("relu")(layers.Add()([layers.Conv2D(filters, 1, use_bias=False)(x), y]))
        x = layers.MaxPooling2D(tuple(min(2, have) for have in x.shape[1:3]))(x)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(network.hidden, activation="relu", name="hidden_1")(x)


def _convolutional(x: Any, network: Network) -> Any:
    for block in range(4):
        filters = network.filters * 2 ** min(block, 2)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=MOMENTUM)(x))
        x = layers.MaxPooling2D(tuple(min(2, have) for have in x.shape[1:3]))(x)
    return layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])


def _statistics(x: Any, network: Network) -> Any:
    return layers.Flatten()(Statistics()(x))


def _embedding(x: Any, network: Network) -> Any:
    return layers.Flatten()(x)


@keras.saving.register_keras_serializable(package="audiomtl")
class Statistics(layers.Layer):
    """(windows, bands, frames, 1) -> (windows, bands, 4): mean, deviation, least, greatest over the
    frames.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        x = x[..., 0]
        mean = tf.reduce_mean(x, axis=2)
        # 1e-8: a gradient at deviation 0
        deviation = tf.sqrt(tf.reduce_mean(tf.square(x - mean[:, :, None]), axis=2) + 1e-8)
        return tf.stack([mean, deviation, tf.reduce_min(x, axis=2), tf.reduce_max(x, axis=2)], axis=2)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:2], 4)


def mil_network(
    network: Network, pooling: Pooling, *, bands: int, frames: int, classes: int, several: bool = False
) -> keras.Model:
    """The whole network: ``model([windows, counts])`` -> clip, window probabilities and weights, and logits.

    With ``several`` labels per clip each class has a sigmoid of its own and no answer is divided by a sum.

    Returns
    -------
    keras.Model with outputs
        clip (bags, classes), summing to 1: pooled values of operators such as max or noisy-or are divided by
        their sum; windows (n_windows, classes), each window's softmax; weights (bags, longest, classes) of
        the pooling, 0 behind the end; clip_logits (bags, classes) and window_logits (n_windows, classes),
        whose softmax, or sigmoid, these answers are, and of which losses are computed.
    """
    windows = layers.Input((bands, frames, 1), name="windows")
    counts = layers.Input((), dtype="int32", name="counts")
    features = window_network(network, bands, frames)(windows)  # (n_windows, hidden)
    x = layers.Dropout(network.dropout)(features) if network.dropout else features
    logits = layers.Dense(classes, name="classes")(x)  # (n_windows, classes)
    probabilities = layers.Activation("sigmoid" if several else "softmax", name="probabilities")(logits)
    logs, rests = Logs(several, name="logs")(Bags(name="bags_of_logits")([logits, counts]))
    bag = Bags(name="bags_of_classes")([probabilities, counts])
    features = Bags(name="bags_of_features")([features, counts])
    pooled, weights, log, rest = pooling_layer(pooling)([bag, features, counts, logs, rests])
    answers = {"windows": probabilities, "weights": weights, "window_logits": logits}
    if several:
        return keras.Model([windows, counts], answers | {"clip": pooled, "clip_logits": log - rest})
    return keras.Model([windows, counts], answers | {"clip": ToOne(name="clip")(pooled), "clip_logits": log})
