"""Multiple instances: a clip's label from its windows, one network on every window, one pooling, one loss per
clip.

Conventions: classes are the sorted labels of the train side. With several labels per clip (tags) each class
has a probability of its own, pooled class by class. A window table never leaves its clip's id: predictions
are built from the same `Example` records that made the batch, in one order. Starts and ends of windows are
seconds on the frame grid.

Contents: the functions of `contract.Family`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl import pictures as draw
from audiomtl.data import catalog, fetch, item_weights, protocols, scaling, splits
from audiomtl.data.class_weights import class_weights
from audiomtl.data.normalization import Normal
from audiomtl.data.pipeline import batch_order
from audiomtl.data.scaling import Scaler
from audiomtl.data.tags import classes_of, target
from audiomtl.families import contract
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.families.mil.examples import (
    Example,
    _bands,
    _collate,
    _examples,
    _leaky,
    _length,
    training_batch,
    window_seconds,
    with_variants,
)
from audiomtl.families.mil.losses import clip_loss, tag_loss, window_loss, window_tag_loss
from audiomtl.families.mil.network import mil_network
from audiomtl.families.mil.settings import EMBEDDINGS, Settings
from audiomtl.metrics import labels
from audiomtl.nn import losses, tags, yamnet, yamnet_store
from audiomtl.nn.fit import Checkpoint, OnEpoch, Scores, fit
from audiomtl.nn.pooling import majority_vote

EVALUATION_WINDOWS = 512  # of a batch that is only scored; a clip is never cut in two


@dataclass(frozen=True)
class Known:
    """State fitted on the train split."""

    classes: tuple[str, ...]
    scaler: Scaler
    weights_digest: str = ""  # of YAMNet's file, where the windows are its patches
    normals: Mapping[str, Normal] = field(default_factory=dict)  # of new recordings, see `use.adapted`


# ---------------------------------------------------------------- data


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split whole clips first, then features and windows; scaler and classes from train only.

    Raises
    ------
    UserError : what `protocols.divide` or `item_weights` refuses; a clip without a window; arrays that do
        not fit the settings.
    """
    table = catalog.clips(settings.data)
    leaky, label = settings.protocol.leaky, settings.data.label
    divided = None if leaky else protocols.divide(table, settings.data, settings.protocol, seed)
    train = table if divided is None else divided.train
    weights = item_weights.of_train(table, train, settings.item_weight, label)
    examples = dict(zip(table["clip_id"], _examples(table, settings), strict=True))
    if divided is None:
        sides, chosen = _leaky(table, examples, settings, seed)
    else:
        sides = divided
        chosen = {side: [examples[clip] for clip in rows["clip_id"]] for side, rows in sides.sides().items()}
    classes = classes_of(sides.train[label])
    for side, rows in sides.sides().items():
        known = [target(value, classes) for value in rows[label]]
        chosen[side] = [replace(one, label=value) for one, value in zip(chosen[side], known, strict=True)]
    chosen["train"] = [replace(one, weight=weights.get(one.clip_id)) for one in chosen["train"]]
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    facts |= {f"{side}/windows": float(sum(len(one.first) for one in some)) for side, some in chosen.items()}
    facts |= {f"left_out/{reason}": float(count) for reason, count in table.attrs.get("left_out", {}).items()}
    scaler = scaling.fit((one.frames for one in chosen["train"]), settings.features.scaling)
    chosen["train"] = with_variants(chosen["train"], sides.train, settings)
    pretrained = settings.network.window == "yamnet"
    digest = fetch.digest(fetch.weights(settings.network.weights)) if pretrained else ""
    return Prepared(sides, chosen, Known(classes, scaler, digest), facts)


