"""Transfer: a clip's label from the patches of a pretrained network, frozen or with its end trained on.

Conventions: classes are the sorted labels of the train side. A clip is a bag of patches, each a row of numbers that what is frozen has
computed once and stored: YAMNet's embeddings, what enters its last blocks where those are trained on, or statistics of features for
comparison. Seconds of a patch are those of the waveform. A scikit-learn head sees the mean over a clip's patches; logistic regression
becomes a dense layer with its numbers, so that it can be exported like the others.

Contents: `prepare`, `train`, `evaluate`, `predict`, `save`, `load`, `pictures`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl.data import catalog, fetch, protocols, splits
from audiomtl.data.pipeline import batch_order
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.families.transfer import embeddings
from audiomtl.families.transfer.head import head_network
from audiomtl.families.transfer.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn import saved, yamnet
from audiomtl.nn.classifiers import class_probabilities, fit_classifier
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit
from audiomtl.nn.pooling import majority_vote

EVALUATION_PATCHES = 1024  # of a batch that is only scored; a clip is never cut in two
SMALLEST = 1e-7  # added to a probability before its logarithm


@dataclass(frozen=True, eq=False)
class Example:
    """One clip as a bag of patches."""

    clip_id: str
    patches: np.ndarray  # (n_patches, size), perhaps a memory map
    label: int


@dataclass(frozen=True)
class Prepared:
    """What a training starts from."""

    splits: splits.Splits
    examples: dict[str, list[Example]]  # train, validation, test
    classes: tuple[str, ...]
    weights: Path | None  # YAMNet's
    facts: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """A trained head, with the trained end of YAMNet where there is one."""

    model: Any  # keras.Model: [patches, counts] -> clip, patches, weights; None: scikit-learn alone
    tail: Any  # keras.Model: what is stored -> embeddings; a part of ``model``
    pipeline: Any  # scikit-learn
    rows: np.ndarray  # (clips, size) that the pipeline was fitted on, (0, 0) without
    truth: np.ndarray  # (clips,)
    settings: Settings
    classes: tuple[str, ...]
    seed: int
    weights_digest: str  # of YAMNet's weights file, "" without
    forward: Any  # (patches, counts) -> outputs, compiled once
    fit: Fit | None  # None when loaded from disk

    @property
    def parameters(self) -> int:
        """Of the head, and of the trained end of YAMNet; of a scikit-learn head the numbers that describe a clip."""
        if self.model is None:
            return self.rows.shape[1]
        return int(sum(np.prod(variable.shape) for variable in self.model.trainable_variables))


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then what is frozen, once per clip.

    Raises
    ------
    UserError : what `protocols.divide` refuses; a recording that cannot be read; weights or arrays that do not fit.
    MissingData : YAMNet's weights are not on this machine.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    classes = tuple(sorted(sides.train[settings.data.label].astype(str).unique()))
    if len(classes) < 2:
        raise UserError(f'data.label = "{settings.data.label}": every clip has the same class ({", ".join(classes)}); two are needed')
    sides = replace(sides, train=share_of(sides.train, settings, seed))
    weights = fetch.weights(settings.extractor.weights) if settings.extractor.kind == "yamnet" else None
    patches = dict(zip(table["clip_id"], _patches(table, settings, weights), strict=True))
    examples = {
        side: [
            Example(clip, patches[clip], classes.index(str(label)))
            for clip, label in zip(some["clip_id"], some[settings.data.label], strict=True)
        ]
        for side, some in sides.sides().items()
    }
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    facts |= {f"{side}/patches": float(sum(len(one.patches) for one in some)) for side, some in examples.items()}
    facts |= {f"left_out/{reason}": float(count) for reason, count in table.attrs.get("left_out", {}).items()}
    return Prepared(sides, examples, classes, weights, facts)


def share_of(train: pd.DataFrame, settings: Settings, seed: int) -> pd.DataFrame:
    """``train_share`` of the train side: class by class, whole groups in an order drawn from the seed, until the share is reached.

    The clips of a smaller share are among those of a greater one.
    """
    if settings.train_share == 1:
        return train
    group = settings.data.groups[0] if settings.data.groups else "clip_id"
    kept: list[str] = []
    for number, (_, rows) in enumerate(sorted(train.groupby(settings.data.label), key=lambda item: str(item[0]))):
        groups = sorted(rows[group].unique())
        wanted = settings.train_share * len(rows)
        for value in np.random.default_rng((seed, number)).permutation(np.array(groups, dtype=object)):
            if wanted <= 0:
                break
            some = rows.loc[rows[group] == value, "clip_id"]
            kept += list(some)
            wanted -= len(some)
    return train[train["clip_id"].isin(kept)].reset_index(drop=True)


def _patches(table: pd.DataFrame, settings: Settings, weights: Path | None) -> list[np.ndarray]:
    """What the head sees of every clip, (n_patches, size)."""
    stored = "embedding_path" in table.columns
    if stored != (settings.extractor.kind == "stored"):
        raise UserError(
            f'extractor.kind = "{settings.extractor.kind}": stored embeddings (a column embedding_path) and the kind "stored" need each '
            f"other, but the clip table has {'embedding_path' if stored else 'no such column'}"
        )
    if stored:
        arrays = [np.asarray(np.load(path, allow_pickle=False), np.float32) for path in table["path"]]
        wrong = [clip for clip, one in zip(table["clip_id"], arrays, strict=True) if one.ndim != 2 or one.shape[1] != arrays[0].shape[1]]
        if wrong:
            raise UserError(f"embedding_path: arrays (patches, {arrays[0].shape[-1]}) are needed; other shapes: {', '.join(wrong[:5])}")
        return arrays
    folder = catalog.cache_folder() / "features"
    if weights:
        return embeddings.EmbeddingStore(folder, weights, settings.fine_tune.blocks).activations(list(table["path"]))
    return [statistics(one, settings) for one in FeatureStore(folder).features(list(table["path"]), settings.features)]


def statistics(frames: np.ndarray, settings: Settings) -> np.ndarray:
    """Mean and deviation of every feature over patches of ``patch_seconds``: (n_frames, n_bands) -> (n_patches, 2 n_bands)."""
    rate = settings.features.sample_rate / settings.features.hop_samples  # frames per second
    size, hop = max(1, round(settings.extractor.patch_seconds * rate)), max(1, round(settings.extractor.hop_seconds * rate))
    parts = [np.asarray(frames[first : first + size]) for first in range(0, max(1, len(frames) - size + hop), hop)]
    return np.stack([np.concatenate([part.mean(axis=0), part.std(axis=0)]) for part in parts if len(part)])


# ---------------------------------------------------------------- training


def train(settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> Fitted:
    """Train one head; it comes back with the weights of its best epoch. A scikit-learn head is fitted in one epoch."""
    digest = fetch.digest(prepared.weights) if prepared.weights else ""
    bare = Fitted(None, None, None, np.empty((0, 0)), np.empty(0), settings, prepared.classes, seed, digest, None, None)
    if settings.head.kind != "dense":
        return _fit_pipeline(bare, prepared, on_epoch)
    examples = prepared.examples["train"]
    weights = yamnet.read_weights(prepared.weights) if settings.fine_tune.blocks and prepared.weights else {}
    fitted = _with_network(bare, *_mean_and_deviation(settings, examples, weights), weights)
    model, tail = fitted.model, fitted.tail
    sizes = [len(one.patches) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for step, indices in enumerate(batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch)):
            some = [examples[index] for index in indices]
            rng = np.random.default_rng((seed, epoch, step))
            yield _collate(some, len(fitted.classes), settings.head.mixup_alpha, settings.head.label_smoothing, rng)

    head = model.get_layer("head") if tail is not None else model

    def objective(model: keras.Model, batch: Any) -> tf.Tensor:
        return _loss(model([batch["patches"], batch["counts"]], training=True), batch, settings) + sum(model.losses)

    def head_alone(model: keras.Model, batch: Any) -> tf.Tensor:
        embedded = tf.stop_gradient(tail(batch["patches"], training=False))
        still = sum(0.0 * tf.reduce_sum(variable) for variable in tail.trainable_variables)  # a gradient of zero: they have one
        return _loss(head([embedded, batch["counts"]], training=True), batch, settings) + sum(model.losses) + still

    def score(epoch: int) -> Scores:
        return {f"validation/{name}": value for name, value in evaluate(fitted, prepared.examples["validation"]).items()}

    result = fit(
        model,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=lambda epoch: head_alone if tail is not None and epoch < settings.fine_tune.from_epoch else objective,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


def _collate(examples: Sequence[Example], classes: int, mixup_alpha: float, smoothing: float, rng: np.random.Generator) -> dict[str, Any]:
    """A batch: patches of all clips one behind the other, counts, targets (clips, classes), clip ids.

    Mixup (Zhang et al., 2018): each clip's patches with those of another of the batch, taken round where it has fewer.
    """
    parts: list[Any] = [np.asarray(one.patches) for one in examples]
    targets: Any = np.eye(classes, dtype=np.float32)[[one.label for one in examples]]
    if mixup_alpha:
        shares = np.maximum(share := rng.beta(mixup_alpha, mixup_alpha, len(parts)).astype(np.float32), 1 - share)
        partner = rng.permutation(len(parts))
        others = [parts[other][np.arange(len(part)) % len(parts[other])] for part, other in zip(parts, partner, strict=True)]
        parts = [share * part + (1 - share) * other for part, other, share in zip(parts, others, shares, strict=True)]
        targets = shares[:, None] * targets + (1 - shares[:, None]) * targets[partner]
    return {
        "patches": np.concatenate(parts),
        "counts": np.array([len(part) for part in parts], np.int32),
        "targets": (1 - smoothing) * targets + np.float32(smoothing / classes),
        "clip_ids": [one.clip_id for one in examples],
    }


def _loss(outputs: dict[str, Any], batch: dict[str, Any], settings: Settings) -> tf.Tensor:
    """Cross-entropy with the clips' targets: of clips, or of each patch, mean over a clip's patches, then over clips."""
    if settings.head.loss == "clip":
        return -tf.reduce_mean(tf.reduce_sum(batch["targets"] * tf.math.log(outputs["clip"] + SMALLEST), axis=1))
    counts = batch["counts"]
    bag = tf.repeat(tf.range(tf.shape(counts)[0]), counts)  # (n_patches,)
    each = -tf.reduce_sum(tf.gather(batch["targets"], bag) * tf.math.log(outputs["patches"] + SMALLEST), axis=1)
    share = 1 / tf.cast(tf.gather(counts, bag), tf.float32)
    return tf.reduce_sum(each * share) / tf.cast(tf.shape(counts)[0], tf.float32)


def _mean_and_deviation(settings: Settings, examples: Sequence[Example], weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of the embeddings of all train patches; zeros and ones where the head takes them as they are."""
    embed = yamnet.tail(settings.fine_tune.blocks, weights, 1.0) if weights else np.asarray
    size = yamnet.SIZE if weights else examples[0].patches.shape[1]
    if not settings.head.standardise:
        return np.zeros(size), np.ones(size)
    total: Any = np.zeros(size)
    squares, count = total, 0
    for one in examples:
        rows = np.asarray(embed(np.asarray(one.patches)), np.float64)
        total, squares, count = total + rows.sum(axis=0), squares + (rows**2).sum(axis=0), count + len(rows)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def _with_network(bare: Fitted, mean: np.ndarray, deviation: np.ndarray, weights: dict[str, np.ndarray]) -> Fitted:
    """Give it the network that its settings ask for."""
    settings, blocks = bare.settings, bare.settings.fine_tune.blocks
    head = head_network(
        settings.head, settings.pooling, size=len(mean), classes=len(bare.classes), mean=mean.astype(np.float32), deviation=deviation
    )
    if not blocks:
        return replace(bare, model=head, forward=_forward(head))
    tail = yamnet.tail(blocks, weights, settings.fine_tune.rate_share)
    patches, counts = keras.Input((yamnet.body_size(blocks),), name="activations"), keras.Input((), dtype="int32", name="counts")
    model = keras.Model([patches, counts], head([tail(patches), counts]), name="tuned")
    return replace(bare, model=model, tail=tail, forward=_forward(model))


