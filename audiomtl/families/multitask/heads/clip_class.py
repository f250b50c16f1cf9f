"""clip_class: the clip's class, by default that of data.label.

Scores: accuracy, balanced_accuracy, macro_f1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import LABEL, About, Answer
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_panel as panel
from audiomtl.families.multitask.heads import no_spans as spans
from audiomtl.metrics import labels
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
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=("accuracy", "balanced_accuracy", "macro_f1"),
    column=LABEL,
    produces="classes",
    per_clip=True,
    activation="softmax",
)


def classes(name: str, head: Any, train: "pd.DataFrame", settings: Any) -> tuple[str, ...]:
    return sorted_classes(name, train[head.reads(settings.data.label)])


def sorted_classes(name: str, column: "pd.Series[Any]") -> tuple[str, ...]:
    """The values of a column, sorted; two at least."""
    found = tuple(sorted(column.dropna().astype(str).unique()))
    if len(found) < 2:
        raise UserError(
            f"heads.{name}: every clip has the same class ({', '.join(found)}); at least two are needed"
        )
    return found


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    """Number of the class; -1 for one that no train clip has."""
    value = str(row[head.reads(settings.data.label)])
    return np.array(names.index(value) if value in names else -1, np.int32)


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return np.array([0 if value is None else value for value in targets], np.int32)


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


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Cross-entropy."""
    from audiomtl.families.multitask import losses

    return losses.over_clips(*losses.cross_entropy(outputs, target), weight)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    truth, said = [int(one.target) for one in answers], [int(one.output.argmax()) for one in answers]
    kinds = (labels.accuracy, labels.balanced_accuracy, labels.macro_f1)
    return {kind.__name__: kind(truth, said) for kind in kinds}


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``predictions``: HEAD_truth, HEAD_predicted, HEAD_margin (best less second-best probability),
    HEAD_probability_CLASS.
    """
    found, truth = answer.output, answer.target
    best = int(found.argmax())
    row: dict[str, Any] = {f"{name}_truth": names[int(truth)] if truth is not None and truth >= 0 else None}
    row |= {
        f"{name}_predicted": names[best],
        f"{name}_margin": float(found[best] - np.delete(found, best).max()),
    }
    row |= {f"{name}_probability_{label}": float(value) for label, value in zip(names, found, strict=True)}
    return {"predictions": [row]}


def picture(name: str, answers: Sequence[Answer], names: Sequence[str], folder: Path) -> None:
    """``confusion_HEAD.png``"""
    from audiomtl import pictures

    known = [one for one in answers if one.target is not None and one.target >= 0]
    truth, said = (
        [names[int(one.target)] for one in known],
        [names[int(one.output.argmax())] for one in known],
    )
    if known:
        pictures.confusion(
            labels.confusion(truth, said), folder / f"confusion_{safe_name(name)}.png", edits=False
        )
