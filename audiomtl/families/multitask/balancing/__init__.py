"""Loss balancing: ten methods that combine the losses of several tasks into one step.

Conventions: T tasks in a fixed order; ``losses`` (T,) are raw, ``present`` (T,) says which tasks have a label
in this batch: an absent one has loss 0 and no gradient, whatever the method. Methods that look at gradients
replace the gradient of the **shared** variables, those of a task's own head stay those of its raw loss. The
scalar that `Balancing.combine` returns has as its gradient the step to take. State (weights, history, seeds)
is in variables of the layer: a checkpoint that holds them goes on exactly.

One file for each method, found by its name. A method that looks at losses has a function ``total(layer,
losses, present)``, the scalar to differentiate; one that looks at gradients ``direction(layer, rows, losses,
present)``: what the shared variables step along, (n,), from the tasks' weighted gradients ``rows`` (T, n); as
long as a sum of gradients, not a mean. ``layer`` is the `Balancing` with its state, whose ``now`` it sets to
the weights that it used. ``LEARNS_VARIANCES = True`` says that ``layer.log_variances`` is trained.

Contents: `Balancing`, `kind`, `methods`, `count`.
"""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from audiomtl.settings.named import names

SMALLEST = 1e-8  # a divisor


def methods() -> list[str]:
    """Names of the methods, sorted."""
    return names(__name__)


def kind(name: str) -> ModuleType:
    """The module of a method."""
    return importlib.import_module(f"{__name__}.{name}")


def count(present: tf.Tensor) -> tf.Tensor:
    """How many tasks are present, 1 at least."""
    return tf.maximum(tf.reduce_sum(present), 1.0)


@keras.saving.register_keras_serializable(package="audiomtl")
class Balancing(layers.Layer):
    """One method with its state.

    Parameters
    ----------
    method : one of `methods`.
    weights : (T,) of the tasks; all but ``fixed`` begin from them or multiply by them.
    temperature : dynamic_weight_average.
    asymmetry : gradnorm's alpha. rate : of its weights.
    c : cagrad's c.
    """

    def __init__(
        self,
        method: str,
        weights: Sequence[float],
        *,
        temperature: float = 2.0,
        asymmetry: float = 1.5,
        rate: float = 0.025,
        c: float = 0.5,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if method not in methods():
            raise ValueError(f"method must be one of {', '.join(methods())}, but got {method}")
        self.method, self.start = method, tuple(float(weight) for weight in weights)
        self.temperature, self.asymmetry, self.rate, self.c, self.seed = (
            temperature,
            asymmetry,
            rate,
            c,
            seed,
        )
        tasks = len(self.start)

        def kept(
            name: str, value: float, *, trainable: bool = False, shape: tuple[int, ...] = (tasks,)
        ) -> Any:
            return self.add_weight(
                shape=shape, initializer=keras.initializers.Constant(value), trainable=trainable, name=name
            )

        self.now = kept("weights", 1.0)  # what was used last, for the logs
        self.now.assign(self.start)
        self.log_variances = kept(
            "log_variances", 0.0, trainable=getattr(kind(method), "LEARNS_VARIANCES", False)
        )
        self.sums, self.count = kept("sums", 0.0), kept("count", 0.0)  # of this epoch, per task
        self.last, self.before = kept("last_epoch", 0.0), kept("epoch_before", 0.0)
        self.first = kept("first_losses", 0.0)  # gradnorm: the losses it began from
        self.draws = keras.random.SeedGenerator(seed)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        kept = {
            name: getattr(self, name) for name in ("method", "temperature", "asymmetry", "rate", "c", "seed")
        }
        return super().get_config() | kept | {"weights": self.start}

    def begin_epoch(self) -> None:
        """The epoch's mean losses become the last one's; call it once before each epoch."""
        count = self.count.numpy()
        if count.any():
            self.before.assign(self.last)
            self.last.assign(tf.math.divide_no_nan(self.sums, self.count))
        self.sums.assign(tf.zeros_like(self.sums))
        self.count.assign(tf.zeros_like(self.count))

    def combine(
        self,
        losses: Sequence[tf.Tensor],
        present: tf.Tensor,
        tape: tf.GradientTape | None = None,
        shared: Sequence[Any] = (),
    ) -> tf.Tensor:
        """The scalar to differentiate.

        Parameters
        ----------
        losses : T raw scalars, 0 where the task is absent.
        present : (T,) 1.0 where a task has a label in this batch, else 0.0.
        tape : a persistent one that recorded the losses; shared : variables. Both for methods that look at
            gradients.
        """
        stacked = tf.stack(list(losses)) * present
        self.sums.assign_add(tf.stop_gradient(stacked))
        self.count.assign_add(present)
        method = kind(self.method)
        if hasattr(method, "direction"):
            # TensorFlow cannot make zeros of a Keras variable that a loss does not reach
            own = [one.value if isinstance(one, keras.Variable) else one for one in shared]
            return self._by_gradients(list(losses), present, tape, own)
        return method.total(self, stacked, present)

    def _by_gradients(
        self, losses: list[tf.Tensor], present: tf.Tensor, tape: Any, shared: list[Any]
    ) -> tf.Tensor:
        weighted = tf.stack(losses) * present * tf.constant(self.start)
        rows = []
        for loss, weight in zip(losses, self.start, strict=True):
            parts = tape.gradient(loss, shared, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            rows.append(weight * tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        gradients = tf.stop_gradient(tf.stack(rows)) * present[:, None]  # (T, n)
        # a head that reads something else than the encoder has no part in the encoder's direction
        reached = present * tf.cast(tf.reduce_any(gradients != 0, axis=1), present.dtype)
        direction = kind(self.method).direction(self, gradients, tf.stop_gradient(weighted), reached)
        correction = tf.stop_gradient(direction - tf.reduce_sum(gradients, axis=0))
        # its value is 0 and its gradient the correction: the shared variables step along the direction, heads
        # along their own gradients
        first, total = 0, tf.reduce_sum(weighted)
        for variable in shared:
            value = tf.convert_to_tensor(variable)
            size = int(value.shape.num_elements())
            total += tf.reduce_sum(
                tf.reshape(correction[first : first + size], value.shape) * (value - tf.stop_gradient(value))
            )
            first += size
        return total

    def along(self, rows: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """The gradients' sum, (n,), each with its weight, which is logged."""
        self.now.assign(weights)
        return tf.linalg.matvec(rows, weights, transpose_a=True)
