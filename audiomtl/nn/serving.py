"""From a waveform to answers in one piece, as a SavedModel and a TFLite file, read again and compared.

Conventions: the input is one waveform (n_samples,), float32 in [-1, 1], mono, at the model's rate; nothing
resamples.

=============== =============================== ============================================================
signature       input                           output
=============== =============================== ============================================================
serving_default waveform (n_samples,)           what the family's ``export`` says
checked         waveform, sample_rate ()        the same; any rate but the model's is an error
describe        nothing                         sample_rate (), profile () as JSON, and lists of names
=============== =============================== ============================================================

Contents: `Waveform`, `Exported`, `exported`; `save`, `tflite`, `use_tflite`; `OneBag`, `of_one_bag`.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from audiomtl.errors import UserError
from audiomtl.nn.bags import Bags

LARGEST_PEAK = 2.0  # resampling overshoots 1 a little; integers as floats do not
WAVEFORM = tf.TensorSpec([None], tf.float32, name="waveform")
TOLERANCE = 1e-3  # of a file's answers, against the model in memory with the features of its training
CHECKED_SECONDS = (0.4, 1.0, 2.7, 7.3)
Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Exported:
    """Files that were written, and how far they agree with the model in memory."""

    files: tuple[str, ...]
    checks: tuple[str, ...]  # a line each
    interface: str  # Markdown: inputs and outputs, for the page beside the files
    reason: str = ""  # why a file is missing


@dataclass(frozen=True)
class Waveform:
    """A model that reads a waveform.

    Attributes
    ----------
    call : waveform (n_samples,) -> outputs by name; ``by_convolution`` asks for operations that TFLite has.
    model : the network, whose variables are saved.
    sample_rate : Hz. names : lists of names, such as the classes. profile : of the features.
    """

    call: Callable[..., Outputs]
    model: keras.Model
    sample_rate: int
    names: Mapping[str, Sequence[str]]
    profile: Mapping[str, Any]


class _Module(tf.Module):
    """What is saved."""

    def __init__(self, waveform: Waveform) -> None:
        super().__init__()
        self.network = waveform.model
        # wrappers such as Bidirectional hide variables of their layers from TensorFlow
        self.kept = [variable.value for variable in waveform.model.variables]
        self.call, self.rate = waveform.call, waveform.sample_rate
        self.described = {name: tf.constant(list(values)) for name, values in waveform.names.items()}
        self.profile = json.dumps(dict(waveform.profile), sort_keys=True)

    @tf.function(input_signature=[WAVEFORM])
    def serving_default(self, waveform: tf.Tensor) -> Outputs:
        n, peak = tf.shape(waveform)[0], tf.reduce_max(tf.abs(waveform))
        checks = [
            tf.debugging.assert_greater_equal(n, 1, "waveform: at least one sample is needed"),
            tf.debugging.assert_less_equal(
                peak, LARGEST_PEAK, "waveform: samples in [-1, 1] are needed: divide 16-bit integers by 32768"
            ),
        ]
        with tf.control_dependencies(checks):
            return self.call(tf.identity(waveform))

    @tf.function(input_signature=[WAVEFORM, tf.TensorSpec([], tf.int32, name="sample_rate")])
    def checked(self, waveform: tf.Tensor, sample_rate: tf.Tensor) -> Outputs:
        words = f"sample_rate: {self.rate} Hz is needed: resample the waveform first"
        with tf.control_dependencies([tf.debugging.assert_equal(sample_rate, self.rate, words)]):
            return self.serving_default(tf.identity(waveform))

    @tf.function(input_signature=[])
    def describe(self) -> Outputs:
        return {
            "sample_rate": tf.constant(self.rate),
            "profile": tf.constant(self.profile),
            **self.described,
        }


def save(waveform: Waveform, folder: Path) -> None:
    """Write the SavedModel with its signatures."""
    module = _Module(waveform)
    signatures = {name: getattr(module, name) for name in ("serving_default", "checked", "describe")}
    tf.saved_model.save(module, str(folder), signatures=signatures)


def exported(
    waveform: Waveform,
    folder: Path,
    expected: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    interface: str,
) -> Exported:
    """Write ``saved_model/`` and, where its operations allow, ``model.tflite``; read them again and compare.

    Parameters
    ----------
    expected : waveform -> the outputs as the model in memory gives them, with the features of its training.

    Raises
    ------
    UserError : a SavedModel whose outputs differ by more than `TOLERANCE`.
    """
    random = np.random.default_rng(0)
    sounds = [
        random.uniform(-0.5, 0.5, round(seconds * waveform.sample_rate)).astype(np.float32)
        for seconds in CHECKED_SECONDS
    ]
    wanted = [expected(one) for one in sounds]
    save(waveform, folder / "saved_model")
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    found = [
        {name: value.numpy() for name, value in loaded(waveform=tf.constant(one)).items()} for one in sounds
    ]
    difference = _difference(found, wanted)
    if not difference <= TOLERANCE:
        raise UserError(
            f"{folder / 'saved_model'}: its outputs differ by {difference:.2g} from those of the model in"
            f" memory, more than {TOLERANCE:g}; please report this"
        )
    lengths = f"{len(sounds)} waveforms of {min(CHECKED_SECONDS):g} to {max(CHECKED_SECONDS):g} s"
    files, checks = (
        ["saved_model"],
        [f"SavedModel against the model in memory, on {lengths}: {difference:.1e}"],
    )
    reason = ""
    try:
        content = tflite(lambda y: waveform.call(y, by_convolution=True))
        names = sorted(wanted[0])
        difference = _difference([use_tflite(content, one, names) for one in sounds], wanted)
        if not difference <= TOLERANCE:
            raise UserError(f"its outputs differ by {difference:.2g} from those of the model in memory")
        (folder / "model.tflite").write_bytes(content)
        files.append("model.tflite")
        checks.append(f"TFLite against the model in memory: {difference:.1e}")
    except UserError as error:
        reason = f"no TFLite file: {error}"
    return Exported(tuple(files), tuple(checks), interface, reason)


def _difference(found: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> float:
    """Largest difference of any number; infinite where shapes or names differ."""
    largest = 0.0
    for one, other in zip(found, wanted, strict=True):
        if {*one} != {*other} or any(np.shape(one[name]) != np.shape(other[name]) for name in other):
            return float("inf")
        largest = max([largest, *(float(np.abs(one[name] - other[name]).max(initial=0)) for name in other)])
    return largest


# ---------------------------------------------------------------- TFLite


def tflite(call: Callable[[tf.Tensor], Outputs]) -> bytes:
    """A TFLite file, builtin operations only: waveform (any number of samples: resize its input) -> outputs.

    Raises
    ------
    UserError : the model has an operation that TFLite does not.
    """
    answer = tf.function(call, input_signature=[WAVEFORM])
    # frozen by hand: left to itself the converter writes variables without their values, and the file answers
    # NaN
    try:
        frozen = convert_variables_to_constants_v2(answer.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()
    except Exception as error:  # the converter has no class of its own for this
        reason = next((line for line in str(error).splitlines() if "op" in line.lower()), "unknown")[:200]
        raise UserError(
            f"TFLite cannot represent this model with builtin operations only ({reason.strip()})"
        ) from error


def _interpreter(content: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the interpreter will move to another package
        return tf.lite.Interpreter(model_content=content)


def use_tflite(content: bytes, waveform: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a TFLite file of `tflite` says of a waveform. The file calls its outputs Identity, Identity_1 ...:
    they are those of the sorted ``names``.

    Raises
    ------
    UserError : it cannot run.
    """
    interpreter = _interpreter(content)
    place = interpreter.get_input_details()[0]["index"]
    try:
        interpreter.resize_tensor_input(place, [len(waveform)])
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, waveform.astype(np.float32))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the converted file does not run ({' '.join(str(error).split())[:150]})") from error
    details = {one["name"]: one["index"] for one in interpreter.get_output_details()}
    called = ["Identity" if not number else f"Identity_{number}" for number in range(len(names))]
    if {*called} != {*details}:
        raise UserError(f"the converted file has other outputs ({', '.join(details)})")
    return {
        name: interpreter.get_tensor(details[one]) for name, one in zip(sorted(names), called, strict=True)
    }


@keras.saving.register_keras_serializable(package="audiomtl")
class OneBag(layers.Layer):
    """What `Bags` gives for one bag, without ragged tensors, which TFLite lacks."""

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return inputs[0][None]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (1, *shapes[0])


def of_one_bag(model: keras.Model) -> keras.Model:
    """The same layers, with `OneBag` in place of `Bags`."""

    def same(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, keras.Model):
            return of_one_bag(layer) if layer.name == "head" else layer
        return OneBag(name=layer.name) if isinstance(layer, Bags) else layer

    return keras.models.clone_model(
        model, clone_function=same, call_function=lambda layer, *a, **k: layer(*a, **k)
    )
