"""Frames to logits: optional convolution with time reduction, then masked bidirectional recurrent layers.

Conventions: frames (batch, frames, bands) with zeros behind each clip's end, lengths (batch,) in frames;
logits (batch, reduced frames, classes), where reduced = ceil(frames / reduction) and reduced frame ``t`` is
centred on frame ``t * reduction`` whatever the padding. Contents: `LengthMask`, `recurrent_network`,
`reduced`.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

MOMENTUM = 0.9  # of running means: an epoch of a few dozen steps must be able to move them


def reduced(lengths: Any, reduction: int) -> Any:
    """Frames left of ``lengths`` frames after the time reduction: ceil(lengths / reduction)."""
    return (lengths + reduction - 1) // reduction


@keras.saving.register_keras_serializable(package="audiomtl")
class LengthMask(keras.layers.Layer):
    """(x (batch, reduced frames, units), lengths (batch,) in frames) -> mask (batch, reduced frames),
    True where there is sound.
    """

    def __init__(self, reduction: int, **options: Any) -> None:
        super().__init__(**options)
        self.reduction = reduction
        self.supports_masking = True  # a mask of its input says nothing that the lengths do not

    def call(self, x: Any, lengths: Any) -> Any:
        return (
            ops.arange(ops.shape(x)[1])[None, :]
            < reduced(ops.cast(lengths, "int32"), self.reduction)[:, None]
        )

    def compute_output_spec(self, x: Any, lengths: Any) -> Any:
        return keras.KerasTensor(x.shape[:2], dtype="bool")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}


@keras.saving.register_keras_serializable(package="audiomtl")
class Silent(keras.layers.Layer):
    """(x (batch, frames, bands), mask (batch, frames)) -> x, 0 where the mask is False."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True  # and does its work itself

    def call(self, x: Any, mask: Any) -> Any:
        return x * ops.cast(mask, x.dtype)[:, :, None]

    def compute_output_spec(self, x: Any, mask: Any) -> Any:
        return keras.KerasTensor(x.shape, dtype=x.dtype)


def recurrent_network(
    n_bands: int,
    n_classes: int,
    *,
    units: tuple[int, ...],
    cell: str = "lstm",
    dropout: float = 0.0,
    layer_normalization: bool = False,
    convolution_filters: int = 0,
    convolution_frames: int = 1,
    time_reduction: int = 1,
    batch_normalization: bool = False,
) -> keras.Model:
    """A model of ``[frames, lengths]`` that returns logits; the softmax belongs to the loss.

    With its defaults and ``units=(100, 100, 150), dropout=0.1`` this is the network of the article "CTC model
    does not learn": bidirectional LSTMs whose directions are concatenated, one dense layer on top.
    """
    frames = keras.Input((None, n_bands), name="frames")
    lengths = keras.Input((), dtype="int32", name="lengths")
    x = frames
    if batch_normalization:  # of each band, over the frames of all clips, without what is padded
        heard = LengthMask(1, name="heard")(frames, lengths)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name="batch_normalization")(x, mask=heard)
        x = Silent(name="padding")(x, heard)
    if convolution_filters:
        # "same" padding would depend on the padded length when the stride is above 1: pad by hand
        x = keras.layers.ZeroPadding1D(
            ((convolution_frames - 1) // 2, convolution_frames // 2), name="edges"
        )(x)
        x = keras.layers.Conv1D(
            convolution_filters,
            convolution_frames,
            strides=time_reduction,
            activation="relu",
            name="convolution",
        )(x)
    mask = LengthMask(time_reduction, name="mask")(x, lengths)
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    for index, width in enumerate(units):
        recurrent = layer(width, return_sequences=True, dropout=dropout, name=f"{cell}_{index}")
        # (batch, reduced frames, 2 * width)
        x = keras.layers.Bidirectional(recurrent, name=f"both_ways_{index}")(x, mask=mask)
        if layer_normalization:
            x = keras.layers.LayerNormalization(name=f"normalization_{index}")(x)
    logits = keras.layers.Dense(n_classes, name="logits")(x)  # (batch, reduced frames, classes)
    return keras.Model([frames, lengths], logits, name="recurrent")


def frame_centres(n_frames: int, reduction: int) -> np.ndarray:
    """Input frame on which each reduced frame is centred, (reduced frames,)."""
    return np.arange(reduced(n_frames, reduction)) * reduction
