"""Transfer: a clip's label from the patches of a pretrained network, frozen or partly fine-tuned.

Conventions: classes are the sorted labels of the train side. A clip is a bag of patches, each a row of
numbers that what is frozen has computed once and stored: YAMNet's embeddings, what enters its last blocks
where those are trained on, or statistics of features for comparison. Seconds of a patch are those of the
waveform. A scikit-learn head sees the mean over a clip's patches; logistic regression becomes a dense layer
with its numbers, so that it can be exported like the others.

Contents: the functions of `contract.Family`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl import pictures as draw
from audiomtl.data import catalog, fetch, protocols, splits
from audiomtl.data.pipeline import batch_order
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.transfer import embeddings
from audiomtl.families.transfer.examples import Example, _collate, _mean_and_deviation
from audiomtl.families.transfer.head import head_network
from audiomtl.families.transfer.patches import patch_seconds, patches_of, share_of
from audiomtl.families.transfer.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn import yamnet
from audiomtl.nn.classifiers import class_probabilities, fit_classifier
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit
from audiomtl.nn.pooling import majority_vote
from audiomtl.nn.softmax import SMALLEST

EVALUATION_PATCHES = 1024  # of a batch that is only scored; a clip is never cut in two


@dataclass(frozen=True)
class Known:
    """State fitted on the train split, and the parts of a trained head."""

    classes: tuple[str, ...]
    weights: Path | None = None  # YAMNet's file
    weights_digest: str = ""
    seed: int = 0
    tail: Any = None  # keras.Model: what is stored -> embeddings; a part of the model
    pipeline: Any = None  # scikit-learn
    # (clips, size) that the pipeline was fitted on
    rows: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    truth: np.ndarray = field(default_factory=lambda: np.empty(0))  # (clips,)


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then what is frozen, once per clip.

    Raises
    ------
    UserError : what `protocols.divide` refuses; a recording that cannot be read; weights or arrays that do
        not fit.
    MissingData : YAMNet's weights are not on this machine.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    classes = tuple(sorted(sides.train[settings.data.label].astype(str).unique()))
    if len(classes) < 2:
        raise UserError(
            f'data.label = "{settings.data.label}": every clip has the same class ({", ".join(classes)}); at'
            " least two are needed"
        )
    sides = replace(sides, train=share_of(sides.train, settings, seed))
    weights = fetch.weights(settings.extractor.weights) if settings.extractor.kind == "yamnet" else None
    patches = dict(zip(table["clip_id"], patches_of(table, settings, weights), strict=True))
    examples = {
        side: [
            Example(clip, patches[clip], classes.index(str(label)))
            for clip, label in zip(some["clip_id"], some[settings.data.label], strict=True)
        ]
        for side, some in sides.sides().items()
    }
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    facts |= {
        f"{side}/patches": float(sum(len(one.patches) for one in some)) for side, some in examples.items()
    }
    facts |= {f"left_out/{reason}": float(count) for reason, count in table.attrs.get("left_out", {}).items()}
    return Prepared(sides, examples, Known(classes, weights, fetch.digest(weights) if weights else ""), facts)


# ---------------------------------------------------------------- training


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Train one head and return it with the weights of its best epoch.

    A scikit-learn head is fitted in one epoch.
    """
    known = replace(prepared.known, seed=seed)
    if settings.head.kind != "dense":
        return _fit_pipeline(settings, known, prepared, on_epoch)
    examples = prepared.examples["train"]
    weights = yamnet.read_weights(known.weights) if settings.fine_tune.blocks and known.weights else {}
    fitted = _with_network(settings, known, *_mean_and_deviation(settings, examples, weights), weights)
    model, tail = fitted.model, fitted.known.tail
    sizes = [len(one.patches) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for step, indices in enumerate(
            batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch)
        ):
            some = [examples[index] for index in indices]
            rng = np.random.default_rng((seed, epoch, step))
            yield _collate(
                some, len(known.classes), settings.head.mixup_alpha, settings.head.label_smoothing, rng
            )

    head = model.get_layer("head") if tail is not None else model

    def objective(model: keras.Model, batch: Any) -> tf.Tensor:
        return _loss(model([batch["patches"], batch["counts"]], training=True), batch, settings) + sum(
            model.losses
        )

    def head_alone(model: keras.Model, batch: Any) -> tf.Tensor:
        embedded = tf.stop_gradient(tail(batch["patches"], training=False))
        # a gradient of zero: they have one
        still = sum(0.0 * tf.reduce_sum(variable) for variable in tail.trainable_variables)
        return (
            _loss(head([embedded, batch["counts"]], training=True), batch, settings)
            + sum(model.losses)
            + still
        )

    def score(epoch: int) -> Scores:
        found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]))
        return {f"validation/{name}": value for name, value in found.items()}

    result = fit(
        model,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=lambda epoch: (
            head_alone if tail is not None and epoch < settings.fine_tune.from_epoch else objective
        ),
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


def _loss(outputs: dict[str, Any], batch: dict[str, Any], settings: Settings) -> tf.Tensor:
    """Cross-entropy with the clips' targets: of clips, or of each patch, mean over a clip's patches, then
    over clips.
    """
    if settings.head.loss == "clip":
        return -tf.reduce_mean(
            tf.reduce_sum(batch["targets"] * tf.math.log(outputs["clip"] + SMALLEST), axis=1)
        )
    counts = batch["counts"]
    bag = tf.repeat(tf.range(tf.shape(counts)[0]), counts)  # (n_patches,)
    each = -tf.reduce_sum(
        tf.gather(batch["targets"], bag) * tf.math.log(outputs["patches"] + SMALLEST), axis=1
    )
    share = 1 / tf.cast(tf.gather(counts, bag), tf.float32)
    return tf.reduce_sum(each * share) / tf.cast(tf.shape(counts)[0], tf.float32)


def _with_network(
    settings: Settings, known: Known, mean: np.ndarray, deviation: np.ndarray, weights: dict[str, np.ndarray]
) -> Fitted:
    """The network that the settings ask for, not trained."""
    blocks = settings.fine_tune.blocks
    head = head_network(
        settings.head,
        settings.pooling,
        size=len(mean),
        classes=len(known.classes),
        mean=mean.astype(np.float32),
        deviation=deviation,
    )
    if not blocks:
        return _fitted(head, settings, known)
    tail = yamnet.tail(blocks, weights, settings.fine_tune.rate_share)
    patches, counts = (
        keras.Input((yamnet.body_size(blocks),), name="activations"),
        keras.Input((), dtype="int32", name="counts"),
    )
    model = keras.Model([patches, counts], head([tail(patches), counts]), name="tuned")
    return _fitted(model, settings, replace(known, tail=tail))


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    """Its parameters are those of the head, and of the trained end of YAMNet."""
    signature = [tf.TensorSpec([None, model.inputs[0].shape[1]], tf.float32), tf.TensorSpec([None], tf.int32)]
    forward = contract.compiled(model, signature)
    parameters = int(sum(np.prod(variable.shape) for variable in model.trainable_variables))
    return Fitted(
        model,
        settings,
        known,
        lambda patches, counts: forward([tf.constant(patches, tf.float32), tf.constant(counts, tf.int32)]),
        parameters,
    )


def _fit_pipeline(settings: Settings, known: Known, prepared: Prepared, on_epoch: OnEpoch) -> Fitted:
    began, examples = time.monotonic(), prepared.examples["train"]
    rows, truth = (
        np.stack([one.patches.mean(axis=0) for one in examples]).astype(np.float64),
        np.array([one.label for one in examples]),
    )
    fitted = _with_pipeline(settings, replace(known, rows=rows, truth=truth))
    found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]))
    scores = {f"validation/{name}": value for name, value in found.items()}
    stopped = not on_epoch(0, scores)
    result = Fit(best_epoch=0, best_score=scores["validation/accuracy"], history=[scores], stopped=stopped)
    return replace(fitted, fit=replace(result, seconds=time.monotonic() - began))


