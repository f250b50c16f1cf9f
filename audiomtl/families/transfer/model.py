"""Transfer: a clip's label from the patches of a pretrained network, frozen or partly fine-tuned.

Conventions: classes are the sorted labels of the train side. A clip is a bag of patches, each a row of
numbers that what is frozen has computed once and stored: YAMNet's embeddings, what enters its last blocks
where those are trained on, or statistics of features for comparison. Seconds of a patch are those of the
waveform. A scikit-learn head sees the mean over a clip's patches; logistic regression becomes a dense layer
with its numbers, so that it can be exported like the others. With several labels per clip (tags) each class
has a probability, or a classifier, of its own.

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
from audiomtl.data import catalog, fetch, item_weights, protocols, splits
from audiomtl.data.class_weights import class_weights
from audiomtl.data.pipeline import batch_order
from audiomtl.data.tags import classes_of, target
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.transfer import scikit
from audiomtl.families.transfer.examples import Example, _collate, _mean_and_deviation
from audiomtl.families.transfer.head import head_network
from audiomtl.families.transfer.losses import loss
from audiomtl.families.transfer.patches import patch_seconds, patches_of, share_of
from audiomtl.families.transfer.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn import losses, tags, yamnet, yamnet_store
from audiomtl.nn.classifiers import load_rows, save_rows
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch, Scores, fit
from audiomtl.nn.pooling import majority_vote

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
    item_weights: np.ndarray | None = None  # (clips,)


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips, then what is frozen, once per clip.

    Raises
    ------
    UserError : what `protocols.divide` or `item_weights` refuses; a recording that cannot be read; weights or
        arrays that do not fit.
    MissingData : YAMNet's weights are not on this machine.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    classes = classes_of(sides.train[settings.data.label])
    if len(classes) < 2 and not _several(settings):
        raise UserError(
            f'data.label = "{settings.data.label}": every clip has the same class ({", ".join(classes)}); at'
            " least two are needed"
        )
    sides = replace(sides, train=share_of(sides.train, settings, seed))
    own = item_weights.of_train(table, sides.train, settings.item_weight, settings.data.label)
    weights = fetch.weights(settings.extractor.weights) if settings.extractor.kind == "yamnet" else None
    patches = dict(zip(table["clip_id"], patches_of(table, settings, weights), strict=True))
    examples = {
        side: [
            Example(clip, patches[clip], target(label, classes), own.get(clip))
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
    balanced = settings.class_weights == "balanced"
    of_class = class_weights([one.label for one in examples], len(known.classes)) if balanced else None

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for step, indices in enumerate(
            batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch)
        ):
            some = [examples[index] for index in indices]
            rng = np.random.default_rng((seed, epoch, step))
            batch = _collate(
                some, len(known.classes), settings.head.mixup_alpha, settings.head.label_smoothing, rng
            )
            # a target of 2 counts twice in the cross-entropy
            if of_class is not None:
                batch |= (
                    {"positive": of_class} if _several(settings) else {"targets": batch["targets"] * of_class}
                )
            yield batch

    head = model.get_layer("head") if tail is not None else model

    def objective(model: keras.Model, batch: Any) -> tf.Tensor:
        return loss(model([batch["patches"], batch["counts"]], training=True), batch, settings) + sum(
            model.losses
        )

    def head_alone(model: keras.Model, batch: Any) -> tf.Tensor:
        embedded = tf.stop_gradient(tail(batch["patches"], training=False))
        # a gradient of zero: they have one
        still = sum(0.0 * tf.reduce_sum(variable) for variable in tail.trainable_variables)
        return (
            loss(head([embedded, batch["counts"]], training=True), batch, settings)
            + sum(model.losses)
            + still
        )

    def score(epoch: int) -> Scores:
        found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]), every_score=False)
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
        several=_several(settings),
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
    weights = np.array([one.weight for one in examples]) if examples[0].weight is not None else None
    fitted = _with_pipeline(settings, replace(known, rows=rows, truth=truth, item_weights=weights))
    found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]), every_score=False)
    scores = {f"validation/{name}": value for name, value in found.items()}
    stopped = not on_epoch(0, scores)
    main = "mean_average_precision" if _several(settings) else "accuracy"
    result = Fit(best_epoch=0, best_score=scores[f"validation/{main}"], history=[scores], stopped=stopped)
    return replace(fitted, fit=replace(result, seconds=time.monotonic() - began))


def _with_pipeline(settings: Settings, known: Known) -> Fitted:
    """Of a scikit-learn head the parameters are the numbers that describe a clip."""
    several = _several(settings)
    options: Any = {"balanced": settings.class_weights == "balanced", "weights": known.item_weights}
    given = (settings.head.classifier, known.rows, known.truth, known.seed)
    pipeline = scikit.fitted(*given, several=several, **options)
    if settings.head.kind != "logistic_regression":
        forward = scikit.forward(pipeline, several=several)
        return Fitted(None, settings, replace(known, pipeline=pipeline), forward, known.rows.shape[1])
    linear = settings.model_copy(
        update={
            "head": settings.head.model_copy(update={"hidden": (), "dropout": 0.0}),
            "pooling": settings.pooling.model_copy(
                update={"name": "mean", "of": "embeddings", "evaluation": "same"}
            ),
        }
    )
    mean, deviation, kernel, bias = scikit.linear(pipeline, known.rows)
    made = _with_network(
        linear, replace(known, rows=np.empty((0, 0)), truth=np.empty(0)), mean, deviation, {}
    )
    made.model.get_layer("logits").set_weights([kernel, bias])
    return replace(made, settings=settings)


def _several(settings: Settings) -> bool:
    return settings.data.labels == "several"


# ---------------------------------------------------------------- use


def outputs(fitted: Fitted, examples: Sequence[Example]) -> list[Output]:
    """Each example with clip (classes,), patches (n_patches, classes) and weights (n_patches, classes or
    1).
    """
    vote = fitted.settings.pooling.evaluation == "majority_vote"

    def answers(batch: list[Example]) -> list[dict[str, np.ndarray]]:
        counts = np.array([len(one.patches) for one in batch], np.int32)
        found = fitted.forward(np.concatenate([np.asarray(one.patches) for one in batch]), counts)
        wanted = ("clip", "patches", "weights", "clip_logits")  # not all models have the last
        found = {name: found[name] for name in wanted if name in found}
        bags = contract.of_each(found, counts.tolist(), flat=("patches",), padded=("weights",))
        return [_voted(bag, voted(bag["patches"])) for bag in bags] if vote else bags

    def voted(patches: np.ndarray) -> np.ndarray:
        if _several(fitted.settings):
            return tags.majority_vote(patches)
        return majority_vote(patches[None], np.array([len(patches)]))[0]

    return contract.walk(examples, lambda one: len(one.patches), answers, places=EVALUATION_PATCHES)


def _voted(bag: dict[str, np.ndarray], clip: np.ndarray) -> dict[str, np.ndarray]:
    """A vote has no logits."""
    return {name: value for name, value in bag.items() if name != "clip_logits"} | {"clip": clip}


def evaluate(fitted: Fitted, found: Sequence[Output], *, every_score: bool = True) -> dict[str, float]:
    """loss (mean cross-entropy per clip), accuracy, balanced_accuracy, patch_accuracy (each patch judged
    by its clip's label); of tags the scores of `tags.evaluate`.
    """
    if _several(fitted.settings):
        logits = [answer["clip_logits"] for _, answer in found if "clip_logits" in answer]
        return tags.evaluate(
            *_rows(found),
            fitted.known.classes,
            logits=np.stack(logits) if logits else None,
            every_score=every_score,
        )
    truth, predicted, of_patches = [], [], []
    for one, answer in found:
        truth.append(one.label)
        predicted.append(int(answer["clip"].argmax()))
        of_patches += (answer["patches"].argmax(axis=1) == one.label).tolist()
    scores = {"loss": losses.mean_of_clips(found), "accuracy": labels.accuracy(truth, predicted)}
    return scores | {
        "balanced_accuracy": labels.balanced_accuracy(truth, predicted),
        "patch_accuracy": float(np.mean(of_patches)),
    }


def _rows(found: Sequence[Output]) -> tuple[np.ndarray, np.ndarray]:
    """Tags and probabilities of all clips, (clips, classes)."""
    return np.stack([one.label for one, _ in found]), np.stack([answer["clip"] for _, answer in found])


def predict(fitted: Fitted, found: Sequence[Output]) -> dict[str, pd.DataFrame]:
    """Two tables that keep their names.

    ``predictions``: one row per clip: clip_id, truth, predicted, margin (best less second-best probability),
    patches, probability_CLASS. ``patches``: one row per patch: clip_id, patch, start_seconds, end_seconds
    (NaN for stored embeddings), weight (of the predicted class, or of the embedding), probability_CLASS. Of
    tags truth and predicted are lists, there is no margin, and weight is that of the most probable class.
    """
    clips, rows, classes = [], [], fitted.known.classes
    length, hop = patch_seconds(fitted.settings)
    for one, answer in found:
        clip, best = answer["clip"], int(answer["clip"].argmax())
        row: dict[str, Any] = {"clip_id": one.clip_id}
        if _several(fitted.settings):
            row |= tags.predicted(one.label, clip, classes)
        else:
            row |= {"truth": classes[one.label], "predicted": classes[best], "margin": contract.margin(clip)}
        clips.append(row | {"patches": len(one.patches)} | contract.by_class(classes, clip))
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
    """Draw ``confusion.png`` into ``folder``; of tags ``average_precision.png``."""
    classes = fitted.known.classes
    if _several(fitted.settings):
        draw.average_precisions(*_rows(found), classes, folder / "average_precision.png")
        return
    pairs = labels.confusion(
        [classes[one.label] for one, _ in found], [classes[answer["clip"].argmax()] for _, answer in found]
    )
    draw.confusion(pairs, folder / "confusion.png", edits=False)


def produces(settings: Settings) -> tuple[str, ...]:
    """The clip's class, and classes of its patches."""
    return ("classes", "segments")


def save(fitted: Fitted, folder: Path) -> None:
    """Write the network (or ``train.npz``, from which `load` fits a scikit-learn head again), classes,
    seed and the digest of YAMNet's weights.
    """
    known = fitted.known
    use = {"classes": known.classes, "seed": known.seed, "weights": known.weights_digest}
    contract.save(folder, fitted.model, use, fitted.settings, _versions(fitted.settings))
    if fitted.model is None:
        save_rows(folder, known.rows, known.truth, known.item_weights)


def _versions(settings: Settings) -> dict[str, Any]:
    """Of what is frozen."""
    if settings.extractor.kind == "yamnet":
        return {"embeddings": yamnet_store.VERSION, "profile": yamnet.PROFILE}
    return contract.of_features(settings) if settings.extractor.kind == "statistics" else {}


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, _versions)
    known = Known(tuple(use["classes"]), weights_digest=use["weights"], seed=use["seed"])
    if model is None:
        return _with_pipeline(settings, replace(known, **load_rows(folder)))
    return _fitted(
        model,
        settings,
        replace(known, tail=model.get_layer("yamnet_tail") if settings.fine_tune.blocks else None),
    )
