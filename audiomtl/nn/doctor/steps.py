"""Ten training steps of a subject, measured, and everything put back as it was.

Contents: `Step`, `Steps`, `kept`.
"""

import contextlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from audiomtl.nn.doctor.subject import Learned, Subject
from audiomtl.nn.doctor.watch import Watch


@dataclass(frozen=True)
class Step:
    """What was measured in one step, before its update. Arrays are NumPy's."""

    loss: float
    gradients: np.ndarray  # (trainable variables,) norms; NaN where there is none
    weights: np.ndarray  # (trainable variables,) norms
    measures: dict[str, np.ndarray]  # of `Watch`
    inputs: dict[str, np.ndarray]
    outputs: Any  # as the model gives them
    slopes: Any  # gradient of the loss with respect to the outputs, laid out alike; None: not connected
    learned: tuple[Learned, ...] = ()

    @property
    def norm(self) -> float:
        """Of the whole gradient."""
        return float(np.sqrt(np.nansum(np.square(self.gradients))))

    @property
    def finite(self) -> bool:
        return math.isfinite(self.loss) and bool(np.isfinite(self.gradients[~np.isnan(self.gradients)]).all())


class Steps:
    """Steps of one subject; each starts from the weights that `restore` puts back."""

    def __init__(self, subject: Subject, watch: Watch) -> None:
        self.subject, self.watch = subject, watch
        self._before = [np.array(variable) for variable in subject.variables]
        self._functions: dict[tuple[int, bool], Callable[[Any], Any]] = {}
        self._missing: list[bool] = []

    def restore(self) -> None:
        for variable, value in zip(self.subject.variables, self._before, strict=True):
            variable.assign(value)

    def measured(self, batch: Any, *, loss: int = 0, standardise: bool = False) -> tuple[Step, list[Any]]:
        """One step without its update, and its gradients."""
        found, gradients = self._function(loss, standardise)(batch)
        trainable = self.subject.trainable
        norms = np.array([np.linalg.norm(np.asarray(one, np.float64)) for one in gradients])
        norms[np.array(self._missing, bool)] = np.nan
        broken = [not np.isfinite(np.asarray(one)).all() for one in gradients]
        norms[np.array(broken, bool)] = np.inf
        numpy = tf.nest.map_structure(lambda value: value.numpy() if tf.is_tensor(value) else value, found)
        step = Step(
            loss=float(numpy["loss"]),
            gradients=norms,
            weights=np.array([np.linalg.norm(np.asarray(one, np.float64)) for one in trainable]),
            measures=numpy["measures"],
            inputs=numpy["inputs"],
            outputs=numpy["outputs"],
            slopes=numpy["slopes"],
        )
        return step, gradients

    def run(self, batches: Sequence[Any], rate: float, clipnorm: float = 0.0) -> list[Step]:
        """Steps with updates from the weights as they are, until one is not finite.

        ``clipnorm`` clips the whole gradient besides what the optimizer does; 0 does not.
        """
        optimizer = self.subject.optimizer() if self.subject.optimizer else None
        done: list[Step] = []
        for batch in batches:
            step, gradients = self.measured(batch)
            done.append(step)
            if not step.finite or optimizer is None or not self.subject.trainable:
                break
            if clipnorm and step.norm > clipnorm:
                gradients = [one * (clipnorm / step.norm) for one in gradients]
            optimizer.learning_rate = rate
            optimizer.apply(gradients, self.subject.trainable)
        return done

    def loss_after(self, batch: Any, rate: float, steps: int, clipnorm: float = 0.0) -> tuple[float, float]:
        """Loss of one batch before and after so many steps on it, with the same dropout; then all is put
        back.
        """
        self.restore()
        done = self.run([batch] * steps, rate, clipnorm)
        if len(done) < steps or not done[-1].finite:
            self.restore()
            return done[0].loss, math.nan
        trained = {id(variable) for variable in self.subject.trainable}
        for variable, value in zip(self.subject.variables, self._before, strict=True):
            if id(variable) not in trained:  # the state of dropout above all
                variable.assign(value)
        after = self.measured(batch)[0].loss
        self.restore()
        return done[0].loss, after

    def _function(self, loss: int, standardise: bool) -> Callable[[Any], Any]:
        if (loss, standardise) not in self._functions:
            objective, watch, trainable = self.subject.losses[loss], self.watch, self.subject.trainable

            def step(batch: Any) -> Any:
                watch.begin(standardise)
                with tf.GradientTape() as tape:
                    value = objective(batch)
                outputs = watch.outputs
                flat = [
                    one for one in tf.nest.flatten(outputs) if tf.is_tensor(one) and one.dtype.is_floating
                ]
                wanted = [*trainable, *flat]
                found = tape.gradient(value, wanted) if wanted else []
                own, slopes = found[: len(trainable)], found[len(trainable) :]
                self._missing = [one is None for one in own]
                by_output = {
                    id(one): slope if slope is None else tf.convert_to_tensor(slope)  # of tf.gather: slices
                    for one, slope in zip(flat, slopes, strict=True)
                }
                gradients = [
                    tf.zeros(variable.shape, variable.dtype) if one is None else tf.convert_to_tensor(one)
                    for one, variable in zip(own, trainable, strict=True)
                ]
                return {
                    "loss": value,
                    "measures": watch.measures,
                    "inputs": watch.inputs,
                    "outputs": outputs,
                    "slopes": tf.nest.map_structure(lambda one: by_output.get(id(one)), outputs),
                }, gradients

            self._functions[loss, standardise] = (
                step if self.subject.eager else tf.function(step, reduce_retracing=True)
            )
        return self._functions[loss, standardise]


@contextlib.contextmanager
def kept(variables: Sequence[Any]) -> Iterator[None]:
    """Put variables and the random states of Python, NumPy and TensorFlow back at the end."""
    from tensorflow.python.eager import context

    values = [np.array(variable) for variable in variables]
    python, numpy = random.getstate(), np.random.get_state()
    eager = getattr(context.context(), "_rng", None)  # draws the seeds of operations that have none
    state = eager.getstate() if eager is not None else None
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        random.setstate(python)
        np.random.set_state(numpy)
        if eager is not None and state is not None:
            eager.setstate(state)
