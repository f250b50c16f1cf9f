"""From windows to the bag: masked pooling operators of multiple-instance learning behind one interface.

Conventions: ``layer([probabilities, features, counts])`` -> ``(pooled, weights)``. probabilities (bags, windows, classes) are each window's
own answer, in [0, 1]; features (bags, windows, size) its last hidden layer, which attention and lstm look at; counts (bags,) says how many
windows are valid. They come first; what stands behind them may be anything, NaN included, and has no influence on value or gradient.

pooled (bags, classes) lies between the least and the greatest probability of the bag (noisy-or: between the greatest and 1), class by
class: but for the operators that weigh all classes alike it need not sum to 1 over classes. weights (bags, windows, classes) say what
each window contributed to each class: at least 0, sum 1 over the valid windows, 0 behind them. An **empty bag** gives 1 / classes for
every class, weights 0 and no gradient. All operators but lstm take windows in any order.

Contents: `pooling_layer`, `Pooling` (operators without variables), `AutoPool`, `Attention`, `MultiHeadAttention`, `Recurrent`,
`majority_vote`.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from audiomtl.settings.mil import Pooling as Settings

SMALLEST = 1e-7
LOWEST = -1e30  # a score that a softmax turns into exactly 0


def pooling_layer(settings: Settings) -> layers.Layer:
    """The operator that the settings name."""
    if settings.name == "autopool":
        return AutoPool(settings.autopool_limit, settings.autopool_penalty, name="pooling")
    if settings.name in ("attention", "gated_attention"):
        return Attention(settings.units, gated=settings.name == "gated_attention", name="pooling")
    if settings.name == "multi_head_attention":
        return MultiHeadAttention(settings.heads, name="pooling")
    if settings.name == "lstm":
        return Recurrent(settings.units, name="pooling")
    return Pooling(settings.name, quantile=settings.quantile, sharpness=settings.sharpness, top_k=settings.top_k, name="pooling")


def valid_windows(counts: tf.Tensor, windows: tf.Tensor | int) -> tf.Tensor:
    """Mask (bags, windows) of the windows that count."""
    return tf.sequence_mask(counts, windows)


def masked_softmax(scores: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Softmax over the valid windows, axis 1: (bags, windows, any); all 0 where there are none."""
    scores = tf.where(valid, scores, LOWEST)
    shares = tf.exp(scores - tf.stop_gradient(tf.reduce_max(scores, axis=1, keepdims=True))) * tf.cast(valid, scores.dtype)
    return shares / tf.maximum(tf.reduce_sum(shares, axis=1, keepdims=True), SMALLEST)


