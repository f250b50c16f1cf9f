"""From the losses of several tasks to one step: ten ways to balance them behind one interface.

Conventions: T tasks in a fixed order; ``losses`` (T,) are raw, ``present`` (T,) says which tasks have a label in this batch: an absent one
has loss 0 and no gradient, whatever the method. Methods that look at gradients replace the gradient of the **shared** variables, those of a
task's own head stay those of its raw loss. The scalar that `Balancing.combine` returns has as its gradient the step to take.
State (weights, history, seeds) is in variables of the layer: a checkpoint that holds them goes on exactly.

====================== ===================================================================================================
fixed                  sum of w_i L_i
uncertainty            sum of exp(-s_i) L_i / 2 + s_i / 2, s_i trained (Kendall, Gal and Cipolla, 2018)
dynamic_weight_average w_i by softmax of L_i(t-1) / L_i(t-2) over ``temperature``, of epochs (Liu, Johns and Davison, 2019)
random                 w_i by softmax of normal draws, anew in each step (Lin, Ye and Zhang, 2021)
geometric              the geometric mean of the losses (Chennupati et al., 2019)
gradnorm               w_i trained until gradient norms follow the tasks' relative speeds (Chen et al., 2018)
pcgrad                 conflicting gradients projected onto each other's normal plane (Yu et al., 2020)
cagrad                 the direction near the mean gradient with the best worst task (Liu et al., 2021)
mgda                   the shortest convex combination of gradients (Sener and Koltun, 2018)
imtl                   the combination with equal projections on all gradients (IMTL-G, Liu et al., 2021)
====================== ===================================================================================================

Contents: `METHODS`, `Balancing`, `uncertainty`, `dynamic_weights`, `project_conflicts`, `shortest`, `conflict_averse`, `impartial`.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

METHODS = (
    "fixed",
    "uncertainty",
    "dynamic_weight_average",
    "random",
    "geometric",
    "gradnorm",
    "pcgrad",
    "cagrad",
    "mgda",
    "imtl",
)
BY_GRADIENTS = ("gradnorm", "pcgrad", "cagrad", "mgda", "imtl")
SMALLEST = 1e-8
ROUNDS = 40  # of the small problems that cagrad and mgda solve in each step


# ---------------------------------------------------------------- formulas


def uncertainty(losses: tf.Tensor, log_variances: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """``sum(exp(-s) L / 2 + s / 2)`` over the present tasks: may be negative, so raw losses are logged apart."""
    return tf.reduce_sum(present * (0.5 * tf.exp(-log_variances) * losses + 0.5 * log_variances))


def dynamic_weights(last: tf.Tensor, before: tf.Tensor, temperature: float) -> tf.Tensor:
    """``T softmax((L(t-1) / L(t-2)) / temperature)``: (T,), sum T; a task that falls slower weighs more."""
    tasks = tf.cast(tf.shape(last)[0], tf.float32)
    return tasks * tf.nn.softmax(last / tf.maximum(before, SMALLEST) / temperature)


def project_conflicts(gradients: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """PCGrad: of each gradient (T, n) the part against another one is taken away, others in ``order`` (T,); the sum of what is left."""
    tasks = gradients.shape[0]
    total = tf.zeros_like(gradients[0])
    for task in range(tasks):
        mine = gradients[task]
        for place in range(tasks):
            other = tf.gather(gradients, order[place])
            against = tf.minimum(tf.tensordot(mine, other, 1), 0.0) / tf.maximum(tf.reduce_sum(other**2), SMALLEST)
            mine = mine - tf.where(order[place] == task, 0.0, against) * other
        total += mine
    return total


def shortest(products: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """MGDA: weights (T,) at least 0, sum 1, of the shortest combination, from the gradients' dot products (T, T); by Frank and Wolfe."""
    weights = present / tf.maximum(tf.reduce_sum(present), 1.0)
    for _ in range(ROUNDS):
        slope = tf.linalg.matvec(products, weights)
        best = tf.one_hot(tf.argmin(tf.where(present > 0, slope, slope.dtype.max)), tf.shape(weights)[0])
        way = best - weights
        curve = tf.tensordot(way, tf.linalg.matvec(products, way), 1)
        step = tf.clip_by_value(-tf.tensordot(way, slope, 1) / tf.maximum(curve, SMALLEST), 0.0, 1.0)
        weights += step * way
    return weights


