"""Baselines: scikit-learn on statistics of a clip's features, with the settings, protocols and records of
all other families.

Conventions: a clip is one row of numbers: of every feature (and of the zero-crossing rate) its mean,
deviation ... over the clip's frames. Rows are standardised by train's means and deviations. Classes are the
sorted labels of the train side; with several labels per clip each has a classifier of its own.

Contents: the functions of `contract.Family`; `rows_of`, `sounding`, `row_of`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl import pictures as draw
from audiomtl.data import audio, catalog, item_weights, normalization, protocols, splits
from audiomtl.data.normalization import Normal
from audiomtl.data.store import FeatureStore
from audiomtl.data.tags import classes_of, target
from audiomtl.families import contract
from audiomtl.families.baseline.settings import Settings
from audiomtl.families.contract import Fitted, Output, Prepared
from audiomtl.metrics import labels
from audiomtl.nn import tags
from audiomtl.nn.classifiers import (
    class_probabilities,
    fit_classifier,
    fit_tag_classifiers,
    load_rows,
    save_rows,
    tag_probabilities,
)
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch
from audiomtl.nn.losses import log_loss

OF: dict[str, Callable[..., Any]] = {
    "mean": np.mean,
    "deviation": np.std,
    "minimum": np.min,
    "maximum": np.max,
    "median": np.median,
    **{f"percentile_{share}": partial(np.percentile, q=share) for share in (5, 25, 75, 95)},
}


@dataclass(frozen=True, eq=False)
class Example:
    """One clip."""

    clip_id: str
    row: np.ndarray  # (n_numbers,) float64, not standardised
    label: Any  # number of the class; of tags (classes,), 0 and 1


@dataclass(frozen=True)
class Known:
    """State fitted on the train split.

    A fitted classifier knows what it was fitted on, from which `load` fits it again.
    """

    classes: tuple[str, ...]
    rows: np.ndarray  # (clips, n_numbers)
    truth: np.ndarray  # (clips,), of tags (clips, classes)
    seed: int
    item_weights: np.ndarray | None = None  # (clips,)
    normals: Mapping[str, Normal] = field(default_factory=dict)  # of new recordings, see `use.adapted`


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split first, then one row of numbers per clip.

    Raises
    ------
    UserError : what `protocols.divide` or `item_weights` refuses; a recording that cannot be read.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    weights = item_weights.of_train(table, sides.train, settings.item_weight, settings.data.label)
    classes = classes_of(sides.train[settings.data.label])
    rows = rows_of(table, settings)
    examples = {
        side: [
            Example(clip, rows[clip], target(label, classes))
            for clip, label in zip(some["clip_id"], some[settings.data.label], strict=True)
        ]
        for side, some in sides.sides().items()
    }
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    facts |= {f"left_out/{reason}": float(count) for reason, count in table.attrs.get("left_out", {}).items()}
    rows_of_train, truth = (
        np.stack([one.row for one in examples["train"]]),
        np.array([one.label for one in examples["train"]]),
    )
    own = np.array([weights[one.clip_id] for one in examples["train"]]) if weights else None
    return Prepared(sides, examples, Known(classes, rows_of_train, truth, seed, own), facts)


def rows_of(table: pd.DataFrame, settings: Settings, *, trained: bool = False) -> dict[str, np.ndarray]:
    """The numbers of each clip, by clip id.

    Parameters
    ----------
    trained : whether the clips are new ones of a trained model, which may lack features.normalize_by.
    """
    frames = FeatureStore(catalog.cache_folder() / "features").features(
        list(table["path"]), settings.features
    )
    normal = normalization.by_column(table, frames, settings.features.normalize_by, needed=not trained)
    rate = settings.features.sample_rate
    return {
        clip: row_of(one, own, settings, partial(audio.load, path, sample_rate=rate))
        for clip, one, own, path in zip(table["clip_id"], frames, normal, table["path"], strict=True)
    }


def sounding(frames: np.ndarray, settings: Settings) -> tuple[int, int]:
    """First frame, and the one behind the last, within ``statistics.trim_db`` of the clip's loudest; 0 and
    all frames without trimming.

    Parameters
    ----------
    frames : (n_frames, n_bands), not normalised. A frame's loudness is its greatest band; of cepstra the
        first, which is their sum, over the root of the number of bands.
    """
    chosen, least = settings.features, settings.statistics.trim_db
    if not least:
        return 0, len(frames)
    if chosen.kind == "mfcc":
        loudness = np.asarray(frames[:, 0]) / np.sqrt(chosen.bands)
    else:
        loudness = np.asarray(frames[:, : chosen.bands_of_kind]).max(axis=1)
    heard = np.flatnonzero(loudness >= loudness.max() - least)
    return int(heard[0]), int(heard[-1]) + 1


def row_of(
    frames: np.ndarray, normal: np.ndarray, settings: Settings, waveform: Callable[[], np.ndarray]
) -> np.ndarray:
    """The numbers of one clip: (n_frames, n_bands) -> (n_numbers,).

    Parameters
    ----------
    frames : as they are extracted; normal : the same, normalised by the clip's group where that is asked for.
    waveform : gives the samples (n_samples,), which are needed for zero crossings only.
    """
    first, last = sounding(frames, settings)
    parts = [np.asarray(normal[first:last], np.float64)]
    if settings.statistics.deltas:
        parts.append(np.diff(parts[0], axis=0) if last - first > 1 else np.zeros_like(parts[0]))
    if settings.statistics.zero_crossings:
        y, hop = waveform(), settings.features.hop_samples
        parts.append(
            _zero_crossings(y[first * hop : last * hop] if settings.statistics.trim_db else y, settings)
        )
    return np.concatenate([OF[name](part, axis=0) for part in parts for name in settings.statistics.of])


def _zero_crossings(y: np.ndarray, settings: Settings) -> np.ndarray:  # (frames, 1)
    """Share of neighbouring samples whose signs differ, in windows of the features' length and hop."""
    size = min(settings.features.window_samples, len(y))
    if size < 2:
        return np.zeros((1, 1))
    changes = np.concatenate([[0], np.cumsum(np.signbit(y[1:]) != np.signbit(y[:-1]))])
    first = np.arange(0, len(y) - size + 1, settings.features.hop_samples)
    return ((changes[first + size - 1] - changes[first]) / (size - 1))[:, None]


