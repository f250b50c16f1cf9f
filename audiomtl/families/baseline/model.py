"""Baselines: scikit-learn on statistics of a clip's features, under the settings, protocols and records of all other families.

Conventions: a clip is one row of numbers: of every feature (and of the zero-crossing rate) its mean, deviation ... over the clip's frames.
Rows are standardised by train's means and deviations. Classes are the sorted labels of the train side.

Contents: `prepare`, `train`, `evaluate`, `predict`, `save`, `load`, `pictures`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, catalog, protocols, splits
from audiomtl.data.store import FeatureStore
from audiomtl.families.baseline.settings import Settings
from audiomtl.metrics import labels
from audiomtl.nn import saved
from audiomtl.nn.classifiers import class_probabilities, fit_classifier
from audiomtl.nn.fit import Checkpoint, Fit, OnEpoch

OF: dict[str, Callable[..., Any]] = {"mean": np.mean, "deviation": np.std, "minimum": np.min, "maximum": np.max, "median": np.median}
SMALLEST = 1e-7  # added to a probability before its logarithm


@dataclass(frozen=True, eq=False)
class Example:
    """One clip."""

    clip_id: str
    row: np.ndarray  # (n_numbers,) float64, not standardised
    label: int


@dataclass(frozen=True)
class Prepared:
    splits: splits.Splits
    examples: dict[str, list[Example]]  # train, validation, test
    classes: tuple[str, ...]
    facts: dict[str, float]


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier, with what it was fitted on, from which `load` fits it again."""

    pipeline: Any  # scikit-learn: scaler and classifier
    settings: Settings
    classes: tuple[str, ...]
    rows: np.ndarray  # (clips, n_numbers) of train
    truth: np.ndarray  # (clips,)
    seed: int
    fit: Fit | None  # None when loaded from disk

    @property
    def parameters(self) -> int:
        """Numbers that a clip is described by."""
        return self.rows.shape[1]


def prepare(settings: Settings, seed: int) -> Prepared:
    """Split first, then one row of numbers per clip.

    Raises
    ------
    UserError : what `protocols.divide` refuses; a recording that cannot be read.
    """
    table = catalog.clips(settings.data)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    classes = tuple(sorted(sides.train[settings.data.label].astype(str).unique()))
    frames = FeatureStore(catalog.cache_folder() / "features").features(list(table["path"]), settings.features)
    rows = {clip: _row(one, path, settings) for clip, one, path in zip(table["clip_id"], frames, table["path"], strict=True)}
    examples = {
        side: [
            Example(clip, rows[clip], classes.index(str(label)))
            for clip, label in zip(some["clip_id"], some[settings.data.label], strict=True)
        ]
        for side, some in sides.sides().items()
    }
    facts = {name: float(value) for name, value in splits.describe(sides, settings.data.groups).items()}
    facts |= {f"left_out/{reason}": float(count) for reason, count in table.attrs.get("left_out", {}).items()}
    return Prepared(sides, examples, classes, facts)


def _row(frames: np.ndarray, path: str, settings: Settings) -> np.ndarray:
    parts = [np.asarray(frames, np.float64)]
    if settings.statistics.deltas:
        parts.append(np.diff(parts[0], axis=0) if len(frames) > 1 else np.zeros((1, frames.shape[1])))
    if settings.statistics.zero_crossings:
        parts.append(_zero_crossings(audio.load(path, sample_rate=settings.features.sample_rate), settings))
    return np.concatenate([OF[name](part, axis=0) for part in parts for name in settings.statistics.of])


def _zero_crossings(y: np.ndarray, settings: Settings) -> np.ndarray:  # (frames, 1)
    """Share of neighbouring samples whose signs differ, in windows of the features' length and hop."""
    size = min(settings.features.window_samples, len(y))
    if size < 2:
        return np.zeros((1, 1))
    changes = np.concatenate([[0], np.cumsum(np.signbit(y[1:]) != np.signbit(y[:-1]))])
    first = np.arange(0, len(y) - size + 1, settings.features.hop_samples)
    return ((changes[first + size - 1] - changes[first]) / (size - 1))[:, None]


def train(settings: Settings, prepared: Prepared, seed: int, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> Fitted:
    """Fit one classifier: one epoch, if anybody asks."""
    began, examples = time.monotonic(), prepared.examples["train"]
    rows, truth = np.stack([one.row for one in examples]), np.array([one.label for one in examples])
    fitted = Fitted(fit_classifier(settings.classifier, rows, truth, seed), settings, prepared.classes, rows, truth, seed, None)
    scores = {f"validation/{name}": value for name, value in evaluate(fitted, prepared.examples["validation"]).items()}
    stopped = not on_epoch(0, scores)
    result = Fit(best_epoch=0, best_score=scores["validation/accuracy"], history=[scores], stopped=stopped)
    return replace(fitted, fit=replace(result, seconds=time.monotonic() - began))


def _probabilities(fitted: Fitted, examples: Sequence[Example]) -> np.ndarray:  # (clips, classes)
    return class_probabilities(fitted.pipeline, np.stack([one.row for one in examples]))


def evaluate(fitted: Fitted, examples: Sequence[Example]) -> dict[str, float]:
    """loss (mean cross-entropy), accuracy, balanced_accuracy over a whole set."""
    shares, truth = _probabilities(fitted, examples), np.array([one.label for one in examples])
    predicted = shares.argmax(axis=1)
    loss = -float(np.mean(np.log(shares[np.arange(len(truth)), truth] + SMALLEST)))
    return {"loss": loss, "accuracy": labels.accuracy(truth, predicted), "balanced_accuracy": labels.balanced_accuracy(truth, predicted)}


def predict(fitted: Fitted, examples: Sequence[Example]) -> pd.DataFrame:
    """One row per clip: clip_id, truth, predicted, margin (best less second-best probability), probability_CLASS."""
    shares = _probabilities(fitted, examples)
    best = np.sort(shares, axis=1)
    table = pd.DataFrame({"clip_id": [one.clip_id for one in examples], "truth": [fitted.classes[one.label] for one in examples]})
    table["predicted"] = [fitted.classes[index] for index in shares.argmax(axis=1)]
    table["margin"] = best[:, -1] - best[:, -2]
    for name, column in zip(fitted.classes, shares.T, strict=True):
        table[f"probability_{name}"] = column
    return table.sort_values("clip_id", ignore_index=True)


def save(fitted: Fitted, folder: Path) -> None:
    """Write ``train.npz`` (rows and labels of train) and ``use.json``: no pickle; `load` fits again, to the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "train.npz", rows=fitted.rows, truth=fitted.truth)
    saved.write(folder, {"classes": fitted.classes, "seed": fitted.seed}, fitted.settings, saved.of_features)


def load(folder: Path) -> Fitted:
    """Read what `save` wrote."""
    use, settings = saved.read(folder, Settings, saved.of_features)
    with np.load(folder / "train.npz", allow_pickle=False) as stored:
        rows, truth = stored["rows"], stored["truth"]
    return Fitted(
        fit_classifier(settings.classifier, rows, truth, use["seed"]), settings, tuple(use["classes"]), rows, truth, use["seed"], None
    )


def pictures(fitted: Fitted, examples: Sequence[Example], folder: Path) -> None:
    """Draw ``confusion.png`` into ``folder``."""
    from audiomtl import pictures as draw

    table = predict(fitted, examples)
    draw.confusion(labels.confusion(list(table["truth"]), list(table["predicted"])), folder / "confusion.png", edits=False)
