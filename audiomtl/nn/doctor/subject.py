"""What is examined: a model, the loss of a step, batches, and what the outputs learn.

Contents: `Learned`, `Subject`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np


@dataclass(frozen=True)
class Learned:
    """One output of a network in one batch, and what it is to learn."""

    name: str
    kind: Literal["classes", "tags", "ctc", "values"]
    # classes: (n,) integers, -1 where there is no label. tags: (n, classes). ctc: the labels of each item,
    # arrays (labels,), without padding. values: (n, ...)
    labels: Any
    # classes and tags: (n, classes), None if not known. ctc: the logits of each item's frames, arrays
    # (frames, classes). values: (n, ...)
    answers: Any = None
    classes: int = 0  # units of the output
    expects: Literal["", "logits", "probabilities"] = ""  # what the loss is computed from
    blank: int = 0  # ctc
    weights: Any = None  # (n,); an item of weight 0 is not learnt from


@dataclass(frozen=True)
class Subject:
    """A training that has not begun."""

    model: keras.Model
    variables: Sequence[Any]  # all that a step may change
    trainable: Sequence[Any]
    losses: Sequence[Callable[[Any], Any]]  # batch -> scalar; the second and on are those of later epochs
    batches: Sequence[Any]
    optimizer: Callable[[], Any] | None  # makes a new one; None: no steps, a pseudo-loss
    rate: float  # of the first steps
    clipped: bool = False  # whether the optimizer clips gradients
    # (batch, outputs) -> what each output learns; also called with the gradients in the place of the outputs
    learned: Callable[[Any, Any], Sequence[Learned]] = field(default=lambda batch, outputs: ())
    idle: Sequence[str] = ()  # outputs that are not to be trained: begins of the names of their layers
    call: Callable[[Any], Any] | None = None  # batch -> outputs, without the loss
    eager: bool = False
    name: str = "model"
    settings: Mapping[str, Any] | None = None  # of an experiment: {setting path: value}


def share(flags: Any) -> float:
    """Share of true values; 0 of none."""
    flags = np.asarray(flags)
    return float(flags.mean()) if flags.size else 0.0
