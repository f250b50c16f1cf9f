"""Several tasks, one encoder: a clip's class and when it is heard, from shared features.

Conventions: the encoder gives one vector per *step* of 16 frames; a class's activity in a step is 1 where at least half of the step lies
in the clip's passages. Frames behind a clip's end are masked after every layer and have no influence. A clip that lacks a task's label
(``labelled_share``, or no passages) adds nothing to that task's loss or gradient. Raw losses and weights of all tasks are logged each epoch
(``train/TASK_loss``, ``train/TASK_weight``), apart from the total.

The trunk is that of an article whose network could not run; what was repaired is named in `encoder`.

Contents: `prepare`, `train`, `evaluate`, `predict`, `save`, `load`, `pictures`; `encoder`, `network`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers

from audiomtl.data import catalog, protocols, scaling, splits
from audiomtl.data.pipeline import batch_order, pad
from audiomtl.data.scaling import Scaler
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.metrics import labels
from audiomtl.nn.balancing import Balancing
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit
from audiomtl.settings.multitask import Encoder, Head, Settings

POOLS = ((4, 2), (4, 2))  # frames, bands
STEP = 16  # frames
EVALUATION_BATCH = 64  # clips
SMALLEST = 1e-7  # added to a probability before its logarithm


@dataclass(frozen=True, eq=False)
class Example:
    """One clip with what is known of it."""

    clip_id: str
    frames: np.ndarray  # (n_frames, n_bands)
    label: int  # -1: not known
    activity: np.ndarray | None  # (n_steps, classes) 0 or 1; None: not known


@dataclass(frozen=True)
class Prepared:
    """What a training starts from."""

    splits: splits.Splits
    examples: dict[str, list[Example]]  # train, validation, test
    classes: tuple[str, ...]
    scaler: Scaler
    facts: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """A trained network with all it needs to be used."""

    model: keras.Model  # [frames, lengths] -> {kind of head: output}
    settings: Settings
    classes: tuple[str, ...]
    scaler: Scaler
    forward: Any
    fit: Fit | None  # None when loaded from disk

    @property
    def parameters(self) -> int:
        return self.model.count_params()


class Bundle:
    """The network and the state of its balancing, as `fit` wants them: what is trained and what a checkpoint holds."""

    def __init__(self, network: keras.Model, balancer: Balancing) -> None:
        self.network, self.balancer = network, balancer

    @property
    def variables(self) -> list[Any]:
        return [*self.network.variables, *self.balancer.variables]

    @property
    def trainable_variables(self) -> list[Any]:
        return [*self.network.trainable_variables, *self.balancer.trainable_variables]


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then features; scaler and classes from train only.

    Raises
    ------
    UserError : what `protocols.divide` refuses; a recording that cannot be read; a head whose label no train clip has.
    """
    table = catalog.clips(settings.data)  # type: ignore[arg-type]
    if any(head.kind == "segments" for head in settings.heads.values()) and "passages" not in table.columns:
        raise UserError(f'data.dataset = "{settings.data.dataset}": a head of kind segments needs passages, which these clips do not have')
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    classes = tuple(sorted(sides.train[settings.data.label].astype(str).unique()))
    if len(classes) < 2:
        raise UserError(f'data.label = "{settings.data.label}": every clip has the same class ({", ".join(classes)}); two are needed')
    store = FeatureStore(catalog.cache_folder() / "features")
    frames = dict(zip(table["clip_id"], store.features(list(table["path"]), settings.features), strict=True))
    examples = {side: _examples(rows, frames, classes, settings, seed if side == "train" else None) for side, rows in sides.sides().items()}
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    for name, head in settings.heads.items():
        count = sum(_has(one, head) for one in examples["train"])
        facts[f"train/labelled_{name}"] = float(count)
        if not count:
            raise UserError(f"heads.{name}: no clip of the train side has its label; raise labelled_share or remove the head")
    scaler = scaling.fit((one.frames for one in examples["train"]), settings.features.scaling)
    return Prepared(sides, examples, classes, scaler, facts)


