"""Augmentation: random changes of train clips, each one file of this package, found by its name.

Conventions: frames (n_frames, n_bands) are those of the store, in dB, not scaled. Every draw is a pure
function of (seed, epoch, clip id, name of the augmentation): the same after a kill, another in each epoch and
for each seed, and turning one augmentation off changes no other. Only `families.*.model.train` calls this:
validation and test clips, and new recordings, never come here.

Three places where a clip is changed:

- its sound (``speed``, ``room``): a finite number of *variants*, computed once and stored like all features;
  a clip draws one of them in each epoch. Times of labels are divided by the speed;
- its frames: files with ``changed(frames, own, features, random)``, which may change ``frames``, applied by
  their ``ORDER``;
- with other clips of its batch (``mixup``).

Contents: `Variant`, `variants`, `drawn`; `augmented`; `mix`, `blended`, `weighted`; `soft`; `generator`.
"""

import hashlib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np

from audiomtl.data import audio
from audiomtl.data.augmentation import mixup, room, speed
from audiomtl.data.augmentation.mixup import blended
from audiomtl.settings import named
from audiomtl.settings.augmentation import SequenceAugmentation
from audiomtl.settings.shared import Features
from audiomtl.settings.table import Table

__all__ = ["Variant", "augmented", "blended", "drawn", "generator", "mix", "soft", "variants", "weighted"]


def generator(seed: int, epoch: int, clip: str, name: str) -> np.random.Generator:
    """Random numbers of one augmentation of one clip in one epoch."""
    digest = hashlib.sha256(f"{seed} {epoch} {name} {clip}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


# ---------------------------------------------------------------- the sound


@dataclass(frozen=True)
class Variant:
    """A changed sound, as `store.FeatureStore.features` takes it; its ``factor`` is that of the speed."""

    factor: float = 1.0
    number: int = 0  # of the room; 0: none
    own: Any = None  # settings of the room

    @property
    def identity(self) -> Any:
        return [self.factor, self.number, self.own.longest_seconds if self.own else 0.0]

    @property
    def code(self) -> tuple[str, ...]:
        here = "audiomtl.data.augmentation"
        return (f"{here}.speed.load", f"{here}.room.reverberated", f"{here}.Variant")

    def load(self, path: str, sample_rate: int) -> np.ndarray:  # (n_samples,)
        y = (
            audio.load(path, sample_rate=sample_rate)
            if self.factor == 1
            else speed.load(path, sample_rate, self.factor)
        )
        return room.reverberated(y, self.number, self.own, sample_rate) if self.number else y


def variants(settings: SequenceAugmentation | None) -> list[Variant]:
    """The changed sounds of every train clip; without ``speed`` and ``room`` none. The sound as it is, is not
    among them.
    """
    if settings is None:
        return []
    factors, numbers = [1.0], [0]
    if settings.speed and settings.speed.probability:
        factors += settings.speed.factors
    if settings.room and settings.room.probability:
        numbers += range(1, settings.room.rooms + 1)
    return [
        Variant(factor, number, settings.room if number else None)
        for factor, number in product(factors, numbers)
        if factor != 1 or number
    ]


def drawn(settings: SequenceAugmentation | None, *, seed: int, epoch: int, clip: str) -> Variant | None:
    """The variant that a clip is heard in; None: the sound as it is."""
    factor, number = 1.0, 0
    if settings and settings.speed:
        factor = _one_of(settings.speed, settings.speed.factors, 1.0, generator(seed, epoch, clip, "speed"))
    if settings and settings.room:
        rooms = range(1, settings.room.rooms + 1)
        number = _one_of(settings.room, rooms, 0, generator(seed, epoch, clip, "room"))
    if factor == 1 and not number:
        return None
    assert settings is not None
    return Variant(factor, number, settings.room if number else None)


def _one_of(own: Any, choices: Sequence[Any], otherwise: Any, random: np.random.Generator) -> Any:
    chosen, index = random.uniform() < own.probability, int(random.integers(len(choices)))
    return choices[index] if chosen else otherwise


# ---------------------------------------------------------------- the frames


def augmented(
    frames: np.ndarray,
    settings: SequenceAugmentation | None,
    features: Features,
    *,
    seed: int,
    epoch: int,
    clip: str,
) -> np.ndarray:  # (n_frames, n_bands)
    """The frames of one train clip in one epoch; what is given is left as it is."""
    for name in _on_frames(type(settings)) if settings is not None and len(frames) else ():
        own = getattr(settings, name)
        if own is None:
            continue
        random = generator(seed, epoch, clip, name)
        if random.uniform() < own.probability:
            frames = _module(name).changed(np.array(frames, np.float32), own, features, random)
    return frames


@cache
def _on_frames(of: type[Table]) -> list[str]:
    """Names of the augmentations of a table that change frames, in their order."""
    known = [name for name in named.names(__name__) if name in of.model_fields]
    ordered = [(_module(name).ORDER, name) for name in known if hasattr(_module(name), "ORDER")]
    return [name for _, name in sorted(ordered)]


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


# ---------------------------------------------------------------- labels


def mix(
    settings: Any, names: Sequence[str], *, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """(share of each clip of a batch, number of the clip that it is mixed with); None without ``mixup``."""
    own = getattr(settings, "mixup", None)
    if own is None or not own.probability:
        return None
    each = [generator(seed, epoch, name, "mixup") for name in names]
    return mixup.partners(names, own, [*each, generator(seed, epoch, " ".join(names), "mixup")])


def weighted(
    pairs: tuple[np.ndarray, np.ndarray], weights: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The pairs by which labels of mixed clips are mixed, and the weight of each mixture in the loss
    (clips,): a label counts by the share of its clip, as in ``pairs``, times the weight of this clip.

    The loss of the labels so mixed, times the new weight, is the mixture of the losses of both labels, each
    times the weight of its clip: a label of weight 0 is not learned as a partner's either.
    """
    shares, order = pairs
    mine, its = shares * weights, (1 - shares) * weights[order]
    total = mine + its
    own = np.where(total > 0, mine / np.where(total > 0, total, 1), shares)
    return (own.astype(shares.dtype), order), total


def soft(
    targets: np.ndarray, pairs: tuple[np.ndarray, np.ndarray] | None, smoothing: float, answers: int
) -> np.ndarray:
    """Targets (clips, classes) mixed by pairs, and smoothed (Szegedy et al., 2016).

    Parameters
    ----------
    answers : over how many answers the smoothed share is spread: the classes, or 2 for tags.
    """
    if pairs is not None:
        shares, order = pairs[0][:, None], pairs[1]
        targets = shares * targets + (1 - shares) * targets[order]
    return ((1 - smoothing) * targets + smoothing / answers).astype(np.float32)