# ---------------------------------------------------------------- training


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Train one network and return it with the weights of its best epoch."""
    examples, known, length = prepared.examples["train"], prepared.known, _length(settings)
    model = mil_network(
        settings.network,
        settings.pooling,
        bands=_bands(settings, [examples[0].frames]),
        frames=length,
        classes=len(known.classes),
        several=_several(settings),
    )
    sizes = [min(len(one.first), settings.windows.bag_windows or len(one.first)) for one in examples]

    def batches(epoch: int) -> Iterator[dict[str, Any]]:
        for indices in batch_order(sizes, settings.training.batch_size, seed=seed, epoch=epoch):
            yield training_batch(
                examples,
                indices.tolist(),
                known.scaler,
                settings,
                classes=len(known.classes),
                seed=seed,
                epoch=epoch,
            )

    both = (tag_loss, window_tag_loss) if _several(settings) else (clip_loss, window_loss)
    of_outputs = both[("clip", "window").index(settings.network.loss)]

    of_class: Any = None
    if settings.class_weights == "balanced":
        of_class = tf.constant(class_weights([one.label for one in examples], len(known.classes)))

    def objective(model: keras.Model, batch: Any) -> tf.Tensor:
        answers = model([batch["windows"], batch["counts"]], training=True)
        return of_outputs(answers, batch, of_class) + sum(model.losses)

    fitted = _fitted(model, settings, known)

    def score(epoch: int) -> Scores:
        found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]), every_score=False)
        return {f"validation/{name}": value for name, value in found.items()}

    result = fit(
        model,
        optimizer=settings.optimizer,
        training=settings.training,
        batches=batches,
        loss=lambda epoch: objective,
        score=score,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return replace(fitted, fit=result)


# ---------------------------------------------------------------- use


def outputs(fitted: Fitted, examples: Sequence[Example]) -> list[Output]:
    """Each example with clip (classes,), windows and weights (n_windows, classes)."""
    length, vote = _length(fitted.settings), fitted.settings.pooling.evaluation == "majority_vote"

    def answers(batch: list[Example]) -> list[dict[str, np.ndarray]]:
        made = _collate(batch, [np.arange(len(one.first)) for one in batch], fitted.known.scaler, length)
        found = fitted.forward([tf.constant(made["windows"]), tf.constant(made["counts"])])
        wanted = ("clip", "windows", "weights", "clip_logits")  # models of earlier versions lack the last
        found = {name: found[name] for name in wanted if name in found}
        bags = contract.of_each(found, made["counts"], flat=("windows",), padded=("weights",))
        return [_voted(bag, voted(bag["windows"])) for bag in bags] if vote else bags

    def voted(windows: np.ndarray) -> np.ndarray:
        if _several(fitted.settings):
            return tags.majority_vote(windows)
        return majority_vote(windows[None], np.array([len(windows)]))[0]

    return contract.walk(examples, lambda one: len(one.first), answers, places=EVALUATION_WINDOWS)


def _voted(bag: dict[str, np.ndarray], clip: np.ndarray) -> dict[str, np.ndarray]:
    """A vote has no logits."""
    return {name: value for name, value in bag.items() if name != "clip_logits"} | {"clip": clip}


def _several(settings: Settings) -> bool:
    return settings.data.labels == "several"


def evaluate(fitted: Fitted, found: Sequence[Output], *, every_score: bool = True) -> dict[str, float]:
    """Scores over a whole split; of tags those of `tags.evaluate`, of one class per clip:

    loss (mean per clip), accuracy, balanced_accuracy, window_accuracy (each window judged by its clip's
    label), and where passages are known, the mean over clips of average precision and area under ROC of
    finding their windows, by the pooling's weights and by the probabilities of the true class
    (``evidence_weight_...``, ``evidence_probability_...``).
    """
    if _several(fitted.settings):
        rows = [
            np.stack(part)
            for part in zip(*((one.label, answer["clip"]) for one, answer in found), strict=True)
        ]
        logits = [answer["clip_logits"] for _, answer in found if "clip_logits" in answer]
        return tags.evaluate(
            rows[0],
            rows[1],
            fitted.known.classes,
            logits=np.stack(logits) if logits else None,
            every_score=every_score,
        )
    truth, predicted, window_truth, window_predicted = [], [], [], []
    of_evidence: dict[str, list[float]] = {}
    for one, answer in found:
        truth.append(one.label)
        predicted.append(int(answer["clip"].argmax()))
        window_truth += [one.label] * len(one.first)
        window_predicted += answer["windows"].argmax(axis=1).tolist()
        evidence = _evidence(one, fitted.settings)
        if evidence is not None and 0 < evidence.sum() < len(evidence):
            for name, values in (("weight", answer["weights"]), ("probability", answer["windows"])):
                own = values[:, one.label]
                of_evidence.setdefault(f"evidence_{name}_precision", []).append(
                    labels.average_precision(evidence, own)
                )
                of_evidence.setdefault(f"evidence_{name}_auc", []).append(labels.roc_auc(evidence, own))
    scores = {"loss": losses.mean_of_clips(found), "accuracy": labels.accuracy(truth, predicted)}
    scores["balanced_accuracy"] = labels.balanced_accuracy(truth, predicted)
    scores["window_accuracy"] = labels.accuracy(window_truth, window_predicted)
    return scores | {name: float(np.mean(values)) for name, values in sorted(of_evidence.items())}


def predict(fitted: Fitted, found: Sequence[Output]) -> dict[str, pd.DataFrame]:
    """Two tables that keep their names.

    ``predictions``: one row per clip: clip_id, truth, predicted, margin (best less second-best probability),
    windows, probability_CLASS. ``windows``: one row per window: clip_id, window, start_seconds, end_seconds
    (NaN for stored embeddings), weight (of the predicted class), evidence (where passages are known),
    probability_CLASS. Of tags truth and predicted are lists, there is no margin, and weight is that of the
    most probable class.
    """
    clips, rows, classes = [], [], fitted.known.classes
    step, seconds = window_seconds(fitted.settings)
    for one, answer in found:
        clip, best = answer["clip"], int(answer["clip"].argmax())
        row: dict[str, Any] = {"clip_id": one.clip_id}
        if _several(fitted.settings):
            row |= tags.predicted(one.label, clip, classes)
        else:
            row |= {"truth": classes[one.label], "predicted": classes[best], "margin": contract.margin(clip)}
        clips.append(row | {"windows": len(one.first)} | contract.by_class(classes, clip))
        evidence = _evidence(one, fitted.settings)
        for number, first in enumerate(one.first):
            row = {
                "clip_id": one.clip_id,
                "window": number,
                "start_seconds": first * step,
                "end_seconds": first * step + seconds,
            }
            row["weight"] = float(answer["weights"][number, best])
            if evidence is not None:
                row["evidence"] = bool(evidence[number])
            rows.append(row | contract.by_class(classes, answer["windows"][number]))
    by_clip = pd.DataFrame(clips).sort_values("clip_id", ignore_index=True)
    return {
        "predictions": by_clip,
        "windows": pd.DataFrame(rows).sort_values(["clip_id", "window"], ignore_index=True),
    }


def _evidence(one: Example, settings: Settings) -> np.ndarray | None:
    """Which windows lie in the passages for at least half of their length; None where passages are not
    known.
    """
    if one.passages is None or settings.network.window == "embedding":
        return None
    step, seconds = window_seconds(settings)
    start = one.first * step
    end = start + seconds
    inside = sum(
        (np.maximum(0, np.minimum(end, high) - np.maximum(start, low)) for low, high in one.passages),
        np.zeros(len(start)),
    )
    return inside >= 0.5 * (end - start)


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``confusion.png``, and the clips with the largest and least margin for the truth,
    ``evidence_best.png`` and ``_worst.png``; of tags ``average_precision.png``, and evidence for one tag of
    the clip with its largest and its least probability.
    """
    names = fitted.known.classes
    if _several(fitted.settings):
        _tag_pictures(fitted, found, folder)
        return
    pairs = labels.confusion(
        [names[one.label] for one, _ in found], [names[answer["clip"].argmax()] for _, answer in found]
    )
    draw.confusion(pairs, folder / "confusion.png", edits=False)
    if fitted.settings.network.window in EMBEDDINGS:
        return
    lead = [
        float(answer["clip"][one.label] - np.delete(answer["clip"], one.label).max()) for one, answer in found
    ]
    for name, (one, answer) in (
        ("best", found[int(np.argmax(lead))]),
        ("worst", found[int(np.argmin(lead))]),
    ):
        said = names[answer["clip"].argmax()]
        title = f"{one.clip_id}: {names[one.label]}, predicted {said} ({answer['clip'].max():.2f})"
        _draw_evidence(fitted, one, answer, one.label, title, folder / f"evidence_{name}.png")


