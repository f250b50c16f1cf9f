"""From bands to piano keys: the energy at the harmonics of each key. Contents: `Harmonics`."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.data.scores import KEYS, LOWEST

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7)


@keras.saving.register_keras_serializable(package="audiomtl")
class Harmonics(layers.Layer):
    """Bands (clips, frames, bands) -> (clips, frames, 88, harmonics): what is heard at `HARMONICS` times each
    key's frequency.

    ``hertz`` (bands,) are the bands' centres. Near a frequency, bands count by a triangle of a semitone to
    either side, the nearest two at least. So a chord looks the same wherever it lies, and a convolution over
    keys learns a pitch from all others (the harmonic representation of Bittner et al., "Deep salience
    representations for F0 estimation", 2017, from stored bands). Nothing is trained.
    """

    def __init__(self, hertz: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.hertz = tuple(float(one) for one in hertz)
        centres = np.array(self.hertz)
        # (88, harmonics)
        wanted = 440 * 2 ** ((LOWEST + np.arange(KEYS)[:, None] - 69) / 12) * np.array(HARMONICS)
        spacing = np.interp(wanted, centres[1:], np.diff(centres))
        width = np.maximum(wanted * (2 ** (1 / 12) - 1), spacing)
        weights = np.maximum(0, 1 - np.abs(centres[:, None, None] - wanted) / width)
        inside = (wanted >= centres[0]) & (wanted <= centres[-1])
        self.matrix = (
            (weights / np.maximum(weights.sum(axis=0), 1e-9) * inside)
            .reshape(len(centres), -1)
            .astype(np.float32)
        )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        found = tf.tensordot(x, tf.constant(self.matrix), 1)
        return tf.reshape(found, tf.concat([tf.shape(x)[:2], [KEYS, len(HARMONICS)]], axis=0))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:2], KEYS, len(HARMONICS))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"hertz": self.hertz}
