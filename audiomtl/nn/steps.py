"""Optimizer steps as TensorFlow graphs.

A graph is made for the shapes of batches, takes seconds, and rounds differently from the graph for other
shapes. So there are few, and which ones were made is known: a training that goes on makes them again.

Contents: `Steps`, `Tensors`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.nn.averaging import Average

Tensors = Mapping[str, Any]


class Steps:
    """Optimizer steps of one model, compiled once per loss function, and the variables that a checkpoint
    must hold.
    """

    def __init__(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, average_decay: float = 0.0
    ) -> None:
        self.model, self.optimizer = model, optimizer
        optimizer.build(model.trainable_variables)
        self.average = Average(model.variables, model.trainable_variables, average_decay)
        self._functions: dict[Any, Any] = {}
        # the batches for which TensorFlow made a graph, in order: epoch, {name: [shape, dtype]}
        self.traced: list[dict[str, Any]] = []

    def compiled(
        self, loss: Callable[[keras.Model, Tensors], tf.Tensor], epoch: int = 0
    ) -> Callable[[Tensors, float], tf.Tensor]:
        """The step of a loss: (batch, learning rate) -> loss."""
        apply = self._function(loss)

        def step(batch: Tensors, rate: float) -> tf.Tensor:
            self.optimizer.learning_rate.assign(rate)
            given = {name: tf.convert_to_tensor(one) for name, one in batch.items() if name != "clip_ids"}
            if not apply.experimental_get_tracing_count():
                self.trace(loss, {"epoch": epoch, "batch": self._opened(given)})
            graphs = apply.experimental_get_tracing_count()
            value = apply(given)
            if apply.experimental_get_tracing_count() > graphs:  # for another number of clips
                shapes = {name: [one.shape.as_list(), one.dtype.name] for name, one in given.items()}
                self.traced.append({"epoch": epoch, "batch": shapes})
            return value

        return step

    def trace(self, loss: Callable[[keras.Model, Tensors], tf.Tensor], at: Mapping[str, Any]) -> None:
        """Make the graph of an entry of ``traced``, without a step.

        Graphs for other shapes round differently: a training that goes on must take every step with the
        graph that it would have had.
        """
        given = {name: tf.TensorSpec(shape, dtype) for name, (shape, dtype) in at["batch"].items()}
        self._function(loss).get_concrete_function(given)
        self.traced.append(dict(at))

    def _opened(self, batch: Tensors) -> dict[str, list[Any]]:
        """Shapes of a graph for batches of as many clips: what the model leaves open, and time, is open.

        A graph takes seconds. One that leaves the number of clips open would be slower in every step.
        """
        read = {one.name: list(one.shape)[1:] for one in getattr(self.model, "inputs", None) or ()}
        shapes = {name: one.shape.as_list() for name, one in batch.items()}
        return {
            name: [
                [*shape[:1], *read.get(name, [None, *shape[2:]][: len(shape) - 1])],
                batch[name].dtype.name,
            ]
            for name, shape in shapes.items()
        }

    def _function(self, loss: Callable[[keras.Model, Tensors], tf.Tensor]) -> Any:
        if loss not in self._functions:
            model, optimizer, average = self.model, self.optimizer, self.average

            @tf.function(reduce_retracing=True)
            def apply(batch: Tensors) -> tf.Tensor:
                with tf.GradientTape() as tape:
                    value = loss(model, batch)
                optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
                average.update(optimizer.iterations)
                return value

            self._functions[loss] = apply
        return self._functions[loss]

    def _kept(self) -> dict[str, list[Any]]:
        return {
            "model": self.model.variables,
            "optimizer": self.optimizer.variables,
            "average": self.average.values,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            f"{prefix}_{index}": variable.numpy()
            for prefix, variables in self._kept().items()
            for index, variable in enumerate(variables)
        }

    def lacking(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Name of a variable that a checkpoint lacks or has in another shape; "" where it fits."""
        needed = {name: array.shape for name, array in self.arrays().items()}
        needed |= {f"best_{index}": needed[f"model_{index}"] for index in range(len(self.model.variables))}
        return next(
            (name for name, shape in needed.items() if name not in arrays or arrays[name].shape != shape), ""
        )

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        for prefix, variables in self._kept().items():
            for index, variable in enumerate(variables):
                variable.assign(arrays[f"{prefix}_{index}"])
