"""From a waveform to classes in one piece: YAMNet, the trained head and the names of the classes as a
SavedModel and a TFLite file.

Conventions: the input is one waveform (n_samples,), float32 in [-1, 1], mono, **16 kHz**, 0.1 to 60 s;
nothing resamples. The output ``classifier`` (classes,) are probabilities in the order of the class names.

=============== =============================== ============================================================
signature       input                           output
=============== =============================== ============================================================
serving_default waveform (n_samples,)           classifier (classes,)
checked         waveform, sample_rate ()        the same; any rate other than 16000 is an error
batch           waveforms (clips, longest),     classifier (clips, classes); samples beyond a length
                lengths (clips,) in samples     have no influence
embed           waveform (n_samples,)           embeddings (patches, 1024), scores of the classes
                                                (patches, classes)
describe        nothing                         class_names (classes,), sample_rate (), profile () as JSON,
                                                exclusive (): whether one class holds, or any number (tags)
=============== =============================== ============================================================

Contents: `waveform_model`, `Serving`, `save`, `described`, `tflite`, `use_tflite`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.nn import serving, yamnet
from audiomtl.nn.serving import of_one_bag

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 60.0
LARGEST_PEAK = 2.0  # resampling overshoots 1 a little; integers as floats do not
WAVEFORM = tf.TensorSpec([None], tf.float32, name="waveform")


@keras.saving.register_keras_serializable(package="audiomtl")
class CountRows(layers.Layer):
    """(n, size) -> (1,): n."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.shape(x)[:1]

    def compute_output_spec(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((1,), dtype="int32")


@keras.saving.register_keras_serializable(package="audiomtl")
class FirstRow(layers.Layer):
    """(1, size) -> (size,)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x[0]

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[1:]


@keras.saving.register_keras_serializable(package="audiomtl")
class LogMelByConvolution(layers.Layer):
    """`yamnet.LogMel` with the transform as one convolution with the windowed sines and cosines: TFLite
    has no short-time transform.
    """

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        n = np.arange(yamnet.WINDOW)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * n / yamnet.WINDOW)
        angles = 2 * np.pi * np.outer(n, np.arange(yamnet.FFT // 2 + 1)) / yamnet.FFT
        basis = window[:, None] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)  # (400, 514)
        parts = tf.nn.conv1d(
            yamnet.padded(waveform)[None, :, None],
            tf.constant(basis[:, None], tf.float32),
            yamnet.HOP,
            "VALID",
        )[0]
        real, imaginary = tf.split(parts, 2, axis=1)
        magnitude = tf.sqrt(real**2 + imaginary**2)
        return tf.math.log(tf.matmul(magnitude, tf.constant(yamnet._mel_matrix())) + yamnet.OFFSET)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (None, yamnet.BANDS)


def waveform_model(
    models: keras.Model | Sequence[keras.Model], body: keras.Model, *, for_tflite: bool = False
) -> keras.Model:
    """``model(waveform)`` -> {"classifier": (classes,), "embeddings": (patches, size), "scores": (patches,
    classes)}.

    Parameters
    ----------
    models : [patches' activations, counts] -> clip, patches, weights: a trained head, or a trained end of
        YAMNet with its head. Of several, which read the same activations, classifier and scores are the
        means; embeddings of trained ends stand side by side, (patches, models x size).
    body : YAMNet's frozen part with its weights.
    for_tflite : only builtin TFLite operations.
    """
    waveform = keras.Input(batch_shape=(None,), name="waveform")
    frames = (LogMelByConvolution if for_tflite else yamnet.LogMel)(name="log_mel")(waveform)
    activations = body(yamnet.Patches(name="patches")(frames))
    counts = CountRows(name="counts")(activations)
    several = [models] if isinstance(models, keras.Model) else list(models)
    used = [of_one_bag(model) if for_tflite else model for model in several]
    if len(used) > 1:  # layers of a model have names of their own
        used = [
            keras.Model(model.inputs, model.output, name=f"model_{number}")
            for number, model in enumerate(used, start=1)
        ]
    outputs = [model([activations, counts]) for model in used]
    tails = [layer for model in several for layer in model.layers if layer.name == "yamnet_tail"]
    named = {
        "classifier": FirstRow(name="classifier")(_mean([output["clip"] for output in outputs])),
        "embeddings": _side_by_side([tail(activations) for tail in _named_apart(tails)] or [activations]),
        "scores": _mean([output["patches"] for output in outputs]),
    }
    return yamnet.WaveformModel(waveform, named, name="waveform_to_classes")


def _mean(tensors: list[Any]) -> Any:
    return layers.Average()(tensors) if len(tensors) > 1 else tensors[0]


def _side_by_side(tensors: list[Any]) -> Any:
    return layers.Concatenate(axis=1)(tensors) if len(tensors) > 1 else tensors[0]


def _named_apart(tails: list[keras.Model]) -> list[keras.Model]:
    if len(tails) < 2:
        return tails
    return [
        keras.Model(tail.inputs, tail.outputs[0], name=f"tail_{number}")
        for number, tail in enumerate(tails, start=1)
    ]


class Serving(tf.Module):
    """What is exported: call it with a waveform, or one of its signatures."""

    def __init__(self, model: keras.Model, class_names: tuple[str, ...], exclusive: bool = True) -> None:
        super().__init__()
        self.model, self.exclusive = model, exclusive
        self.names = tf.constant(class_names)

    def _accepted(self, waveform: tf.Tensor) -> tf.Tensor:
        rate = yamnet.SAMPLE_RATE
        least, most = int(SHORTEST_SECONDS * rate), int(LONGEST_SECONDS * rate)
        n, peak = tf.shape(waveform)[0], tf.reduce_max(tf.abs(waveform))
        checks = [
            tf.debugging.assert_greater_equal(
                n, least, f"waveform: at least {SHORTEST_SECONDS} s at {rate} Hz, {least} samples, are needed"
            ),
            tf.debugging.assert_less_equal(
                n, most, f"waveform: at most {LONGEST_SECONDS:g} s at {rate} Hz, {most} samples, are taken"
            ),
            tf.debugging.assert_less_equal(
                peak, LARGEST_PEAK, "waveform: samples in [-1, 1] are needed: divide 16-bit integers by 32768"
            ),
        ]
        with tf.control_dependencies(checks):
            return tf.identity(waveform)

    @tf.function(input_signature=[WAVEFORM])
    def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
        """(n_samples,) -> (classes,)."""
        return self.model(self._accepted(waveform), training=False)["classifier"]

    @tf.function(input_signature=[WAVEFORM])
    def serving_default(self, waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"classifier": self(waveform)}

    @tf.function(input_signature=[WAVEFORM, tf.TensorSpec([], tf.int32, name="sample_rate")])
    def checked(self, waveform: tf.Tensor, sample_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        rate = yamnet.SAMPLE_RATE
        check = tf.debugging.assert_equal(
            sample_rate, rate, f"sample_rate: {rate} Hz is needed: resample the waveform first"
        )
        with tf.control_dependencies([check]):
            return {"classifier": self(tf.identity(waveform))}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32, name="waveforms"),
            tf.TensorSpec([None], tf.int32, name="lengths"),
        ]
    )
    def batch(self, waveforms: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        classes = tf.map_fn(
            lambda one: self(one[0][: one[1]]), (waveforms, lengths), fn_output_signature=tf.float32
        )
        return {"classifier": tf.ensure_shape(classes, [None, len(self.names)])}

    @tf.function(input_signature=[WAVEFORM])
    def embed(self, waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = self.model(self._accepted(waveform), training=False)
        return {"embeddings": outputs["embeddings"], "scores": outputs["scores"]}

    @tf.function(input_signature=[])
    def describe(self) -> dict[str, tf.Tensor]:
        profile = tf.constant(json.dumps(yamnet.PROFILE, sort_keys=True))
        return {
            "class_names": self.names,
            "sample_rate": tf.constant(yamnet.SAMPLE_RATE),
            "profile": profile,
            "exclusive": tf.constant(self.exclusive),
        }


def save(serving: Serving, folder: Path) -> None:
    """Write the SavedModel with all its signatures into ``folder``."""
    names = ("serving_default", "checked", "batch", "embed", "describe")
    tf.saved_model.save(serving, str(folder), signatures={name: getattr(serving, name) for name in names})


def tflite(model: keras.Model) -> bytes:
    """A TFLite file, builtin operations only: waveform (any number of samples: resize its input) ->
    classifier (classes,).

    Raises
    ------
    UserError : the model has an operation that TFLite does not.
    """
    return serving.tflite(lambda waveform: {"classifier": model(waveform, training=False)["classifier"]})


def use_tflite(content: bytes, waveform: np.ndarray) -> np.ndarray:  # (classes,)
    """What a TFLite file says of a waveform."""
    return serving.use_tflite(content, waveform, ["classifier"])["classifier"]


def described(serving: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Class names and feature profile of a SavedModel that was loaded."""
    found = serving.signatures["describe"]()
    return tuple(name.decode() for name in found["class_names"].numpy()), json.loads(found["profile"].numpy())