class _Masked(layers.Layer):
    """What all operators share: padding is replaced before anything sees it, and the empty bag has its value."""

    def call(self, inputs: list[tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        probabilities, features, counts = inputs
        valid = valid_windows(counts, tf.shape(probabilities)[1])[:, :, None]  # (bags, windows, 1)
        # replaced, not multiplied: 0 * NaN is NaN
        probabilities, features = tf.where(valid, probabilities, 0.0), tf.where(valid, features, 0.0)
        pooled, weights = self.pool(probabilities, features, valid)
        weights = tf.where(valid, tf.broadcast_to(weights, tf.shape(probabilities)), 0.0)
        nothing = 1.0 / tf.cast(tf.shape(probabilities)[2], pooled.dtype)
        return tf.where(counts[:, None] > 0, pooled, nothing), weights

    def pool(self, probabilities, features, valid):
        raise NotImplementedError

    def compute_output_shape(self, shapes):
        return (shapes[0][0], shapes[0][2]), shapes[0]

    def compute_output_spec(self, inputs):
        pooled, weights = self.compute_output_shape([one.shape for one in inputs])
        return keras.KerasTensor(pooled, dtype="float32"), keras.KerasTensor(weights, dtype="float32")


def _weighted(probabilities: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(weights * probabilities, axis=1), weights


# ---------------------------------------------------------------- operators without variables: (probabilities, valid, layer)


def _mean(p, valid, layer):
    """The average of the windows' answers, a soft majority vote: https://stackoverflow.com/questions/55272508."""
    return _weighted(p, masked_softmax(tf.zeros_like(p), valid))


def _max(p, valid, layer):
    """The standard assumption: a bag is positive if one instance is (Dietterich et al., 1997). Weight 1 on the first greatest."""
    best = tf.argmax(tf.where(valid, p, -1.0), axis=1)  # (bags, classes)
    weights = tf.transpose(tf.one_hot(best, tf.shape(p)[1]), [0, 2, 1])
    return _weighted(p, weights)


def _quantile(p, valid, layer):
    """The ``quantile`` of the windows, linear between order statistics (Hyndman and Fan, 1996, type 7); weights are theirs."""
    count = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1)  # (bags, 1)
    order = tf.argsort(tf.where(valid, p, 2.0), axis=1, stable=True)  # behind all valid ones stand the others
    rank = tf.cast(tf.argsort(order, axis=1, stable=True), tf.float32)  # (bags, windows, classes)
    position = (layer.quantile * tf.maximum(count - 1, 0))[:, None]  # (bags, 1, 1)
    return _weighted(p, tf.maximum(0.0, 1 - tf.abs(rank - position)) * tf.cast(valid, tf.float32))


def _noisy_or(p, valid, layer):
    """``1 - prod(1 - p)``: instances are independent causes (Maron and Lozano-Perez, 1998). Weights are shares of -log(1 - p)."""
    evidence = -tf.math.log1p(-tf.minimum(p, 1 - SMALLEST)) * tf.cast(valid, tf.float32)
    total = tf.reduce_sum(evidence, axis=1)
    even = masked_softmax(tf.zeros_like(p), valid)
    shares = tf.where(total[:, None] > SMALLEST, evidence / tf.maximum(total[:, None], SMALLEST), even)
    # one window is that window: 1 - exp(log(1 - p)) loses digits near 1
    alone = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1) == 1
    return tf.where(alone, tf.reduce_sum(p, axis=1), -tf.math.expm1(-total)), tf.stop_gradient(shares)


def _log_sum_exp(p, valid, layer):
    """``log(mean(exp(r p))) / r``, r = ``sharpness``: mean at 0, max at infinity (Pinheiro and Collobert, 2015). Weights: its gradient."""
    r = layer.sharpness
    peak = tf.stop_gradient(tf.reduce_max(p, axis=1, keepdims=True))
    mask = tf.cast(valid, tf.float32)
    raised = tf.exp(r * (p - peak)) * mask
    total, count = tf.reduce_sum(raised, axis=1), tf.reduce_sum(mask, axis=1)
    mean_less_one = tf.reduce_sum(tf.math.expm1(r * (p - peak)) * mask, axis=1) / tf.maximum(count, 1)  # keeps digits where r is small
    pooled = peak[:, 0] + tf.math.log1p(mean_less_one) / r
    return pooled, tf.stop_gradient(raised / tf.maximum(total, SMALLEST)[:, None])


def _linear_softmax(p, valid, layer):
    """``sum(p p) / sum(p)`` (Wang, Li and Metze, 2019): weights are the probabilities themselves."""
    mask = tf.cast(valid, tf.float32)
    raised = (p + SMALLEST) * mask
    return _weighted(p, raised / tf.maximum(tf.reduce_sum(raised, axis=1, keepdims=True), SMALLEST))


def _exponential_softmax(p, valid, layer):
    """``sum(p exp(r p)) / sum(exp(r p))``, r = ``sharpness`` (r = 1 in Wang, Li and Metze, 2019; McFee, Salamon and Bello, 2018)."""
    return _weighted(p, masked_softmax(layer.sharpness * p, valid))


def _top_k(p, valid, layer):
    """The mean of the ``top_k`` greatest windows of each class, of all if there are fewer (Li and Vasconcelos, 2015)."""
    order = tf.argsort(tf.where(valid, p, -1.0), axis=1, direction="DESCENDING", stable=True)
    rank = tf.argsort(order, axis=1, stable=True)
    chosen = tf.cast((rank < layer.top_k) & valid, tf.float32)
    return _weighted(p, chosen / tf.maximum(tf.reduce_sum(chosen, axis=1, keepdims=True), 1.0))


OPERATORS: dict[str, Callable] = {
    "mean": _mean,
    "max": _max,
    "quantile": _quantile,
    "noisy_or": _noisy_or,
    "log_sum_exp": _log_sum_exp,
    "linear_softmax": _linear_softmax,
    "exponential_softmax": _exponential_softmax,
    "top_k": _top_k,
}


@keras.saving.register_keras_serializable(package="audiomtl")
class Pooling(_Masked):
    """One of `OPERATORS`; they have no variables and pay the features no attention."""

    def __init__(self, operator: str, quantile: float = 0.75, sharpness: float = 1.0, top_k: int = 3, **options) -> None:
        super().__init__(**options)
        self.operator, self.quantile, self.sharpness, self.top_k = operator, quantile, sharpness, top_k

    def pool(self, probabilities, features, valid):
        return OPERATORS[self.operator](probabilities, valid, self)

    def get_config(self):
        own = {"operator": self.operator, "quantile": self.quantile, "sharpness": self.sharpness, "top_k": self.top_k}
        return super().get_config() | own


# ---------------------------------------------------------------- operators that learn


@keras.saving.register_keras_serializable(package="audiomtl")
class Within(keras.constraints.Constraint):
    """Every entry in [-limit, limit]."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, value):
        return keras.ops.clip(value, -self.limit, self.limit)

    def get_config(self):
        return {"limit": self.limit}


@keras.saving.register_keras_serializable(package="audiomtl")
class AutoPool(_Masked):
    """Exponential softmax with a learned sharpness alpha per class, 1 at the start (McFee, Salamon and Bello, 2018).

    ``limit`` above 0 keeps ``abs(alpha)`` within it (their constrained auto-pool), ``penalty`` adds penalty * sum(alpha^2) to the losses
    (regularised). alpha = 0 is mean, large alpha is max.
    """

    def __init__(self, limit: float = 0.0, penalty: float = 0.0, **options) -> None:
        super().__init__(**options)
        self.limit, self.penalty = limit, penalty

    def build(self, shapes):
        self.alpha = self.add_weight(
            name="alpha",
            shape=(shapes[0][2],),
            initializer="ones",
            constraint=Within(self.limit) if self.limit else None,
            regularizer=keras.regularizers.L2(self.penalty) if self.penalty else None,
        )

    def pool(self, probabilities, features, valid):
        return _weighted(probabilities, masked_softmax(self.alpha * probabilities, valid))

    def get_config(self):
        return super().get_config() | {"limit": self.limit, "penalty": self.penalty}


@keras.saving.register_keras_serializable(package="audiomtl")
class Attention(_Masked):
    """One weight per window for all classes, ``softmax(w tanh(V h))``, gated by ``sigmoid(U h)`` (Ilse, Tomczak and Welling, 2018)."""

    def __init__(self, units: int, gated: bool = False, **options) -> None:
        super().__init__(**options)
        self.units, self.gated = units, gated
        self.hidden = layers.Dense(units, activation="tanh")
        self.gate = layers.Dense(units, activation="sigmoid") if gated else None
        self.score = layers.Dense(1, use_bias=False)

    def build(self, shapes):
        self.hidden.build(shapes[1])
        if self.gate:
            self.gate.build(shapes[1])
        self.score.build((*shapes[1][:-1], self.units))

    def pool(self, probabilities, features, valid):
        hidden = self.hidden(features)
        scores = self.score(hidden * self.gate(features) if self.gate else hidden)  # (bags, windows, 1)
        return _weighted(probabilities, masked_softmax(scores, valid))

    def get_config(self):
        return super().get_config() | {"units": self.units, "gated": self.gated}


@keras.saving.register_keras_serializable(package="audiomtl")
class MultiHeadAttention(_Masked):
    """Learned queries, one per head, over the features by scaled dot product; the heads' weights are averaged (Lee et al., 2019)."""

    def __init__(self, heads: int, **options) -> None:
        super().__init__(**options)
        self.heads = heads
        self.queries = layers.Dense(heads, use_bias=False)

    def build(self, shapes):
        self.queries.build(shapes[1])

    def pool(self, probabilities, features, valid):
        scores = self.queries(features) / tf.sqrt(tf.cast(tf.shape(features)[2], tf.float32))  # (bags, windows, heads)
        return _weighted(probabilities, tf.reduce_mean(masked_softmax(scores, valid), axis=2, keepdims=True))

    def get_config(self):
        return super().get_config() | {"heads": self.heads}


@keras.saving.register_keras_serializable(package="audiomtl")
class Recurrent(_Masked):
    """An LSTM reads the features in order, its state at each window gives the window's score: the one operator that hears the order."""

    def __init__(self, units: int, **options) -> None:
        super().__init__(**options)
        self.units = units
        self.lstm = layers.LSTM(units, return_sequences=True)
        self.score = layers.Dense(1, use_bias=False)

    def build(self, shapes):
        self.lstm.build(shapes[1])
        self.score.build((*shapes[1][:-1], self.units))

    def pool(self, probabilities, features, valid):
        # read forwards, so that zeros behind the valid windows come too late to matter
        return _weighted(probabilities, masked_softmax(self.score(self.lstm(features)), valid))

    def get_config(self):
        return super().get_config() | {"units": self.units}


def majority_vote(probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """For evaluation only: the share of a bag's windows that vote for each class.

    Ties go to the class with the greater mean probability, which is added at a weight too small to overturn a vote.

    Parameters
    ----------
    probabilities : (bags, windows, classes) ; counts : (bags,)

    Returns
    -------
    np.ndarray (bags, classes), sum 1; 1 / classes for an empty bag
    """
    classes = probabilities.shape[2]
    pooled = np.full((len(probabilities), classes), 1 / classes)
    for bag, count in enumerate(counts):
        if count:
            some = np.asarray(probabilities[bag, :count], np.float64)
            votes = np.bincount(some.argmax(axis=1), minlength=classes) / count
            share = 0.1 / count  # of the whole: less than half of one vote
            pooled[bag] = (1 - share) * votes + share * some.mean(axis=0) / some.mean(axis=0).sum()
    return pooled
