"""The child process: it trains the worker's code alone, and says what went wrong in one line."""

import keras
import pytest
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.harness.record import provenance
from audiomtl.harness.train.child import _check_sources, reason_of


class Layer(keras.layers.Layer):
    def call(self, x):
        return x * self.share


@tf.function
def compiled(x):
    raise ValueError("the first line\nthe second")


@pytest.mark.parametrize(
    "fails, reason",
    [
        (lambda x: compiled(x), "ValueError: the first line"),
        (lambda x: Layer()(x), "AttributeError: 'Layer' object has no attribute 'share'"),
        (lambda x: tf.function(Layer())(x), "AttributeError: 'Layer' object has no attribute 'share'"),
    ],
    ids=["compiled", "layer", "compiled layer"],
)
def test_an_error_in_tensorflow_or_keras_says_what_it_was(fails, reason) -> None:
    with pytest.raises(Exception) as caught:
        fails(tf.zeros(2))
    assert reason_of(caught.value) == reason


@pytest.mark.parametrize(
    "text, reason", [("clip one\nmore", "UserError: clip one"), ("x" * 600, "UserError: " + "x" * 489)]
)
def test_any_other_error_is_its_first_line(text, reason) -> None:
    assert reason_of(UserError(text)) == reason


def test_a_training_of_other_code_than_the_workers_is_refused(tmp_path) -> None:
    _check_sources(provenance.source_files("ctc"))
    with pytest.raises(
        RuntimeError,
        match=r"imported audiomtl from .*, but its worker from /elsewhere/audiomtl/__init__\.py",
    ):
        _check_sources({"audiomtl": "/elsewhere/audiomtl/__init__.py"})