def _fit_pipeline(bare: Fitted, prepared: Prepared, on_epoch: OnEpoch) -> Fitted:
    began, examples = time.monotonic(), prepared.examples["train"]
    rows, truth = np.stack([one.patches.mean(axis=0) for one in examples]).astype(np.float64), np.array([one.label for one in examples])
    fitted = _with_pipeline(bare, rows, truth)
    scores = {f"validation/{name}": value for name, value in evaluate(fitted, prepared.examples["validation"]).items()}
    stopped = not on_epoch(0, scores)
    result = Fit(best_epoch=0, best_score=scores["validation/accuracy"], history=[scores], stopped=stopped)
    return replace(fitted, fit=replace(result, seconds=time.monotonic() - began))


def _with_pipeline(bare: Fitted, rows: np.ndarray, truth: np.ndarray) -> Fitted:
    pipeline = fit_classifier(bare.settings.head.classifier, rows, truth, bare.seed)
    if bare.settings.head.kind != "logistic_regression":
        return replace(bare, pipeline=pipeline, rows=rows, truth=truth, forward=_scikit_forward(pipeline))
    scaler, classifier = pipeline[0], pipeline[-1]
    linear = bare.settings.model_copy(
        update={
            "head": bare.settings.head.model_copy(update={"hidden": (), "dropout": 0.0}),
            "pooling": bare.settings.pooling.model_copy(update={"name": "mean", "of": "embeddings", "evaluation": "same"}),
        }
    )
    made = _with_network(replace(bare, settings=linear), scaler.mean_, scaler.scale_, {})
    kernel, bias = classifier.coef_.T, classifier.intercept_
    if kernel.shape[1] == 1:  # two classes: their logits are half apart on each side of 0
        kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    made.model.get_layer("logits").set_weights([kernel, bias])
    return replace(made, settings=bare.settings)