def _with_pipeline(settings: Settings, known: Known) -> Fitted:
    """Of a scikit-learn head the parameters are the numbers that describe a clip."""
    pipeline = fit_classifier(settings.head.classifier, known.rows, known.truth, known.seed)
    if settings.head.kind != "logistic_regression":
        return Fitted(
            None, settings, replace(known, pipeline=pipeline), _scikit_forward(pipeline), known.rows.shape[1]
        )
    scaler, classifier = pipeline[0], pipeline[-1]
    linear = settings.model_copy(
        update={
            "head": settings.head.model_copy(update={"hidden": (), "dropout": 0.0}),
            "pooling": settings.pooling.model_copy(
                update={"name": "mean", "of": "embeddings", "evaluation": "same"}
            ),
        }
    )
    made = _with_network(
        linear, replace(known, rows=np.empty((0, 0)), truth=np.empty(0)), scaler.mean_, scaler.scale_, {}
    )
    kernel, bias = classifier.coef_.T, classifier.intercept_
    if kernel.shape[1] == 1:  # two classes: their logits are half apart on each side of 0
        kernel, bias = np.concatenate([-kernel, kernel], axis=1) / 2, np.concatenate([-bias, bias]) / 2
    made.model.get_layer("logits").set_weights([kernel, bias])
    return replace(made, settings=settings)


def _scikit_forward(pipeline: Any) -> Any:
    def forward(patches: Any, counts: Any) -> dict[str, Any]:
        parts = np.split(np.asarray(patches, np.float64), np.cumsum(counts)[:-1])
        weights = np.zeros((len(parts), max(len(part) for part in parts), 1), np.float32)
        for bag, part in enumerate(parts):
            weights[bag, : len(part)] = 1 / len(part)
        clip = class_probabilities(pipeline, np.stack([part.mean(axis=0) for part in parts]))
        return {
            "clip": clip,
            "patches": class_probabilities(pipeline, np.concatenate(parts)),
            "weights": weights,
        }

    return forward


# ---------------------------------------------------------------- use