def _tag_pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    names = fitted.known.classes
    truth = np.stack([one.label for one, _ in found])
    clips = np.stack([answer["clip"] for _, answer in found])
    draw.average_precisions(truth, clips, names, folder / "average_precision.png")
    places = np.argwhere(truth > 0)  # (n, 2): clip and tag
    if fitted.settings.network.window in EMBEDDINGS or not len(places):
        return
    order = np.argsort(-clips[truth > 0], kind="stable")
    for name, (clip, tag) in (("best", places[order[0]]), ("worst", places[order[-1]])):
        one, answer = found[clip]
        title = f"{one.clip_id}: {names[tag]} ({answer['clip'][tag]:.2f})"
        _draw_evidence(fitted, one, answer, int(tag), title, folder / f"evidence_{name}.png")


def _draw_evidence(
    fitted: Fitted, one: Example, answer: dict[str, np.ndarray], label: int, title: str, path: Path
) -> None:
    draw.evidence(
        np.asarray(one.frames),
        one.first,
        _length(fitted.settings),
        seconds_per_frame=fitted.settings.features.seconds_per_frame,
        weights=answer["weights"][:, label],
        probabilities=answer["windows"][:, label],
        passages=one.passages or (),
        title=title,
        path=path,
    )


def produces(settings: Settings) -> tuple[str, ...]:
    """The clip's class, and classes of its windows."""
    return ("classes", "segments")


def save(fitted: Fitted, folder: Path) -> None:
    """Write the network, classes and scaler."""
    known = fitted.known
    use = {"classes": known.classes, "scaler": scaling.to_json(known.scaler), "weights": known.weights_digest}
    contract.save(folder, fitted.model, use, fitted.settings, _versions(fitted.settings))


def _versions(settings: Settings) -> dict[str, Any]:
    if settings.network.window == "yamnet":
        return {"embeddings": yamnet_store.VERSION, "profile": yamnet.PROFILE}
    return {} if settings.network.window == "embedding" else contract.of_features(settings)


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, model = contract.load(folder, Settings, _versions)
    scaler, digest = scaling.from_json(use["scaler"]), use.get("weights", "")
    return _fitted(model, settings, Known(tuple(use["classes"]), scaler, digest))


def _fitted(model: keras.Model, settings: Settings, known: Known) -> Fitted:
    return Fitted(model, settings, known, contract.compiled(model), model.count_params())
