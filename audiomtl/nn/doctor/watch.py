"""What the layers of a Keras model compute in a step, seen from outside: the model itself is not changed.

While a `Watch` is entered, the ``call`` of every layer, and the activation of layers that have one, are
wrapped on the instance. Tensors that stand in the graph of the step are noted; what is inside of a loop, such
as the cell of a recurrent layer, is not. Contents: `Watch`, `standardised`, `named`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras
import tensorflow as tf

# |z| above which the slope is below 0.02: sigmoid 1 / (2 + e^z + e^-z), tanh 4 / (2 + e^2z + e^-2z)
SATURATED = {"sigmoid": 3.9, "tanh": 2.65, "hard_sigmoid": 3.0, "hard_tanh": 1.0}
RELUS = ("relu", "relu6")
CERTAIN = 0.999  # probability above which a softmax counts as saturated
MANY = 512  # last axis from which an input (items, n) counts as samples of a sound, not as columns of a table
RECURRENT = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell, keras.layers.SimpleRNNCell)  # their layer is looked at


class Watch:
    """Notes of one step. ``measures`` are {"KIND LAYER": tensor}; see `_activation` and `_called`."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.standardise = False  # replace inputs by their standardised values
        self.begin()

    def begin(self, standardise: bool = False) -> None:
        """Forget what was noted; call it first in every step."""
        self.standardise = standardise
        self.measures: dict[str, tf.Tensor] = {}
        self.inputs: dict[str, tf.Tensor] = {}  # as the model is called with them
        self.outputs: Any = None  # a tensor, or a list or mapping of them
        self.graph = None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()

    def __enter__(self) -> Self:
        self._wrapped: list[tuple[Any, str, Any]] = []
        layers = [self.model, *self.model._flatten_layers(include_self=False, recursive=True)]
        for layer in {id(layer): layer for layer in layers}.values():
            self._wrap(layer, "call", self._watched_call(layer))
            if "activation" in vars(layer) and callable(layer.activation) and not isinstance(layer, CELLS):
                self._wrap(layer, "activation", self._watched_activation(layer, layer.activation))
        return self

    def __exit__(self, *_: Any) -> None:
        for layer, name, before in self._wrapped:  # never through Keras's own __setattr__, which tracks
            if before is None:
                del vars(layer)[name]
            else:
                vars(layer)[name] = before

    def _wrap(self, layer: Any, name: str, function: Any) -> None:
        self._wrapped.append((layer, name, vars(layer).get(name)))
        vars(layer)[name] = function

    def _watched_call(self, layer: Any) -> Any:
        call = layer.call

        def watched(*args: Any, **kwargs: Any) -> Any:
            outermost = layer is self.model and not self.inputs
            if outermost and self._here():
                self.inputs = named(args, self.model)
                if self.standardise:
                    args = tf.nest.map_structure(standardised, args)
            found = call(*args, **kwargs)
            if self._here():
                self._called(layer, args, kwargs)
                if outermost:
                    self.outputs = found
            return found

        return watched

    def _watched_activation(self, layer: Any, function: Any) -> Any:
        name = getattr(function, "__name__", type(function).__name__).lower()

        def watched(z: Any, *args: Any, **kwargs: Any) -> Any:
            found = function(z, *args, **kwargs)
            if self._here() and len(z.shape) > 1:
                self._activation(layer.name, name, z, found)
            return found

        watched.__name__ = name
        return watched

    def _here(self) -> bool:
        """Whether what is computed now is outside of loops and conditions."""
        if self.graph is None:
            return tf.executing_eagerly()
        return not tf.executing_eagerly() and tf.compat.v1.get_default_graph() is self.graph

    def _note(self, kind: str, layer: str, value: Any) -> None:
        key, number = f"{kind} {layer}", 2
        while key in self.measures:  # a layer that is called more than once
            key, number = f"{kind} {layer}#{number}", number + 1
        self.measures[key] = value

    def _activation(self, layer: str, function: str, z: tf.Tensor, found: tf.Tensor) -> None:
        """``saturated`` share of values without a slope; ``highest`` and ``lowest`` of each unit (units,)."""
        z = tf.cast(z, tf.float32)
        if function in SATURATED:
            self._note("saturated", layer, _mean(tf.abs(z) > SATURATED[function]))
        elif function in RELUS:
            over = list(range(len(z.shape) - 1))
            self._note("highest", layer, tf.reduce_max(z, axis=over))
            self._note("lowest", layer, tf.reduce_min(z, axis=over))
        elif function == "softmax":
            self._note("certain", layer, _mean(tf.reduce_max(tf.cast(found, tf.float32), axis=-1) > CERTAIN))

    def _called(self, layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """``saturated`` share of the gates of a recurrent layer, as its input alone drives them; ``hidden``
        share of items of which a mask leaves nothing; ``averaged`` values per mean of a batch normalization.
        """
        x: Any = args[0] if args else None
        mask: Any = kwargs.get("mask")
        if tf.is_tensor(mask) and len(mask.shape) > 1:
            left = tf.reduce_any(tf.cast(mask, tf.bool), axis=list(range(1, len(mask.shape))))
            self._note("hidden", layer.name, _mean(~left))
        if not tf.is_tensor(x) or not x.dtype.is_floating:
            return
        if isinstance(layer, RECURRENT) and len(x.shape) == 3:
            self._gates(layer, tf.cast(x, tf.float32), mask)
        elif isinstance(layer, keras.layers.BatchNormalization) and kwargs.get("training") is not False:
            if layer.trainable and len(x.shape) > 1:
                size = tf.cast(tf.size(x), tf.float32) / tf.cast(tf.shape(x)[layer.axis], tf.float32)
                self._note("averaged", layer.name, size)
        elif isinstance(layer, keras.layers.ReLU):
            self._activation(layer.name, "relu", x, x)
        elif isinstance(layer, keras.layers.Softmax):
            self._activation(layer.name, "softmax", x, tf.nn.softmax(tf.cast(x, tf.float32), axis=-1))

    def _gates(self, layer: Any, x: tf.Tensor, mask: Any) -> None:
        z = tf.linalg.matmul(x, tf.cast(layer.cell.kernel, tf.float32))  # (items, steps, gates * units)
        if layer.cell.use_bias:
            bias = tf.cast(layer.cell.bias, tf.float32)  # (gates * units,), or of GRU (2, gates * units)
            z += bias[0] if len(bias.shape) == 2 else bias
        # gates and candidates in one: sigmoid's threshold, the higher one
        over = tf.reduce_mean(tf.cast(tf.abs(z) > SATURATED["sigmoid"], tf.float32), axis=2)
        counts = tf.ones_like(over) if not tf.is_tensor(mask) else tf.cast(mask, tf.float32)
        counts *= tf.cast(tf.reduce_any(x != 0, axis=2), tf.float32)  # padding has no say
        self._note(
            "saturated",
            layer.name,
            tf.math.divide_no_nan(tf.reduce_sum(over * counts), tf.reduce_sum(counts)),
        )


def named(args: Sequence[Any], model: Any) -> dict[str, tf.Tensor]:
    """The tensors that a model is called with, by their names."""
    given = args[0] if len(args) == 1 else list(args)
    if isinstance(given, Mapping):
        return {str(name): value for name, value in sorted(given.items()) if tf.is_tensor(value)}
    flat = [value for value in tf.nest.flatten(given) if tf.is_tensor(value)]
    own = [tensor.name for tensor in getattr(model, "inputs", None) or ()]
    if len(own) != len(flat) or any(name.startswith("keras_tensor") for name in own):
        own = [str(number) for number in range(len(flat))]
    return dict(zip(own, flat, strict=True))


def standardised(x: Any) -> Any:
    """An input with mean 0 and standard deviation 1 in every band, or as a whole where it has no bands.

    Padding, frames that are 0 in every band, stays 0 and does not count. Integers, flags (0 and 1) and what
    does not vary are left as they are.
    """
    if not tf.is_tensor(x) or not x.dtype.is_floating or len(x.shape) < 2:
        return x
    bands = x.shape[-1] if len(x.shape) > 2 or (x.shape[-1] or MANY) < MANY else 1
    over = list(range(len(x.shape) - (1 if bands and bands > 1 else 0)))
    valid = (
        tf.cast(tf.reduce_any(x != 0, axis=-1, keepdims=True), x.dtype)
        if len(x.shape) > 2
        else tf.ones_like(x)
    )
    valid *= tf.ones_like(x)
    count = tf.maximum(tf.reduce_sum(valid, axis=over), 1.0)
    mean = tf.reduce_sum(x * valid, axis=over) / count
    spread = tf.sqrt(tf.reduce_sum(tf.square(x - mean) * valid, axis=over) / count)
    varies = spread > 1e-6 * tf.abs(mean)
    found = (
        tf.where(varies, (x - mean) / tf.where(varies, spread, tf.ones_like(spread)), tf.zeros_like(x))
        * valid
    )
    left = tf.reduce_all((x == 0) | (x == 1)) | ~tf.reduce_any(varies)
    return tf.where(left, x, found)


def _mean(flags: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(flags, tf.float32))
