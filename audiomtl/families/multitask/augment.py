"""Augmentation of the train clips of a multi-task network.

Conventions as in `examples`. Times of labels move with the speed; heads of which another label would become
wrong are refused by the settings (`settings.augmentation.check_heads`).

Contents: `with_variants`, `training_batch`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from audiomtl.data import augmentation
from audiomtl.data.datasets import manifest
from audiomtl.data.scaling import Scaler
from audiomtl.errors import UserError

if TYPE_CHECKING:
    from audiomtl.families.multitask.examples import Example
    from audiomtl.families.multitask.settings import Settings

MIXED = "clip_class"  # kind whose targets can be mixed and smoothed
TIMES = ("starts", "ends")  # columns of seconds; those of kind segments have pairs of them


def with_variants(
    train: Sequence["Example"],
    rows: pd.DataFrame,
    names: Mapping[str, Sequence[str]],
    symbols: Sequence[str],
    scaler: Scaler,
    settings: "Settings",
    seed: int,
) -> list["Example"]:
    """The train clips with their sounds at other speeds and in other rooms, and the labels of these, as far
    as they fit: a clip that is played faster may have too few steps for its text.

    Raises
    ------
    UserError : the clips are arrays, not recordings.
    """
    from audiomtl.families.multitask import examples as making

    found: dict[str, dict[augmentation.Variant, Example]] = {one.clip_id: {} for one in train}
    plain: Mapping[str, np.ndarray] = {}
    for variant in augmentation.variants(settings.augmentation):
        if manifest.ROW in rows.columns:
            raise UserError(
                "augmentation: speed and room change recordings, but the clips are arrays; leave them out"
            )
        frames = making.frames_of(rows, settings, variant)
        changed: list[Example] = []
        fits: set[str] = set()
        for row in rows.to_dict("records"):
            try:
                one = making.example(_faster(row, variant.factor, settings), frames, names, symbols, settings)
                fits.add(one.clip_id)
            except UserError:  # too short for its labels now: it keeps its place among those that are counted
                plain = plain or making.frames_of(rows, settings)
                one = making.example(row, plain, names, symbols, settings)
            changed.append(one)
        changed = making.with_few_labels(changed, settings, seed)
        changed = making.with_class_weights(changed, names, settings)
        for one in making.with_scaled_targets({"train": changed}, scaler, settings)["train"]:
            if one.clip_id in fits:
                found[one.clip_id][variant] = one
    return [replace(one, variants=found[one.clip_id]) for one in train]


def _faster(row: Mapping[Any, Any], factor: float, settings: "Settings") -> dict[Any, Any]:
    """A row of the clip table whose times are those of the sound at another speed."""
    spans = {head.reads("") for head in settings.heads.values() if head.kind == "segments"}
    return {
        name: np.asarray(value, float) / factor
        if value is not None and (name in TIMES or name in spans)
        else value
        for name, value in row.items()
    }


def training_batch(
    examples: Sequence["Example"],
    names: Mapping[str, Sequence[str]],
    scaler: Scaler,
    settings: "Settings",
    *,
    seed: int,
    epoch: int,
) -> dict[str, Any]:
    """A batch of train clips, changed as the augmentation says; a pure function of its arguments.

    With ``mixup`` or ``label_smoothing`` the targets of heads of kind clip_class are shares of classes.
    """
    from audiomtl.families.multitask.examples import collate

    chosen = settings.augmentation
    some = []
    for one in examples:
        variant = augmentation.drawn(chosen, seed=seed, epoch=epoch, clip=one.clip_id)
        one = one.variants.get(variant, one) if variant else one
        frames = augmentation.augmented(
            one.frames, chosen, settings.features, seed=seed, epoch=epoch, clip=one.clip_id
        )
        some.append(replace(one, frames=frames))
    pairs = augmentation.mix(chosen, [one.clip_id for one in some], seed=seed, epoch=epoch)
    if pairs is not None:
        # a clip whose partner lacks a label that it has keeps to itself
        labelled = [
            frozenset(name for name, value in one.targets.items() if value is not None) for one in some
        ]
        shares = [
            share if labelled[number] == labelled[other] else np.float32(1)
            for number, (share, other) in enumerate(zip(*pairs, strict=True))
        ]
        pairs = np.array(shares, np.float32), pairs[1]
        frames_of = [one.frames for one in some]
        some = [
            replace(one, frames=augmentation.blended(one.frames, frames_of[other], float(share)))
            for one, share, other in zip(some, *pairs, strict=True)
        ]
    batch = collate(some, names, scaler, settings)
    smoothing = chosen.label_smoothing if chosen else 0.0
    if pairs is not None or smoothing:
        for name, head in settings.heads.items():
            if head.kind == MIXED:
                one_hot = np.eye(len(names[name]), dtype=np.float32)[batch[f"target_{name}"]]
                batch[f"target_{name}"] = augmentation.soft(one_hot, pairs, smoothing, len(names[name]))
    return batch
