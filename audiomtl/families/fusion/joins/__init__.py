"""Joins: from the outputs of several encoders to one vector per clip. One file for each, found by its name.

Conventions: ``names`` are the modalities in the order of the columns of ``presence`` (clips, modalities), 1
where a clip has one. Joins of vectors read ``[presence, *vectors]``, each (clips, size). Joins of sequences
read ``[presence, *vectors, *steps, *masks]``: steps (clips, steps, size) in any number and which are a clip's
own. All give (clips, any). What is absent is replaced by zeros and weighs nothing: it has no influence on
output or gradient, exactly. A clip that has nothing gives a finite value.

A file has ``layer(settings, names, classes=, weights=, on_grid=)``, which makes the layer, and may have
``OF_SEQUENCES = True``, whose layer reads sequences, and ``GIVES_LOGITS = True``, whose vectors are the
logits of the classes.

Contents: `join`, `kind`, `check_ranks`, `Joining`, `weighted_mean`.
"""

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import tensorflow as tf
from keras import layers

from audiomtl.errors import UserError
from audiomtl.families.fusion.encoders import kept
from audiomtl.families.fusion.settings import Join


def kind(name: str) -> ModuleType:
    """The module of a join."""
    return importlib.import_module(f"{__name__}.{name}")


def join(
    settings: Join,
    presence: Any,
    vectors: Mapping[str, Any],
    sequences: Mapping[str, tuple[Any, Any]],
    *,
    classes: int,
    weights: Sequence[float],
    on_grid: Sequence[str],
) -> Any:
    """One tensor (clips, any) from all modalities.

    Parameters
    ----------
    vectors : name -> (clips, size).
    sequences : name -> steps (clips, steps, size) and mask (clips, steps).
    classes : of the label. weights : of each modality, from its settings. on_grid : modalities whose steps
        share one grid of time.

    Raises
    ------
    UserError : a tensor of the wrong rank, with the way to the right one.
    """
    module, inputs = kind(settings.kind), [presence, *vectors.values()]
    check_ranks(vectors, 2)
    if getattr(module, "OF_SEQUENCES", False):
        check_ranks({name: steps for name, (steps, _) in sequences.items()}, 3)
        inputs += [*(steps for steps, _ in sequences.values()), *(mask for _, mask in sequences.values())]
    return module.layer(
        settings, list(vectors), classes=classes, weights=list(weights), on_grid=list(on_grid)
    )(inputs)


def check_ranks(tensors: Mapping[str, Any], rank: int) -> None:
    """Reject tensors that cannot be joined: they must be all vectors (clips, size), rank 2, or all sequences
    (clips, steps, size), rank 3.

    Raises
    ------
    UserError : which input has which shape, and how it is brought to the right one.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = [name for name, shape in shapes.items() if len(shape) != rank]
    if not wrong:
        return
    every = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if rank == 2:
        how = {
            3: "over its steps first (PoolSteps, GlobalAveragePooling1D)",
            4: "over height and width first (GlobalAveragePooling2D)",
        }
        remedy = f"pool {wrong[0]} {how.get(len(shapes[wrong[0]]), 'to one vector for each clip first')}"
    else:
        remedy = f"reshape {wrong[0]} first: height and width to steps, a vector to one step (Reshape)"
    kind = "vectors (clips, size)" if rank == 2 else "sequences (clips, steps, size)"
    raise UserError(
        f"join: {every}: only {kind} can be joined, and {wrong[0]} has {len(shapes[wrong[0]])} axes: {remedy}"
    )


class Joining(layers.Layer):
    """Base of the joins: absent vectors and steps are replaced by zeros first."""

    def __init__(self, names: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.names = list(names)
        self.supports_masking = True  # and needs none: masks are among the inputs

    def compute_mask(self, inputs: list[tf.Tensor], mask: Any = None) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"names": self.names}

    def vectors(self, inputs: Sequence[Any]) -> list[tf.Tensor]:
        """Of each modality (clips, size), zeros where absent."""
        return [kept(inputs[1 + number], self.has(inputs, number)) for number in range(len(self.names))]

    def steps(self, inputs: Sequence[Any]) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Of each modality steps and mask, zeros and false where absent or not a clip's own."""
        count = len(self.names)
        found = []
        for number in range(count):
            mask = tf.logical_and(inputs[1 + 2 * count + number], self.has(inputs, number)[:, None])
            found.append((tf.where(mask[:, :, None], inputs[1 + count + number], 0.0), mask))
        return found

    def has(self, inputs: Sequence[Any], number: int) -> tf.Tensor:
        """(clips,) bool"""
        return inputs[0][:, number] > 0

    def dense(self, units: int, inputs: int, name: str, **options: Any) -> layers.Dense:
        """A dense layer, built."""
        made = layers.Dense(units, name=name, **options)
        made.build((None, inputs))
        return made

    def projections(self, shapes: Sequence[Any], units: int, name: str, **options: Any) -> list[layers.Dense]:
        """A dense layer for each modality, from what it gives to ``units``."""
        return [
            self.dense(units, shapes[1 + number][-1], f"{name}_{one}", **options)
            for number, one in enumerate(self.names)
        ]

    def projected(self, inputs: Sequence[Any], by: Sequence[layers.Dense]) -> tf.Tensor:
        """(clips, modalities, units), zeros where absent: a projection of zeros is its bias."""
        each = enumerate(zip(self.vectors(inputs), by, strict=True))
        return tf.stack(
            [kept(layer(vector), self.has(inputs, number)) for number, (vector, layer) in each], axis=1
        )


def weighted_mean(each: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(clips, modalities, units) and weights (clips, modalities), 0 where absent -> (clips, units).

    Zeros where all are absent.
    """
    total = tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.reduce_sum(each * (weights / tf.where(total > 0, total, 1.0))[:, :, None], axis=1)
