"""random: w_i by softmax of normal draws, anew in each step (Lin, Ye and Zhang, 2021)."""

from typing import Any

import keras
import tensorflow as tf


def total(layer: Any, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    weights = tf.constant(layer.start)
    draws = keras.random.normal((len(layer.start),), seed=layer.draws)
    weights *= len(layer.start) * tf.nn.softmax(draws)
    layer.now.assign(weights)
    return tf.reduce_sum(weights * losses)
