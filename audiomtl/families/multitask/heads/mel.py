"""mel: features of another recording, such as the clean voice of a mix (``column = "vocals_path"``).

Scores: l1, in the scaled features' units.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from audiomtl.data import scaling
from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import About, Answer
from audiomtl.families.multitask.heads import no_classes as classes
from audiomtl.families.multitask.heads import no_panel as panel
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads import no_rows as rows
from audiomtl.families.multitask.heads import no_spans as spans
from audiomtl.families.multitask.steps import stacked

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

ABOUT = About(scores=("l1",), minimized=("l1",), column="path", reads_recording=True)


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Callable[[str], np.ndarray | None],
) -> np.ndarray | None:
    """Frames of the other recording (n_frames, bands), not scaled."""
    other = frames_of(head.reads(""))
    if other is not None and len(other) != n_frames:
        raise UserError(
            f"heads.{name}: clip {row['clip_id']} has {n_frames} frames, its {head.reads('')} {len(other)}:"
            " the numbers of frames must be equal"
        )
    return other


def scaled(target: np.ndarray | None, scaler: Any, settings: Any) -> np.ndarray | None:
    """Scaled frames, averaged over each step: (n_steps, bands)."""
    if target is None:
        return None
    firsts = np.arange(0, len(target), settings.stride)
    sums = np.add.reduceat(scaling.apply(target, scaler), firsts, axis=0)
    return (sums / np.diff(np.append(firsts, len(target)))[:, None]).astype(np.float32)


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return stacked(targets, steps, columns=bands)


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

    return layers.Dense(bands, name=layer)(steps)


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Squared error, averaged over bands."""
    import tensorflow as tf

    from audiomtl.families.multitask import losses

    each = tf.reduce_mean((outputs - target) ** 2, axis=2)
    return losses.over_steps(each, tf.ones_like(each), weight, steps)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    return {
        "l1": float(
            np.mean(np.concatenate([np.abs(one.output - one.target).mean(axis=1) for one in answers]))
        )
    }