def conflict_averse(products: tf.Tensor, present: tf.Tensor, c: float) -> tf.Tensor:
    """CAGrad: coefficients (T,) of the gradients in ``g0 + c |g0| gw / |gw|``, g0 their mean over present tasks.

    gw, a convex combination, minimises ``gw . g0 + c |g0| |gw|``; found by exponentiated gradient steps.
    """
    mean = present / tf.maximum(tf.reduce_sum(present), 1.0)
    length = tf.sqrt(tf.maximum(tf.tensordot(mean, tf.linalg.matvec(products, mean), 1), 0.0))
    scale = tf.maximum(tf.reduce_max(tf.linalg.diag_part(products)), SMALLEST)
    weights = mean
    for _ in range(ROUNDS):
        towards = tf.linalg.matvec(products, weights)
        norm = tf.sqrt(tf.maximum(tf.tensordot(weights, towards, 1), SMALLEST))
        slope = (tf.linalg.matvec(products, mean) + c * length * towards / norm) / scale
        weights = weights * tf.exp(-slope - tf.reduce_max(-slope))
        weights /= tf.maximum(tf.reduce_sum(weights), SMALLEST)
    norm = tf.sqrt(tf.maximum(tf.tensordot(weights, tf.linalg.matvec(products, weights), 1), SMALLEST))
    return mean + c * length / norm * weights


def impartial(gradients: tf.Tensor) -> tf.Tensor:
    """IMTL-G: coefficients (T,), sum 1, with which the combination has the same projection on every gradient (T, n)."""
    units = gradients / tf.maximum(tf.norm(gradients, axis=1, keepdims=True), SMALLEST)
    differences, turned = gradients[:1] - gradients[1:], units[:1] - units[1:]  # (T - 1, n)
    square = tf.matmul(differences, turned, transpose_b=True)
    ridge = SMALLEST * tf.eye(tf.shape(square)[0])
    right = tf.matmul(gradients[:1], turned, transpose_b=True)  # (1, T - 1)
    rest = tf.transpose(tf.linalg.solve(square + ridge, tf.transpose(right), adjoint=True))[0]
    return tf.concat([[1 - tf.reduce_sum(rest)], rest], axis=0)


# ---------------------------------------------------------------- the layer