def train(
    settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> Fitted:
    """Fit one classifier; reported as one epoch."""
    began = time.monotonic()
    fitted = _fitted(settings, replace(prepared.known, seed=seed))
    found = evaluate(fitted, outputs(fitted, prepared.examples["validation"]), every_score=False)
    scores = {f"validation/{name}": value for name, value in found.items()}
    stopped = not on_epoch(0, scores)
    main = "mean_average_precision" if settings.data.labels == "several" else "accuracy"
    result = Fit(best_epoch=0, best_score=scores[f"validation/{main}"], history=[scores], stopped=stopped)
    return replace(fitted, fit=replace(result, seconds=time.monotonic() - began))


def _fitted(settings: Settings, known: Known) -> Fitted:
    """The parameters are the numbers that describe a clip."""
    options: Any = {"balanced": settings.class_weights == "balanced", "weights": known.item_weights}
    given = (settings.classifier, known.rows, known.truth, known.seed)
    if settings.data.labels == "several":
        each = fit_tag_classifiers(*given, **options)
        return Fitted(each, settings, known, lambda rows: tag_probabilities(each, rows), known.rows.shape[1])
    pipeline = fit_classifier(*given, **options)
    return Fitted(
        pipeline, settings, known, lambda rows: class_probabilities(pipeline, rows), known.rows.shape[1]
    )


def outputs(fitted: Fitted, examples: Sequence[Example]) -> list[Output]:
    """Each example with its probabilities (classes,)."""
    return list(zip(examples, fitted.forward(np.stack([one.row for one in examples])), strict=True))


def evaluate(fitted: Fitted, found: Sequence[Output], *, every_score: bool = True) -> dict[str, float]:
    """loss (mean cross-entropy), accuracy, balanced_accuracy over a whole side; of tags those of
    `tags.evaluate`.
    """
    posteriors = np.stack([one for _, one in found])
    truth = np.array([one.label for one, _ in found])
    if fitted.settings.data.labels == "several":
        return tags.evaluate(truth, posteriors, fitted.known.classes, every_score=every_score)
    predicted = posteriors.argmax(axis=1)
    loss = float(np.mean(log_loss(posteriors[np.arange(len(truth)), truth])))
    return {
        "loss": loss,
        "accuracy": labels.accuracy(truth, predicted),
        "balanced_accuracy": labels.balanced_accuracy(truth, predicted),
    }


def predict(fitted: Fitted, found: Sequence[Output]) -> pd.DataFrame:
    """One row per clip: clip_id, truth, predicted, margin (best less second-best probability),
    probability_CLASS. Of tags truth and predicted are lists, and there is no margin.
    """
    classes, rows = fitted.known.classes, []
    for one, posteriors in found:
        if fitted.settings.data.labels == "several":
            said = tags.predicted(one.label, posteriors, classes)
            rows.append({"clip_id": one.clip_id} | said | contract.by_class(classes, posteriors))
            continue
        row = {"clip_id": one.clip_id, "truth": classes[one.label], "predicted": classes[posteriors.argmax()]}
        rows.append(row | {"margin": contract.margin(posteriors)} | contract.by_class(classes, posteriors))
    return pd.DataFrame(rows).sort_values("clip_id", ignore_index=True)


def pictures(fitted: Fitted, found: Sequence[Output], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``; of tags ``average_precision.png``."""
    if fitted.settings.data.labels == "several":
        truth, posteriors = np.stack([one.label for one, _ in found]), np.stack([row for _, row in found])
        draw.average_precisions(truth, posteriors, fitted.known.classes, folder / "average_precision.png")
        return
    table = predict(fitted, found)
    draw.confusion(
        labels.confusion(list(table["truth"]), list(table["predicted"])),
        folder / "confusion.png",
        edits=False,
    )


def produces(settings: Settings) -> tuple[str, ...]:
    return ("classes",)


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``train.npz`` (rows, labels and weights of train) and ``use.json``: no pickle.

    `load` fits again, to the same numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_rows(folder, fitted.known.rows, fitted.known.truth, fitted.known.item_weights)
    use = {"classes": fitted.known.classes, "seed": fitted.known.seed}
    contract.save(folder, None, use, fitted.settings, contract.of_features(fitted.settings))


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings, _ = contract.load(folder, Settings, contract.of_features)
    return _fitted(settings, Known(tuple(use["classes"]), **load_rows(folder), seed=use["seed"]))