def _examples(
    rows: pd.DataFrame, frames: dict[str, np.ndarray], classes: Sequence[str], settings: Settings, seed: int | None
) -> list[Example]:
    """``seed``: of the clips that keep their labels; None keeps all."""
    kept = {}
    for number, (_, head) in enumerate(sorted(settings.heads.items())):
        random = np.random.default_rng((seed or 0, number))
        few = seed is not None and head.labelled_share < 1
        kept[head.kind] = random.permutation(len(rows)) < head.labelled_share * len(rows) if few else np.ones(len(rows), bool)
    found = []
    for number, row in enumerate(rows.to_dict("records")):
        label = list(classes).index(str(row[settings.data.label]))
        activity = None
        if "segments" in kept and kept["segments"][number] and row.get("passages") is not None:
            activity = activity_of(row["passages"], label, len(frames[row["clip_id"]]), len(classes), settings)
        found.append(Example(row["clip_id"], frames[row["clip_id"]], label if kept["clip_class"][number] else -1, activity))
    return found


def activity_of(passages: Sequence[tuple[float, float]], label: int, n_frames: int, classes: int, settings: Settings) -> np.ndarray:
    """(n_steps, classes): 1 for the clip's class in steps of which at least half lies in a passage."""
    seconds = STEP * settings.features.hop_samples / settings.features.sample_rate
    starts = seconds * np.arange(-(-n_frames // STEP))
    inside = sum((np.clip(np.minimum(starts + seconds, end) - np.maximum(starts, start), 0, None) for start, end in passages), 0 * starts)
    activity = np.zeros((len(starts), classes), np.float32)
    activity[:, label] = inside >= 0.5 * seconds
    return activity


def _has(one: Example, head: Head) -> bool:
    return one.label >= 0 if head.kind == "clip_class" else one.activity is not None


def _collate(examples: Sequence[Example], scaler: Scaler, classes: int) -> dict[str, Any]:
    """A batch: frames (clips, longest, bands) and lengths; labels and who has one; activity (clips, steps, classes) and who has it."""
    frames, lengths = pad([scaling.apply(one.frames, scaler) for one in examples], at_least=STEP)
    steps = -(-frames.shape[1] // STEP)
    activity = np.zeros((len(examples), steps, classes), np.float32)
    for row, one in zip(activity, examples, strict=True):
        if one.activity is not None:
            row[: len(one.activity)] = one.activity
    return {
        "frames": frames,
        "lengths": lengths,
        "labels": np.array([max(one.label, 0) for one in examples], np.int32),
        "has_clip_class": np.array([one.label >= 0 for one in examples], np.float32),
        "activity": activity,
        "has_segments": np.array([one.activity is not None for one in examples], np.float32),
        "clip_ids": [one.clip_id for one in examples],
    }


# ---------------------------------------------------------------- network


@keras.saving.register_keras_serializable(package="audiomtl")
class Masked(layers.Layer):
    """Set what stands behind a clip's end to 0: (clips, time, ...), lengths (clips,) in frames, ``stride`` frames to a place."""

    def __init__(self, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride = stride
        self.supports_masking = True  # and does its work itself

    def call(self, inputs):
        x, lengths = inputs
        valid = tf.sequence_mask((lengths + self.stride - 1) // self.stride, tf.shape(x)[1], dtype=x.dtype)
        return x * tf.reshape(valid, tf.concat([tf.shape(valid), tf.ones(len(x.shape) - 2, tf.int32)], axis=0))

    def compute_output_shape(self, shapes):
        return shapes[0]

    def get_config(self):
        return super().get_config() | {"stride": self.stride}


@keras.saving.register_keras_serializable(package="audiomtl")
class WholeSteps(layers.Layer):
    """Fill up with zeros behind the end to whole steps: pools that pad for themselves would begin at another frame for another length."""

    def call(self, x):
        return tf.pad(x, [[0, 0], [0, -tf.shape(x)[1] % STEP], [0, 0]])

    def compute_output_shape(self, shape):
        return (shape[0], None, shape[2])


@keras.saving.register_keras_serializable(package="audiomtl")
class MeanOverSteps(layers.Layer):
    """(clips, steps, size), lengths in frames -> (clips, size): the mean over a clip's own steps."""

    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, inputs):
        x, lengths = inputs
        valid = tf.sequence_mask((lengths + STEP - 1) // STEP, tf.shape(x)[1], dtype=x.dtype)[:, :, None]
        return tf.reduce_sum(x * valid, axis=1) / tf.maximum(tf.reduce_sum(valid, axis=1), 1.0)

    def compute_output_shape(self, shapes):
        return (shapes[0][0], shapes[0][2])


def encoder(settings: Encoder, bands: int) -> keras.Model:
    """[frames (clips, longest, bands), lengths] -> (clips, steps, 64) or, recurrent, (clips, steps, 2 units); 16 frames to a step.

    Of the article's trunk (4 x 4 convolutions of 32 and 64, pools of 2 bands by 4 frames, dense 128, 128, 64) these were repaired:
    it flattened the whole clip, which fixes its length and cannot be joined with a sequence: here every step is flattened for itself;
    it joined the dense layer with two outputs whose inputs were the targets: there is one input, the sound.
    """
    frames, lengths = layers.Input((None, bands), name="frames"), layers.Input((), dtype="int32", name="lengths")
    x = layers.Reshape((-1, bands, 1))(WholeSteps()(frames))
    stride = 1
    for number, (filters, pool) in enumerate(zip((32, 64), POOLS, strict=True), start=1):
        x = layers.Conv2D(filters, 4, padding="same", activation="relu", name=f"convolution_{number}")(x)
        x = Masked(stride)([x, lengths])
        x = layers.MaxPooling2D(pool, padding="same")(x)
        stride *= pool[0]
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)
    x = layers.Dense(128, activation="relu", name="dense_1")(x)
    if settings.kind == "article":
        for number, units in enumerate((128, 64), start=2):
            x = layers.Dense(units, activation="relu", name=f"dense_{number}")(x)
    else:
        valid = Valid(name="valid")([x, lengths])
        x = layers.Bidirectional(layers.LSTM(settings.units, return_sequences=True), name="recurrent")(x, mask=valid)
    if settings.dropout:
        x = layers.Dropout(settings.dropout)(x)
    return keras.Model([frames, lengths], Masked(STEP)([x, lengths]), name="encoder")


@keras.saving.register_keras_serializable(package="audiomtl")
class Valid(layers.Layer):
    """Which steps are a clip's own: (clips, steps) bool."""

    def call(self, inputs):
        x, lengths = inputs
        return tf.sequence_mask((lengths + STEP - 1) // STEP, tf.shape(x)[1])

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs[0].shape[:2], dtype="bool")


def network(settings: Settings, bands: int, classes: int) -> keras.Model:
    """[frames, lengths] -> {"clip_class": (clips, classes), "segments": (clips, steps, classes)}, of the heads that there are."""
    frames, lengths = layers.Input((None, bands), name="frames"), layers.Input((), dtype="int32", name="lengths")
    steps = encoder(settings.encoder, bands)([frames, lengths])
    outputs = {}
    for name, head in settings.heads.items():
        if head.kind == "clip_class":
            outputs["clip_class"] = layers.Dense(classes, activation="softmax", name=name)(MeanOverSteps()([steps, lengths]))
        else:
            outputs["segments"] = layers.Dense(classes, activation="sigmoid", name=name)(steps)
    return keras.Model([frames, lengths], outputs, name="multitask")


# ---------------------------------------------------------------- training


def task_loss(kind: str, outputs: dict[str, Any], batch: dict[str, Any]) -> tf.Tensor:
    """Cross-entropy, mean over the clips that have the label (of a clip's steps the mean, classes summed); 0 without any."""
    has = batch[f"has_{kind}"]
    if kind == "clip_class":
        right = tf.gather(outputs[kind], batch["labels"], batch_dims=1)
        each = -tf.math.log(right + SMALLEST)
    else:
        p, y = outputs[kind], batch["activity"]
        entropy = -tf.reduce_sum(y * tf.math.log(p + SMALLEST) + (1 - y) * tf.math.log(1 - p + SMALLEST), axis=2)  # (clips, steps)
        valid = tf.sequence_mask((batch["lengths"] + STEP - 1) // STEP, tf.shape(p)[1], dtype=p.dtype)
        each = tf.reduce_sum(entropy * valid, axis=1) / tf.maximum(tf.reduce_sum(valid, axis=1), 1.0)
    return tf.reduce_sum(tf.where(has > 0, each, 0.0)) / tf.maximum(tf.reduce_sum(has), 1.0)


def train(settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> Fitted:
    """Train one network on all its tasks; it comes back with the weights of its best epoch, without its auxiliary heads."""
    examples, classes = prepared.examples["train"], len(prepared.classes)
    model = network(settings, settings.features.n_bands, classes)
    tasks = {name: head for name, head in settings.heads.items() if head.weight}
    chosen = settings.balancing
    balancer = Balancing(
        chosen.method,
        [head.weight for head in tasks.values()],
        temperature=chosen.temperature,
        asymmetry=chosen.asymmetry,
        rate=chosen.rate,
        caution=chosen.caution,
        seed=seed,
    )
    bundle, shared = Bundle(model, balancer), model.get_layer("encoder").trainable_variables
    sizes = [len(one.frames) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for indices in batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch):
            yield _collate([examples[index] for index in indices], prepared.scaler, classes)

    def objective(bundle: Bundle, batch: Any) -> tf.Tensor:
        with tf.GradientTape(persistent=True) as tape:
            outputs = bundle.network([batch["frames"], batch["lengths"]], training=True)
            losses = [task_loss(head.kind, outputs, batch) for head in tasks.values()]
        present = tf.stack([tf.cast(tf.reduce_any(batch[f"has_{head.kind}"] > 0), tf.float32) for head in tasks.values()])
        # a head that is not trained has a gradient all the same: zero
        still = sum(0.0 * tf.reduce_sum(variable) for variable in bundle.network.trainable_variables)
        return bundle.balancer.combine(losses, present, tape, shared) + still

    def loss(epoch: int) -> Any:
        balancer.begin_epoch()
        return objective

    fitted = Fitted(model, settings, prepared.classes, prepared.scaler, _forward(model), None)

    def score(epoch: int) -> Scores:
        raw = (balancer.sums.numpy() / np.maximum(balancer.count.numpy(), 1)).tolist()
        scores = {f"train/{name}_loss": value for name, value in zip(tasks, raw, strict=True)}
        scores |= {f"train/{name}_weight": value for name, value in zip(tasks, balancer.now.numpy().tolist(), strict=True)}
        return scores | {f"validation/{name}": value for name, value in evaluate(fitted, prepared.examples["validation"]).items()}

    result = fit(
        bundle,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=loss,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def evaluate(fitted: Fitted, examples: Sequence[Example]) -> dict[str, float]:
    """Scores over a whole set, each over the clips that have its label.

    TASK_loss, loss (their sum), accuracy and balanced_accuracy of the clip's class, segment_f1: of all (step, class) pairs those with a
    score of 0.5 and above against those that are true, 2 hits / (said + true), 0 where there is neither.
    """
    sums: dict[str, list[float]] = {name: [] for name in fitted.settings.heads}
    truth, predicted, hits, said, true = [], [], 0, 0, 0
    for one, outputs in _outputs(fitted, examples):
        for name, head in fitted.settings.heads.items():
            if head.kind not in outputs or not _has(one, head):
                continue
            if head.kind == "clip_class":
                truth.append(one.label)
                predicted.append(int(outputs[head.kind].argmax()))
                sums[name].append(-float(np.log(outputs[head.kind][one.label] + SMALLEST)))
            else:
                p, y = outputs[head.kind], np.asarray(one.activity)
                entropy = -(y * np.log(p + SMALLEST) + (1 - y) * np.log(1 - p + SMALLEST)).sum(axis=1)
                sums[name].append(float(entropy.mean()))
                above = p >= 0.5
                hits, said, true = hits + int((above & (y > 0)).sum()), said + int(above.sum()), true + int((y > 0).sum())
    scores = {f"{name}_loss": float(np.mean(values)) for name, values in sums.items() if values}
    scores["loss"] = float(sum(scores.values()))
    scores |= {"accuracy": labels.accuracy(truth, predicted), "balanced_accuracy": labels.balanced_accuracy(truth, predicted)}
    if any(head.kind == "segments" for head in fitted.settings.heads.values()):
        scores["segment_f1"] = 2 * hits / max(said + true, 1)
    return scores


def predict(fitted: Fitted, examples: Sequence[Example]) -> dict[str, pd.DataFrame]:
    """Tables that keep their names.

    ``predictions``: one row per clip: clip_id, truth, predicted, margin (best less second-best probability), probability_CLASS.
    ``steps``: one row per step, where there is such a head: clip_id, step, start_seconds, end_seconds, score_CLASS.
    """
    seconds = STEP * fitted.settings.features.hop_samples / fitted.settings.features.sample_rate
    clips, rows = [], []
    for one, outputs in _outputs(fitted, examples):
        shares = outputs["clip_class"]
        best = int(shares.argmax())
        row: dict[str, Any] = {"clip_id": one.clip_id, "truth": fitted.classes[one.label], "predicted": fitted.classes[best]}
        row["margin"] = float(shares[best] - np.delete(shares, best).max())
        clips.append(row | {f"probability_{name}": float(value) for name, value in zip(fitted.classes, shares, strict=True)})
        for number, scores in enumerate(outputs.get("segments", [])):
            times = {"step": number, "start_seconds": number * seconds, "end_seconds": (number + 1) * seconds}
            named = {f"score_{name}": float(value) for name, value in zip(fitted.classes, scores, strict=True)}
            rows.append({"clip_id": one.clip_id, **times, **named})
    tables = {"predictions": pd.DataFrame(clips).sort_values("clip_id", ignore_index=True)}
    return tables | ({"steps": pd.DataFrame(rows).sort_values(["clip_id", "step"], ignore_index=True)} if rows else {})


def _outputs(fitted: Fitted, examples: Sequence[Example]) -> Iterator[tuple[Example, dict[str, np.ndarray]]]:
    """Each example once, with clip_class (classes,) and segments (n_steps, classes)."""
    order = sorted(range(len(examples)), key=lambda index: (len(examples[index].frames), examples[index].clip_id))
    for first in range(0, len(order), EVALUATION_BATCH):
        some = [examples[index] for index in order[first : first + EVALUATION_BATCH]]
        made = _collate(some, fitted.scaler, len(fitted.classes))
        outputs = {name: value.numpy() for name, value in fitted.forward(made["frames"], made["lengths"]).items()}
        for number, one in enumerate(some):
            mine = {"clip_class": outputs["clip_class"][number]}
            if "segments" in outputs:
                mine["segments"] = outputs["segments"][number, : -(-len(one.frames) // STEP)]
            yield one, mine


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``model.keras``, without heads that are ``train_only``, and ``use.json`` (settings, classes, scaler) into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {head.kind for head in fitted.settings.heads.values() if not head.train_only} | {"clip_class"}
    outputs = {kind: tensor for kind, tensor in fitted.model.output.items() if kind in kept}
    keras.Model(fitted.model.inputs, outputs, name="multitask").save(folder / "model.keras")
    use = {"classes": fitted.classes, "scaler": scaling.to_json(fitted.scaler), "settings": fitted.settings.model_dump(mode="json")}
    (folder / "use.json").write_text(json.dumps(use, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> Fitted:
    """Read what `save` wrote; Keras's safe mode stays on."""
    use = json.loads((folder / "use.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(folder / "model.keras", safe_mode=True, compile=False)
    settings = Settings.model_validate(use["settings"])
    return Fitted(model, settings, tuple(use["classes"]), scaling.from_json(use["scaler"]), _forward(model), None)


def pictures(fitted: Fitted, examples: Sequence[Example], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``."""
    from audiomtl import pictures as draw

    known = [(one, outputs) for one, outputs in _outputs(fitted, examples) if one.label >= 0]
    said = [fitted.classes[outputs["clip_class"].argmax()] for _, outputs in known]
    draw.confusion(labels.confusion([fitted.classes[one.label] for one, _ in known], said), folder / "confusion.png", edits=False)


def _forward(model: keras.Model) -> Any:
    return tf.function(lambda frames, lengths: model([frames, lengths], training=False), reduce_retracing=True)