def _scikit_forward(pipeline: Any) -> Any:
    def forward(patches: Any, counts: Any) -> dict[str, Any]:
        parts = np.split(np.asarray(patches, np.float64), np.cumsum(counts)[:-1])
        weights = np.zeros((len(parts), max(len(part) for part in parts), 1), np.float32)
        for bag, part in enumerate(parts):
            weights[bag, : len(part)] = 1 / len(part)
        clip = class_probabilities(pipeline, np.stack([part.mean(axis=0) for part in parts]))
        return {"clip": clip, "patches": class_probabilities(pipeline, np.concatenate(parts)), "weights": weights}

    return forward


# ---------------------------------------------------------------- use


def evaluate(fitted: Fitted, examples: Sequence[Example]) -> dict[str, float]:
    """loss (mean cross-entropy per clip), accuracy, balanced_accuracy, patch_accuracy (each patch judged by its clip's label)."""
    truth, predicted, losses, of_patches = [], [], [], []
    for one, outputs in _outputs(fitted, examples):
        truth.append(one.label)
        predicted.append(int(outputs["clip"].argmax()))
        losses.append(-float(np.log(outputs["clip"][one.label] + SMALLEST)))
        of_patches += (outputs["patches"].argmax(axis=1) == one.label).tolist()
    scores = {"loss": float(np.mean(losses)), "accuracy": labels.accuracy(truth, predicted)}
    return scores | {"balanced_accuracy": labels.balanced_accuracy(truth, predicted), "patch_accuracy": float(np.mean(of_patches))}


