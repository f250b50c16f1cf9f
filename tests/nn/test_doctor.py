"""Planted faults are named, healthy models raise no alarm, and no model is changed: tiny networks."""

import random
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import audiomtl
from audiomtl.errors import UserError

layers = keras.layers
CLASSES, COLUMNS, FRAMES, BANDS, PHONES = 3, 12, 18, 10, 4


def table(items: int = 48, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Rows (items, COLUMNS) around a mean of their class, and the class (items,)."""
    y = np.arange(items) % classes
    x = np.random.default_rng(0).normal(size=(items, COLUMNS)).astype(np.float32)
    x[np.arange(items), y] += 2
    return x, y


def dense(
    activation: Any = "relu",
    last: str | None = "softmax",
    *,
    bias: float = 0.0,
    hidden: int = 1,
    classes: int = 3,
) -> keras.Model:
    keras.utils.set_random_seed(1)
    start = keras.initializers.Constant(bias)
    return keras.Sequential(
        [
            keras.Input((COLUMNS,)),
            *(layers.Dense(16, activation=activation, bias_initializer=start) for _ in range(hidden)),
            layers.Dense(classes, activation=last),
        ]
    )


def compiled(
    model: keras.Model, loss: Any = "sparse_categorical_crossentropy", rate: float = 0.01
) -> keras.Model:
    model.compile(keras.optimizers.SGD(rate), loss=loss)
    return model


def certain(model: keras.Model) -> keras.Model:
    """Sure of class 0 before it has learnt anything."""
    model.layers[-1].bias.assign([60.0, 0.0, 0.0])
    return model


def clipped_loss(y: Any, p: Any) -> Any:
    right = tf.gather(p, tf.cast(tf.reshape(y, [-1]), tf.int32), batch_dims=1)
    return -tf.math.log(tf.clip_by_value(right, 1e-7, 1.0))


def frozen(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


def spectra() -> tuple[np.ndarray, np.ndarray]:
    """Phones of three frames each as spectra in decibels (items, FRAMES, BANDS), and their numbers."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(-70, 12, (PHONES, BANDS))
    phones = np.cumsum(rng.integers(1, PHONES, (8, 6)), axis=1) % PHONES
    x = np.repeat(patterns[phones], 3, axis=1) + rng.normal(0, 3, (8, FRAMES, BANDS))
    return x.astype(np.float32), phones + 1


def recurrent(loss: Any = None, rate: float = 0.02) -> keras.Model:
    """The question's network, small."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, BANDS)),
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.Dense(PHONES + 1),
        ]
    )
    sgd = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, clipnorm=5.0)
    model.compile(sgd, loss=loss or keras.losses.CTC())
    return model


def framewise() -> keras.Model:
    """CTC without a recurrent layer."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, BANDS)), layers.Dense(PHONES + 1)])
    return compiled(model, keras.losses.CTC(), 1e-3)


def silent() -> keras.Model:
    """Nothing of the input reaches the answer, which is the blank."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((None, BANDS)),
            layers.Dense(8, activation="tanh"),
            layers.Dense(PHONES + 1, kernel_initializer="zeros"),
        ]
    )
    model.layers[-1].bias.assign([9.0, 0.0, 0.0, 0.0, 0.0])
    model.compile(keras.optimizers.SGD(1e-5), loss=keras.losses.CTC())
    return model


def normalized() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((COLUMNS,)), layers.Dense(8), layers.BatchNormalization(), layers.Dense(3, "softmax")]
    )


def masked() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((None, BANDS)), layers.Masking(1.0), layers.LSTM(6), layers.Dense(3, "softmax")]
    )
    return compiled(model)


def two_heads() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((COLUMNS,))
    hidden = layers.Dense(8, "tanh")(x)
    outputs = {name: layers.Dense(3, "softmax", name=name)(hidden) for name in ("genre", "mood")}
    return compiled(keras.Model(x, outputs), {name: "sparse_categorical_crossentropy" for name in outputs})


def unused() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = keras.Input((COLUMNS,))
    stopped = layers.Lambda(tf.stop_gradient)(layers.Dense(8, "tanh", name="lost")(x))
    return compiled(keras.Model(x, layers.Dense(3, "softmax")(stopped)))


def with_nan(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[3, 4] = np.nan
    return x


X, Y = table()
SOUND, PHONE = spectra()
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
BY_CLASS = np.repeat(np.arange(4), 32)  # four batches of one class each
STEEP = keras.initializers.RandomNormal(stddev=3.0, seed=1)


def deep(initializer: Any) -> keras.Model:
    keras.utils.set_random_seed(1)
    inner = [layers.Dense(32, kernel_initializer=initializer) for _ in range(4)]
    return keras.Sequential([keras.Input((COLUMNS,)), *inner, layers.Dense(3)])


FAULTS: dict[str, tuple[str, Callable[[], keras.Model], Any]] = {
    "decibels into an LSTM": ("unscaled input", recurrent, (SOUND, PHONE)),
    "decibels into tanh": ("unscaled input", lambda: compiled(dense("tanh")), (12 * X - 70, Y)),
    "16-bit samples": ("unscaled input", lambda: compiled(dense()), (8000 * X, Y)),
    "power spectra": ("unscaled input", lambda: compiled(dense()), (1e-5 * X, Y)),
    "silence": ("constant input", lambda: compiled(dense()), (0 * X - 80, Y)),
    "NaN": ("input not finite", lambda: compiled(dense()), (with_nan(X), Y)),
    "classes from 1": ("labels out of range", lambda: compiled(dense()), (X, Y + 1)),
    "more labels than frames": (
        "labels do not fit into the frames",
        framewise,
        (SOUND[:, :5] / 70 + 1, PHONE),
    ),
    "repeats need blanks": (
        "labels do not fit into the frames",
        framewise,
        (SOUND[:, :7] / 70 + 1, 0 * PHONE + 2),
    ),
    "a head without labels": (
        "no labels",
        two_heads,
        (X, {"genre": Y, "mood": 0 * Y}, {"genre": Y + 1.0, "mood": 0.0 * Y}),
    ),
    "one class": ("classes are missing", lambda: compiled(dense()), (X, 0 * Y)),
    "sorted by class": (
        "classes are missing",
        lambda: compiled(dense(classes=4)),
        (table(128)[0], BY_CLASS),
    ),
    "a mask of everything": ("mask hides everything", masked, (np.ones((9, 5, BANDS), np.float32), Y[:9])),
    "frozen": ("nothing to train", lambda: compiled(frozen(dense())), (X, Y)),
    "a stopped gradient": ("no gradient", unused, (X, Y)),
    "dead ReLUs": ("dead units", lambda: compiled(dense(bias=-100.0)), (X, Y)),
    "a deep stack of sigmoids": (
        "vanishing gradients",
        lambda: compiled(dense("sigmoid", hidden=12)),
        (X, Y),
    ),
    "large initial weights": (
        "exploding gradients",
        lambda: compiled(deep(STEEP), "mse"),
        (X, X[:, :3]),
    ),
    "a clipped logarithm": ("saturated loss", lambda: compiled(certain(dense()), clipped_loss), (X, Y)),
    "softmax twice": ("outputs and loss disagree", lambda: compiled(dense(), LOGITS), (X, Y)),
    "no softmax": ("outputs and loss disagree", lambda: compiled(dense(last=None)), (X, Y)),
    "blanks only": ("blank collapse", silent, (SOUND / 70 + 1, PHONE)),
    "rate of 300": ("learning rate too high", lambda: compiled(dense(), rate=300.0), (X, Y)),
    "rate of 1e-6": ("learning rate too low", lambda: compiled(dense(), rate=1e-6), (X, Y)),
    "batches of one": ("normalization over one value", lambda: compiled(normalized()), (X[:1], Y[:1])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault):
    name, model, batch = FAULTS[fault]
    report = audiomtl.doctor(model(), batch)
    assert name in report.names, report
    assert all(finding.place and finding.value for finding in report)


@pytest.mark.parametrize("kind", ["classes", "tags"])
def test_a_loss_of_logits_without_a_slope_is_named(kind):
    """Two items, sure and wrong; the gradient of a mean of cross-entropies is (p - t) / 2."""
    from audiomtl.nn.doctor.outputs import of_slopes
    from audiomtl.nn.doctor.subject import Learned

    right = np.array([0, 0]) if kind == "classes" else np.array([[1.0, 0.0], [1.0, 0.0]])
    answers, slope = np.array([[-40.0, 40.0]] * 2), np.array([[-0.5, 0.5]] * 2)
    for gradient, names in ((slope, []), (0 * slope, ["saturated loss"])):
        given = [Learned("x", kind, right, one, 2, "logits") for one in (answers, gradient)]
        assert [one.name for one in of_slopes(given[:1], given[1:])] == names


def test_every_kind_of_finding_is_planted():
    from audiomtl.findings import KINDS

    assert {name for name, _, _ in FAULTS.values()} | {"loss not finite"} == set(KINDS)


class Subclassed(keras.Model):
    """Two inputs in a dict, two outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.drop = layers.Dense(8, activation="tanh"), layers.Dropout(0.3)
        self.genre, self.age = layers.Dense(3), layers.Dense(1)

    def call(self, inputs: Any, training: bool = False) -> Any:
        x = self.drop(self.inner(layers.concatenate([inputs["low"], inputs["high"]])), training=training)
        return {"genre": self.genre(x), "age": self.age(x)}


def subclassed() -> keras.Model:
    keras.utils.set_random_seed(0)
    return compiled(Subclassed(), {"genre": LOGITS, "age": "mse"})


BOTH = {"low": X[:, :6], "high": X[:, 6:]}
HEALTHY: dict[str, tuple[Callable[[], keras.Model], Any]] = {
    "dense": (lambda: compiled(dense()), (X, Y)),
    "scaled spectra into an LSTM": (recurrent, (SOUND / 24 + 3, PHONE)),
    "a data set": (lambda: compiled(dense()), tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)),
    "subclassed, dicts": (subclassed, (BOTH, {"genre": Y, "age": X[:, :1]})),
    "weights": (two_heads, (X, {"genre": Y, "mood": Y}, {"genre": Y + 1.0, "mood": Y + 1.0})),
    "not compiled, no loss": (dense, X),
    "decibels, normalised by the model": (
        lambda: compiled(
            keras.Sequential(
                [
                    keras.Input((COLUMNS,)),
                    layers.Normalization(mean=-70.0, variance=144.0),
                    layers.Dense(16, activation="tanh"),
                    layers.Dense(3, activation="softmax"),
                ]
            )
        ),
        (12 * X - 70, Y),
    ),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_what_learns_raises_no_alarm(case):
    model, batch = HEALTHY[case]
    assert audiomtl.doctor(model(), batch).names == ()


def test_a_model_is_left_as_it_was():
    model = subclassed()
    model.fit(BOTH, {"genre": Y, "age": X[:, :1]}, verbose=0)
    random.seed(3)
    np.random.seed(3)
    tf.random.set_seed(3)
    before = [
        np.array(one) for one in [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    ]
    states = random.getstate(), np.random.get_state()[1].tolist()
    attributes = {layer.name: set(vars(layer)) for layer in model._flatten_layers()}
    audiomtl.doctor(model, (BOTH, {"genre": Y, "age": X[:, :1]}))
    after = [
        np.array(one) for one in [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    ]
    assert all(map(np.array_equal, before, after))
    assert states == (random.getstate(), np.random.get_state()[1].tolist())
    assert attributes == {layer.name: set(vars(layer)) for layer in model._flatten_layers()}
    drawn = float(tf.random.uniform([]))
    tf.random.set_seed(3)
    assert drawn == float(tf.random.uniform([]))


def test_a_loss_can_be_given():
    report = audiomtl.doctor(dense(), (X, Y + 1), loss="sparse_categorical_crossentropy")
    assert report.names == ("labels out of range",)


def test_a_loss_that_gathers_outputs_is_examined():
    """The gradient of tf.gather is slices, not a tensor."""

    def of_every_other(y: Any, p: Any) -> Any:
        return keras.ops.mean(keras.ops.square(tf.gather(p, range(0, len(X), 2))))

    assert audiomtl.doctor(dense(), (X, Y), loss=of_every_other).names is not None


@pytest.mark.parametrize(
    ("model", "batch", "text"),
    [
        (lambda: "model", (X, Y), "model is a str: must be a keras.Model"),
        (dense, (X, Y[:3]), "all must have the same number"),
        (dense, (SOUND, Y[:8]), "the model cannot be called with this batch"),
        (dense, iter(()), "no batch was given"),
    ],
)
def test_what_cannot_be_examined_is_one_line(model, batch, text):
    with pytest.raises(UserError, match=text) as error:
        audiomtl.doctor(model(), batch)
    assert "\n" not in str(error.value)