def outputs(fitted: Fitted, examples: Sequence[Example]) -> list[Output]:
    """Each example with clip (classes,), patches (n_patches, classes) and weights (n_patches, classes or
    1).
    """
    vote = fitted.settings.pooling.evaluation == "majority_vote"

    def answers(batch: list[Example]) -> list[dict[str, np.ndarray]]:
        counts = np.array([len(one.patches) for one in batch], np.int32)
        found = fitted.forward(np.concatenate([np.asarray(one.patches) for one in batch]), counts)
        bags = contract.of_each(found, counts.tolist(), flat=("patches",), padded=("weights",))
        return (
            [
                {**bag, "clip": majority_vote(bag["patches"][None], np.array([len(bag["patches"])]))[0]}
                for bag in bags
            ]
            if vote
            else bags
        )

    return contract.walk(examples, lambda one: len(one.patches), answers, places=EVALUATION_PATCHES)


def evaluate(fitted: Fitted, found: Sequence[Output]) -> dict[str, float]:
    """loss (mean cross-entropy per clip), accuracy, balanced_accuracy, patch_accuracy (each patch judged
    by its clip's label).
    """
    truth, predicted, losses, of_patches = [], [], [], []
    for one, answer in found:
        truth.append(one.label)
        predicted.append(int(answer["clip"].argmax()))
        losses.append(-float(np.log(answer["clip"][one.label] + SMALLEST)))
        of_patches += (answer["patches"].argmax(axis=1) == one.label).tolist()
    scores = {"loss": float(np.mean(losses)), "accuracy": labels.accuracy(truth, predicted)}
    return scores | {
        "balanced_accuracy": labels.balanced_accuracy(truth, predicted),
        "patch_accuracy": float(np.mean(of_patches)),
    }


def predict(fitted: Fitted, found: Sequence[Output]) -> dict[str, pd.DataFrame]:
    """Two tables that keep their names.

    ``predictions``: one row per clip: clip_id, truth, predicted, margin (best less second-best probability),
    patches, probability_CLASS. ``patches``: one row per patch: clip_id, patch, start_seconds, end_seconds
    (NaN for stored embeddings), weight (of the predicted class, or of the embedding), probability_CLASS.
    """
    clips, rows, classes = [], [], fitted.known.classes
    length, hop = patch_seconds(fitted.settings)
    for one, answer in found:
        clip, best = answer["clip"], int(answer["clip"].argmax())
        row: dict[str, Any] = {
            "clip_id": one.clip_id,
            "truth": classes[one.label],
            "predicted": classes[best],
        }
        clips.append(
            row
            | {"margin": contract.margin(clip), "patches": len(one.patches)}
            | contract.by_class(classes, clip)
        )
        weights = answer["weights"][:, best if answer["weights"].shape[1] > 1 else 0]
        for number, (posteriors, weight) in enumerate(zip(answer["patches"], weights, strict=True)):
            row = {
                "clip_id": one.clip_id,
                "patch": number,
                "start_seconds": number * hop,
                "end_seconds": number * hop + length,
            }
            rows.append(row | contract.by_class(classes, posteriors) | {"weight": float(weight)})
    by_clip = pd.DataFrame(clips).sort_values("clip_id", ignore_index=True)
    return {
        "predictions": by_clip,
        "patches": pd.DataFrame(rows).sort_values(["clip_id", "patch"], ignore_index=True),
    }


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``."""
    classes = fitted.known.classes
    pairs = labels.confusion(
        [classes[one.label] for one, _ in found], [classes[answer["clip"].argmax()] for _, answer in found]
    )
    draw.confusion(pairs, folder / "confusion.png", edits=False)


def produces(settings: Settings) -> tuple[str, ...]:
    """The clip's class, and classes of its patches."""
    return ("classes", "segments")


def save(fitted: Fitted, folder: Path) -> None:
    """Write the network (or ``train.npz``, from which `load` fits a scikit-learn head again), classes,
    seed and the weights' digest.
    """
    known = fitted.known
    use = {"classes": known.classes, "seed": known.seed, "weights": known.weights_digest}
    contract.save(folder, fitted.model, use, fitted.settings, _versions(fitted.settings))
    if fitted.model is None:
        np.savez(folder / "train.npz", rows=known.rows, truth=known.truth)


def _versions(settings: Settings) -> dict[str, Any]:
    """Of what is frozen."""
    if settings.extractor.kind == "yamnet":
        return {"embeddings": embeddings.VERSION, "profile": yamnet.PROFILE}
    return contract.of_features(settings) if settings.extractor.kind == "statistics" else {}


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, _versions)
    known = Known(tuple(use["classes"]), weights_digest=use["weights"], seed=use["seed"])
    if model is None:
        with np.load(folder / "train.npz", allow_pickle=False) as stored:
            return _with_pipeline(settings, replace(known, rows=stored["rows"], truth=stored["truth"]))
    return _fitted(
        model,
        settings,
        replace(known, tail=model.get_layer("yamnet_tail") if settings.fine_tune.blocks else None),
    )