def predict(fitted: Fitted, examples: Sequence[Example]) -> dict[str, pd.DataFrame]:
    """Two tables that keep their names.

    ``predictions``: one row per clip: clip_id, truth, predicted, margin (best less second-best probability), patches, probability_CLASS.
    ``patches``: one row per patch: clip_id, patch, start_seconds, end_seconds (NaN for stored embeddings), weight (of the
    predicted class, or of the embedding), probability_CLASS.
    """
    clips, rows = [], []
    length, hop = patch_seconds(fitted.settings)
    for one, outputs in _outputs(fitted, examples):
        clip, best = outputs["clip"], int(outputs["clip"].argmax())
        named = {f"probability_{name}": float(value) for name, value in zip(fitted.classes, clip, strict=True)}
        clip_row: dict[str, Any] = {"clip_id": one.clip_id, "truth": fitted.classes[one.label], "predicted": fitted.classes[best]}
        clips.append(clip_row | {"margin": float(clip[best] - np.delete(clip, best).max()), "patches": len(one.patches)} | named)
        weights = outputs["weights"][:, best if outputs["weights"].shape[1] > 1 else 0]
        for number, (shares, weight) in enumerate(zip(outputs["patches"], weights, strict=True)):
            row: dict[str, Any] = {"clip_id": one.clip_id, "patch": number, "start_seconds": number * hop}
            row["end_seconds"] = number * hop + length
            row |= {f"probability_{name}": float(value) for name, value in zip(fitted.classes, shares, strict=True)}
            rows.append(row | {"weight": float(weight)})
    by_clip = pd.DataFrame(clips).sort_values("clip_id", ignore_index=True)
    return {"predictions": by_clip, "patches": pd.DataFrame(rows).sort_values(["clip_id", "patch"], ignore_index=True)}


