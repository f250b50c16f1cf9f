"""Any Keras model as a subject: its batches, its loss or a stand-in, its optimizer, what its outputs learn.

Contents: `subject_of`.
"""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from audiomtl.errors import UserError
from audiomtl.nn.doctor.subject import Learned, Subject

BATCHES = 10
BATCH = 32  # items of a batch that is cut from arrays
WHOLE = 64  # items up to which arrays are one batch
CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")


def subject_of(model: keras.Model, data: Any, loss: Any = None) -> Subject:
    """The training that ``model.fit(data)`` would begin. A model that is not built yet is built by it."""
    batches = [_tensors(one) for one in itertools.islice(_batches(data), BATCHES)]
    if not batches:
        raise UserError("doctor: no batch was given: give (x, y), arrays or a tf.data.Dataset with batches")
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batches[0])
    compiled = loss is None and bool(getattr(model, "compiled", False))
    outputs = _built(model, x)
    if compiled:
        with contextlib.suppress(
            tf.errors.InvalidArgumentError
        ):  # of labels: seen again, and told, in a step
            model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weight)  # builds its metrics
    chosen = model.loss if compiled else loss
    known = chosen is not None or compiled
    losses = _by_output(chosen, outputs, model)

    def objective(batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        found = _called(model, x)
        if compiled:
            return model.compute_loss(x=x, y=y, y_pred=found, sample_weight=weight)
        if chosen is None:
            return _pseudo(found)
        return tf.add_n([*_given(losses, y, found), *model.losses])

    own = getattr(model, "optimizer", None) if compiled else None
    default = keras.optimizers.Adam(0.001) if chosen is not None else None
    optimizer = own if own is not None else default
    variables = {id(one): one for one in [*model.variables, *getattr(model, "metrics_variables", ())]}
    return Subject(
        model=model,
        variables=list(variables.values()),
        trainable=model.trainable_variables,
        losses=[objective],
        batches=batches,
        optimizer=(lambda: _copy(optimizer, model.trainable_variables))
        if optimizer is not None and known
        else None,
        rate=float(optimizer.learning_rate) if optimizer is not None else 0.0,
        clipped=any(getattr(optimizer, name, None) for name in CLIPS),
        learned=lambda batch, found: _learned(losses, batch, found),
        call=lambda batch: _called(model, keras.utils.unpack_x_y_sample_weight(batch)[0]),
        eager=bool(getattr(model, "run_eagerly", False)),
        name=model.name,
    )


# ---------------------------------------------------------------- batches


def _batches(data: Any) -> Iterator[Any]:
    """Batches of whatever `keras.Model.fit` takes; arrays are cut, as it cuts them."""
    if isinstance(data, tf.data.Dataset):
        yield from data
    elif isinstance(data, keras.utils.PyDataset):
        yield from (data[number] for number in range(len(data)))
    elif isinstance(data, Iterator):
        yield from data
    else:
        parts = tf.nest.flatten(_arrays(data))
        sizes = {len(one) for one in parts if np.ndim(one)}
        if len(sizes) != 1 or 0 in sizes:
            raise UserError(
                f"doctor: arrays of {sorted(sizes)} items: all must have the same number, at least 1"
            )
        size = sizes.pop()
        step = size if size <= WHOLE else BATCH
        for first in range(0, size, step):
            if first == 0 or first + step <= size:
                yield tf.nest.map_structure(lambda one, at=first: one[at : at + step], _arrays(data))


def _arrays(data: Any) -> Any:
    return tf.nest.map_structure(lambda one: one if tf.is_tensor(one) else np.asarray(one), _plain(data))


def _plain(data: Any) -> Any:
    """Without DataFrames, and without None in the place of targets or weights."""
    if isinstance(data, tuple):
        return tuple(_plain(one) for one in data if one is not None)
    return data.to_numpy() if hasattr(data, "to_numpy") else data


def _tensors(batch: Any) -> Any:
    def tensor(value: Any) -> tf.Tensor:
        found = tf.convert_to_tensor(value)
        return tf.cast(found, tf.float32) if found.dtype == tf.float64 else found

    return tf.nest.map_structure(tensor, _plain(batch))


# ---------------------------------------------------------------- the model


def _built(model: keras.Model, x: Any) -> Any:
    """The outputs of one batch; builds what is not built."""
    try:
        return _called(model, x)
    except (ValueError, TypeError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"doctor: the model cannot be called with this batch: {text[:300]}") from None


def _called(model: keras.Model, x: Any) -> Any:
    return model(x, training=True) if getattr(model, "_call_has_training_arg", True) else model(x)


def _copy(optimizer: Any, trainable: Sequence[Any]) -> Any:
    """A new optimizer with the same settings, and the same state where there is one."""
    config = optimizer.get_config() | {"learning_rate": float(optimizer.learning_rate)}
    made = type(optimizer).from_config(config)
    made.build(trainable)
    if optimizer.built and [one.shape for one in optimizer.variables] == [
        one.shape for one in made.variables
    ]:
        for new, old in zip(made.variables, optimizer.variables, strict=True):
            new.assign(old)
    return made


def _pseudo(outputs: Any) -> Any:
    """A fixed linear function of the outputs, whose gradient reaches what a loss of them would reach."""
    total = tf.zeros([])
    for number, one in enumerate(tf.nest.flatten(outputs)):
        rng = np.random.default_rng(number)
        total += tf.reduce_mean(
            tf.cast(one, tf.float32) * rng.normal(size=one.shape[-1] or 1).astype(np.float32)
        )
    return total


# ---------------------------------------------------------------- losses and what outputs learn


def _names(outputs: Any, model: Any) -> list[str]:
    """A name for every output, in the order of `tf.nest.flatten`."""
    if isinstance(outputs, Mapping):
        return sorted(map(str, outputs))
    count = len(tf.nest.flatten(outputs))
    own = list(getattr(model, "output_names", None) or ())
    return (
        own
        if len(own) == count
        else [f"output {number}" for number in range(count)]
        if count > 1
        else ["output"]
    )


def _by_output(chosen: Any, outputs: Any, model: Any) -> dict[str, Any]:
    """{output: its loss, or None}."""
    names = _names(outputs, model)
    if isinstance(chosen, Mapping):
        return {name: _loss(chosen.get(name)) for name in names}
    if isinstance(chosen, list | tuple):
        return {name: _loss(one) for name, one in zip(names, chosen, strict=True)}
    return {name: _loss(chosen) for name in names}


def _loss(chosen: Any) -> Any:
    return keras.losses.get(chosen) if isinstance(chosen, str) else chosen


def _targets(y: Any, names: Sequence[str]) -> list[Any]:
    """Targets in the order of the outputs; None where there is none."""
    if isinstance(y, Mapping):
        return [y.get(name) for name in names]
    flat = tf.nest.flatten(y) if y is not None else []
    return [*flat, *[None] * len(names)][: len(names)]


def _given(losses: Mapping[str, Any], y: Any, outputs: Any) -> list[Any]:
    """The mean loss of every output that has a target."""
    return [
        tf.reduce_mean(loss(target, answer))
        for loss, target, answer in zip(
            losses.values(), _targets(y, list(losses)), tf.nest.flatten(outputs), strict=True
        )
        if loss is not None and target is not None
    ]


def _learned(losses: Mapping[str, Any], batch: Any, outputs: Any) -> list[Learned]:
    _, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    flat = tf.nest.flatten(outputs)
    weights = [weight] * len(losses) if tf.is_tensor(weight) else _targets(weight, list(losses))
    found = []
    for (name, loss), target, answer, own in zip(
        losses.items(), _targets(y, list(losses)), flat, weights, strict=True
    ):
        if loss is not None and target is not None:
            found.append(
                _of_output(name, loss, np.asarray(target), answer, None if own is None else np.asarray(own))
            )
    return [one for one in found if one is not None]


def _of_output(name: str, loss: Any, y: np.ndarray, answer: Any, weights: Any) -> Learned | None:
    called = str(getattr(loss, "name", None) or getattr(loss, "__name__", "")).lower()
    options = getattr(loss, "_fn_kwargs", {})
    expects: Any = "logits" if options.get("from_logits") else "probabilities"
    own = not hasattr(loss, "name") and not str(getattr(loss, "__module__", "")).startswith("keras")
    answers = None if answer is None else np.asarray(answer)
    if "ctc" in called and answers is not None and answers.ndim == 3 and y.ndim == 2:
        return _ctc(name, y, answers, "" if own else "logits")
    if answers is not None and answers.ndim < 2:
        return None
    classes = answers.shape[-1] if answers is not None else 0
    flat = None if answers is None else answers.reshape(-1, classes)
    if own:  # what it expects is not known, but what it gets is
        sure = flat is not None and bool((flat >= 0).all() and np.allclose(flat.sum(axis=-1), 1, atol=1e-3))
        expects = "probabilities" if sure else ""
        if y.dtype.kind == "i" and flat is not None and y.size == len(flat) and classes > 1:
            called = "sparse_categorical_crossentropy"
    if "categorical_crossentropy" in called or "categorical_focal" in called:
        if "sparse" in called:
            labels: Any = y.reshape(-1).astype(np.int64)
            if (ignored := options.get("ignore_class")) is not None:
                labels = np.where(labels == ignored, -1, labels)
        else:
            rows = y.reshape(-1, y.shape[-1])
            labels = np.where(rows.sum(axis=-1) > 0, rows.argmax(axis=-1), -1)
        return Learned(
            name, "classes", labels, flat, classes, expects, weights=_of_places(weights, len(labels))
        )
    if "binary" in called and flat is not None and y.size == flat.size:
        rows = y.reshape(flat.shape)
        return Learned(name, "tags", rows, flat, classes, expects, weights=_of_places(weights, len(rows)))
    return Learned(name, "values", y, answers, classes, weights=_of_places(weights, len(y)))


def _of_places(weights: Any, count: int) -> Any:
    """Weights of items as weights of all their steps."""
    if weights is None:
        return None
    flat = np.asarray(weights).reshape(-1)
    return np.repeat(flat, count // len(flat)) if len(flat) and count % len(flat) == 0 else None


def _ctc(name: str, y: np.ndarray, answers: np.ndarray, expects: Any) -> Learned:
    """Labels without padding, which is 0 or negative at the end. The blank of `keras.losses.CTC` is class 0,
    that of others may be the last one: that which is answered more often.
    """
    classes, blank = answers.shape[-1], 0
    if not expects:
        counts = np.bincount(answers.argmax(-1).ravel(), minlength=classes)
        blank = 0 if counts[0] > counts[-1] else classes - 1
        if answers.min() >= 0 and np.allclose(answers.sum(-1), 1, atol=1e-3):
            answers = np.log(answers + 1e-9)
    padding = 0 if blank == 0 else -1
    labels = [row[: int(np.max(np.flatnonzero(row > padding), initial=-1)) + 1].astype(int) for row in y]
    return Learned(name, "ctc", labels, list(answers), classes, expects, blank)
