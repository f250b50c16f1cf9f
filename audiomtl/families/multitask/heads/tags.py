"""tags: any number of classes of the clip, by default those of data.label (with data.labels = "several").

The output is logits (clips, classes), one per class. Scores: mean_average_precision, roc_auc, macro_f1 (means
over the classes that can be scored); with every score average_precision_CLASS and roc_auc_CLASS.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.data.tags import THRESHOLD, as_tags, classes_of, held
from audiomtl.data.tags import target as row_of
from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import LABEL, About, Answer
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_panel as panel
from audiomtl.families.multitask.heads import no_spans as spans
from audiomtl.metrics import tags
from audiomtl.names import safe_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ABOUT",
    "batch",
    "classes",
    "loss",
    "output",
    "panel",
    "picture",
    "probabilities",
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=("mean_average_precision", "roc_auc", "macro_f1"), column=LABEL, produces="classes", per_clip=True
)


def classes(name: str, head: Any, train: "pd.DataFrame", settings: Any) -> tuple[str, ...]:
    column = train[head.reads(settings.data.label)]
    found = classes_of(_cell(name, clip, value) for clip, value in zip(train["clip_id"], column, strict=True))
    if not found:
        raise UserError(f"heads.{name}: no train clip has a tag; at least one is needed")
    return found


def _cell(name: str, clip: Any, value: Any) -> tuple[str, ...]:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ()  # not known
    try:
        return as_tags(value)
    except ValueError as error:
        raise UserError(f"heads.{name}: clip {clip} has {value!r}: {error}") from None


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    """(classes,) 0 and 1; a tag that no train clip has is left out."""
    return row_of(_cell(name, row["clip_id"], row[head.reads(settings.data.label)]), names)


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return np.stack([np.zeros(classes, np.float32) if value is None else value for value in targets])


def output(
    layer: str,
    steps: Any,
    lengths: Any,
    *,
    classes: int,
    bands: int,
    stride: int,
    text: Any = None,
    keys: Any = None,
) -> Any:
    from keras import layers

    from audiomtl.nn.masking import MeanOverSteps

    return layers.Dense(classes, name=layer)(MeanOverSteps(stride)([steps, lengths]))


def probabilities(output: np.ndarray) -> np.ndarray:
    """Of each class, from logits."""
    from scipy.special import expit

    return expit(np.asarray(output, np.float64))


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Binary cross-entropy, mean over classes; a target that is neither 0 nor 1 is the weight of a tag that
    the clip has.
    """
    import tensorflow as tf

    from audiomtl.families.multitask import losses
    from audiomtl.nn.tags import loss_of_logits

    held = tf.cast(target > 0, tf.float32)
    each = loss_of_logits(outputs, held, tf.where(target > 0, target, 1.0))
    return losses.over_clips(each, tf.ones_like(each), weight)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    truth = np.stack([one.target for one in answers])
    found = np.stack([probabilities(one.output) for one in answers])
    return tags.scores(truth, found, names, threshold=THRESHOLD, every_score=every_score)


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``predictions``: HEAD_truth and HEAD_predicted, lists of classes, HEAD_probability_CLASS."""
    found, truth = probabilities(answer.output), answer.target
    row: dict[str, Any] = {f"{name}_truth": None if truth is None else held(names, truth)}
    row[f"{name}_predicted"] = held(names, found)
    row |= {f"{name}_probability_{label}": float(value) for label, value in zip(names, found, strict=True)}
    return {"predictions": [row]}


def picture(name: str, answers: Sequence[Answer], names: Sequence[str], folder: Path) -> None:
    """``average_precision_HEAD.png``"""
    from audiomtl import pictures

    known = [one for one in answers if one.target is not None]
    if known:
        truth = np.stack([one.target for one in known])
        found = np.stack([probabilities(one.output) for one in known])
        pictures.average_precisions(truth, found, names, folder / f"average_precision_{safe_name(name)}.png")