def patch_seconds(settings: Settings) -> tuple[float, float]:
    """Length and hop of a patch in seconds; NaN for stored embeddings."""
    if settings.extractor.kind == "yamnet":
        return yamnet.PATCH_SAMPLES / yamnet.SAMPLE_RATE, yamnet.PATCH_HOP_SAMPLES / yamnet.SAMPLE_RATE
    stored = settings.extractor.kind == "stored"
    return (np.nan, np.nan) if stored else (settings.extractor.patch_seconds, settings.extractor.hop_seconds)


def _outputs(fitted: Fitted, examples: Sequence[Example]) -> Iterator[tuple[Example, dict[str, np.ndarray]]]:
    """Each example once, with clip (classes,), patches (n_patches, classes) and weights (n_patches, classes or 1)."""
    order = sorted(range(len(examples)), key=lambda index: (len(examples[index].patches), examples[index].clip_id))
    batch, size = list[Example](), 0
    for index in order:
        one = examples[index]
        if batch and size + len(one.patches) > EVALUATION_PATCHES:
            yield from _scored(fitted, batch)
            batch, size = [], 0
        batch.append(one)
        size += len(one.patches)
    if batch:
        yield from _scored(fitted, batch)


def _scored(fitted: Fitted, batch: Sequence[Example]) -> Iterator[tuple[Example, dict[str, np.ndarray]]]:
    counts = np.array([len(one.patches) for one in batch], np.int32)
    outputs = fitted.forward(np.concatenate([np.asarray(one.patches) for one in batch]), counts)
    outputs = {name: np.asarray(value) for name, value in outputs.items()}
    for number, (one, end) in enumerate(zip(batch, np.cumsum(counts), strict=True)):
        count = len(one.patches)
        mine = {"patches": outputs["patches"][end - count : end], "weights": outputs["weights"][number, :count]}
        clip = outputs["clip"][number]
        if fitted.settings.pooling.evaluation == "majority_vote":
            clip = majority_vote(mine["patches"][None], np.array([count]))[0]
        yield one, mine | {"clip": clip}


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``model.keras`` (or ``train.npz``, from which `load` fits a scikit-learn head again) and ``use.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    if fitted.model is None:
        np.savez(folder / "train.npz", rows=fitted.rows, truth=fitted.truth)
    else:
        fitted.model.save(folder / "model.keras")
    use = {"classes": fitted.classes, "seed": fitted.seed, "weights": fitted.weights_digest}
    saved.write(folder, use, fitted.settings, _versions)


def _versions(settings: Settings) -> dict[str, Any]:
    """Of what is frozen."""
    if settings.extractor.kind == "yamnet":
        return {"embeddings": embeddings.VERSION, "profile": yamnet.PROFILE}
    return saved.of_features(settings) if settings.extractor.kind == "statistics" else {}


def load(folder: Path) -> Fitted:
    """Read what `save` wrote; Keras's safe mode stays on."""
    use, settings = saved.read(folder, Settings, _versions)
    classes = tuple(use["classes"])
    bare = Fitted(None, None, None, np.empty((0, 0)), np.empty(0), settings, classes, use["seed"], use["weights"], None, None)
    if (folder / "train.npz").is_file():
        with np.load(folder / "train.npz", allow_pickle=False) as stored:
            return _with_pipeline(bare, stored["rows"], stored["truth"])
    model = keras.models.load_model(folder / "model.keras", safe_mode=True, compile=False)
    tail = model.get_layer("yamnet_tail") if settings.fine_tune.blocks else None
    return replace(bare, model=model, tail=tail, forward=_forward(model))


def pictures(fitted: Fitted, examples: Sequence[Example], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``."""
    from audiomtl import pictures as draw

    pairs = [(fitted.classes[one.label], fitted.classes[outputs["clip"].argmax()]) for one, outputs in _outputs(fitted, examples)]
    draw.confusion(labels.confusion([pair[0] for pair in pairs], [pair[1] for pair in pairs]), folder / "confusion.png", edits=False)


def _forward(model: keras.Model) -> Any:
    compiled = tf.function(
        lambda patches, counts: model([patches, counts], training=False),
        input_signature=[tf.TensorSpec([None, model.inputs[0].shape[1]], tf.float32), tf.TensorSpec([None], tf.int32)],
    )
    return lambda patches, counts: compiled(tf.constant(patches, tf.float32), tf.constant(counts, tf.int32))