@keras.saving.register_keras_serializable(package="audiomtl")
class Balancing(layers.Layer):
    """One method with its state.

    Parameters
    ----------
    method : one of `METHODS`.
    weights : (T,) of the tasks; all but ``fixed`` begin from them or multiply by them.
    temperature : dynamic_weight_average.
    asymmetry : gradnorm's alpha. rate : of its weights.
    caution : cagrad's c.
    """

    def __init__(
        self,
        method: str,
        weights: Sequence[float],
        *,
        temperature: float = 2.0,
        asymmetry: float = 1.5,
        rate: float = 0.025,
        caution: float = 0.5,
        seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, but got {method}")
        self.method, self.start = method, tuple(float(weight) for weight in weights)
        self.temperature, self.asymmetry, self.rate, self.caution, self.seed = temperature, asymmetry, rate, caution, seed
        tasks = len(self.start)

        def kept(name: str, value: float, *, trainable: bool = False, shape: tuple[int, ...] = (tasks,)) -> Any:
            return self.add_weight(shape=shape, initializer=keras.initializers.Constant(value), trainable=trainable, name=name)

        self.now = kept("weights", 1.0)  # what was used last, for the logs
        self.now.assign(self.start)
        self.log_variances = kept("log_variances", 0.0, trainable=method == "uncertainty")
        self.sums, self.count = kept("sums", 0.0), kept("count", 0.0)  # of this epoch, per task
        self.last, self.before = kept("last_epoch", 0.0), kept("epoch_before", 0.0)
        self.first = kept("first_losses", 0.0)  # gradnorm: the losses it began from
        self.draws = keras.random.SeedGenerator(seed)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        kept = {name: getattr(self, name) for name in ("method", "temperature", "asymmetry", "rate", "caution", "seed")}
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
        self, losses: Sequence[tf.Tensor], present: tf.Tensor, tape: tf.GradientTape | None = None, shared: Sequence[Any] = ()
    ) -> tf.Tensor:
        """The scalar to differentiate.

        Parameters
        ----------
        losses : T raw scalars, 0 where the task is absent.
        present : (T,) 1.0 where a task has a label in this batch, else 0.0.
        tape : a persistent one that recorded the losses; shared : variables. Both for methods that look at gradients.
        """
        stacked = tf.stack(list(losses)) * present
        self.sums.assign_add(tf.stop_gradient(stacked))
        self.count.assign_add(present)
        if self.method in BY_GRADIENTS:
            # TensorFlow cannot make zeros of a Keras variable that a loss does not reach
            own = [one.value if isinstance(one, keras.Variable) else one for one in shared]
            return self._by_gradients(list(losses), present, tape, own)
        if self.method == "uncertainty":
            self.now.assign(tf.exp(-self.log_variances) / 2)
            return uncertainty(stacked * tf.constant(self.start), tf.convert_to_tensor(self.log_variances), present)
        if self.method == "geometric":
            logs = tf.reduce_sum(present * tf.math.log(stacked + SMALLEST)) / tf.maximum(tf.reduce_sum(present), 1.0)
            total = tf.exp(logs) * tf.minimum(tf.reduce_sum(present), 1.0)
            self.now.assign(
                tf.stop_gradient(tf.math.divide_no_nan(present * total, stacked + SMALLEST)) / tf.maximum(tf.reduce_sum(present), 1.0)
            )
            return total
        weights = tf.constant(self.start)
        if self.method == "dynamic_weight_average":
            ready = tf.reduce_all(self.before > 0)
            weights *= tf.where(
                ready, dynamic_weights(tf.convert_to_tensor(self.last), tf.convert_to_tensor(self.before), self.temperature), 1.0
            )
        if self.method == "random":
            draws = keras.random.normal((len(self.start),), seed=self.draws)
            weights *= len(self.start) * tf.nn.softmax(draws)
        self.now.assign(weights)
        return tf.reduce_sum(weights * stacked)

    def _by_gradients(self, losses: list[tf.Tensor], present: tf.Tensor, tape: Any, shared: list[Any]) -> tf.Tensor:
        weighted = tf.stack(losses) * present * tf.constant(self.start)
        rows = []
        for loss, weight in zip(losses, self.start, strict=True):
            parts = tape.gradient(loss, shared, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            rows.append(weight * tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0))
        gradients = tf.stop_gradient(tf.stack(rows)) * present[:, None]  # (T, n)
        correction = tf.stop_gradient(self._direction(gradients, tf.stop_gradient(weighted), present) - tf.reduce_sum(gradients, axis=0))
        # its value is 0 and its gradient the correction: the shared variables step along the direction, heads along their own gradients
        first, total = 0, tf.reduce_sum(weighted)
        for variable in shared:
            value = tf.convert_to_tensor(variable)
            size = int(value.shape.num_elements())
            total += tf.reduce_sum(tf.reshape(correction[first : first + size], value.shape) * (value - tf.stop_gradient(value)))
            first += size
        return total

    def _direction(self, rows: tf.Tensor, losses: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        """What the shared variables step along, (n,); as long as a sum of gradients, not a mean."""
        tasks = tf.maximum(tf.reduce_sum(present), 1.0)
        if self.method == "pcgrad":
            order = tf.random.experimental.stateless_shuffle(tf.range(len(self.start)), seed=tf.cast(self.draws.next(), tf.int32))
            return project_conflicts(rows, order)
        if self.method == "gradnorm":
            norms = tf.norm(rows, axis=1)
            self.first.assign(tf.where((self.first == 0) & (present > 0), losses, self.first))
            speed = tf.math.divide_no_nan(losses, self.first)
            relative = speed / tf.maximum(tf.reduce_sum(speed * present) / tasks, SMALLEST)
            target = tf.reduce_sum(self.now * norms * present) / tasks * relative**self.asymmetry
            moved = tf.maximum(self.now - self.rate * present * norms * tf.sign(self.now * norms - target), 1e-3)
            self.now.assign(moved * len(self.start) / tf.reduce_sum(moved))
            return tf.linalg.matvec(rows, self.now, transpose_a=True)
        if self.method == "imtl":
            whole = tf.reduce_all(present > 0)
            weights = tf.where(whole, tasks * impartial(rows), present)  # equal weights in a batch that lacks a task
        else:
            products = tf.matmul(rows, rows, transpose_b=True)
            found = shortest(products, present) if self.method == "mgda" else conflict_averse(products, present, self.caution)
            weights = tasks * found
        self.now.assign(weights)
        return tf.linalg.matvec(rows, weights, transpose_a=True)
