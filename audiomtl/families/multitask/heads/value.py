"""value: a number of the clip, whose column must be named. Scores: absolute_error."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import About, Answer
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_classes as classes
from audiomtl.families.multitask.heads import no_panel as panel
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads import no_spans as spans

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

ABOUT = About(scores=("absolute_error",), minimized=("absolute_error",), produces="values", per_clip=True)


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    value = row[head.column]
    if not isinstance(value, int | float | np.number):
        raise UserError(
            f"heads.{name}: clip {row['clip_id']} has {head.column} = {value!r}; a head of kind value needs"
            " a number"
        )
    return np.array(value, np.float32)


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return np.array([0 if value is None else value for value in targets], np.float32)


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

    return layers.Dense(1, name=layer)(MeanOverSteps(stride)([steps, lengths]))


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Squared error."""
    import tensorflow as tf

    from audiomtl.families.multitask import losses

    each = (outputs[:, 0] - target) ** 2
    return losses.over_clips(each, tf.ones_like(each), weight)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    return {
        "absolute_error": float(np.mean([abs(float(one.output[0]) - float(one.target)) for one in answers]))
    }


def rows(
    name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """``predictions``: HEAD_truth, HEAD_predicted."""
    truth = None if answer.target is None else float(answer.target)
    return {"predictions": [{f"{name}_truth": truth, f"{name}_predicted": float(answer.output[0])}]}
