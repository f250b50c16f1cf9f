"""Input scaling: stored frames (n_frames, n_bands) to what a network reads.

Conventions: `fit` sees the train clips only. It is called with the train side and with nothing else, and the
scaler it returns is saved with the model, so that validation, test and later sounds are scaled by train's
numbers. Clip-wise kinds have nothing to fit: they look at the one clip they scale.

One file for each kind, found by its name, with a function ``scaled(values, scaler)``: (n_frames, n_bands)
float32, which it may change, to the same. ``OF_TRAIN = "all"`` (one mean and deviation) or ``"bands"`` (one
for each band) says what the train side is asked for.

A clip that is too long to be held is scaled part by part, by what `Statistics` says of the whole; kinds that
look at the clip have a second function for that, ``scaled_part(values, statistics)``.

What does not vary (a silent clip; a band that is constant in train) has no scale: it becomes zero, never NaN.

Contents: `Scaler`, `fit`, `apply`, `Statistics`, `of_clip`, `apply_part`, `standardised`, `to_json`,
`from_json`, `kind_of`.
"""

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from audiomtl.errors import UserError
from audiomtl.settings import named

CONSTANT = 1e-6  # a spread below this share of the values is float32 rounding, no signal


@dataclass(frozen=True, eq=False)
class Scaler:
    """A fitted scaling: arrays of shape (1,) for standard_train, (n_bands,) for per_band_train, (0,) for
    all others; float64.
    """

    kind: str
    mean: np.ndarray
    deviation: np.ndarray


def fit(frames: Iterable[np.ndarray], kind: str) -> Scaler:
    """Learn a scaling from the train clips: one pass, one clip in memory at a time.

    Parameters
    ----------
    frames
        Features of the train clips, each (n_frames, n_bands). Not looked at by the kinds that fit nothing.
    kind
        See above.

    Raises
    ------
    UserError
        The kind is unknown, there is no train clip, clips differ in their bands, or a value is not finite.

    Notes
    -----
    Means and squared deviations are accumulated clip by clip in float64 (Chan, Golub and LeVeque, 1979),
    which loses nothing where a sum of squares would, with means far from zero.
    """
    of_train = getattr(kind_of(kind), "OF_TRAIN", "")
    if not of_train:
        return _frozen(kind, np.empty(0), np.empty(0))
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for number, clip in enumerate(frames):
        values = np.asarray(clip, dtype=np.float64)  # (frames, bands)
        if of_train == "all":
            values = values.reshape(-1, 1)
        elif count == 0:
            mean, squares = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        elif values.shape[1] != len(mean):
            raise UserError(
                f"train clip {number} has {values.shape[1]} bands, earlier clips have {len(mean)}; all need"
                " the same features"
            )
        if not np.isfinite(values).all():
            raise UserError(f"train clip {number} has features that are not finite; check its recording")
        clip_mean = values.mean(axis=0)
        total = count + len(values)
        squares = (
            squares
            + np.square(values - clip_mean).sum(axis=0)
            + np.square(clip_mean - mean) * (count * len(values) / total)
        )
        mean = mean + (clip_mean - mean) * (len(values) / total)
        count = total
    if count == 0:
        raise UserError(
            f"features.scaling = {kind} needs at least one train clip, but the train split is empty"
        )
    return _frozen(kind, mean, np.sqrt(squares / count))


def apply(frames: np.ndarray, scaler: Scaler) -> np.ndarray:  # (n_frames, n_bands)
    """Scale one clip.

    Parameters
    ----------
    frames : np.ndarray, (n_frames, n_bands)
        Features as stored; left as they are.
    scaler
        From `fit` on the train side.

    Returns
    -------
    np.ndarray, (n_frames, n_bands), float32
        A new array.

    Raises
    ------
    UserError
        The scaler was fitted on another number of bands.
    """
    values = np.array(frames, dtype=np.float32)
    if not values.size:
        return values
    return kind_of(scaler.kind).scaled(values, scaler)


@dataclass
class Statistics:
    """What clip-wise kinds ask of a clip, gathered from its parts."""

    count: int = 0  # values
    low: Any = np.inf  # float32 as soon as there are values
    high: Any = -np.inf
    mean: float = 0.0
    squares: float = 0.0  # sum of squared deviations from the mean
    frames: int = 0
    band_mean: Any = 0.0  # (bands,), as soon as there are frames
    band_squares: Any = 0.0  # (bands,)

    def add(self, frames: np.ndarray) -> None:
        """Take in the next part (frames, bands)."""
        if not frames.size:
            return
        means = frames.mean(axis=0, dtype=np.float64)  # (bands,)
        every = self.frames + len(frames)
        self.band_squares = self.band_squares + np.square(frames - means).sum(axis=0)
        self.band_squares += (means - self.band_mean) ** 2 * (self.frames * len(frames) / every)
        self.band_mean = self.band_mean + (means - self.band_mean) * (len(frames) / every)
        self.frames = every
        mean = float(frames.mean(dtype=np.float64))
        total = self.count + frames.size
        self.squares += float(np.square(frames.astype(np.float64) - mean).sum())
        self.squares += (mean - self.mean) ** 2 * (self.count * frames.size / total)
        self.mean += (mean - self.mean) * (frames.size / total)
        self.count = total
        self.low, self.high = min(self.low, frames.min()), max(self.high, frames.max())


def of_clip(kind: str) -> bool:
    """Whether a kind looks at the whole clip, so that a part of it needs `Statistics`."""
    return hasattr(kind_of(kind), "scaled_part")


def apply_part(frames: np.ndarray, scaler: Scaler, statistics: Statistics) -> np.ndarray:
    """Scale a part (frames, bands) of a clip as `apply` scales it in the whole clip, to the last bits of a
    float32.
    """
    if not of_clip(scaler.kind) or not frames.size:
        return apply(frames, scaler)
    return kind_of(scaler.kind).scaled_part(np.array(frames, dtype=np.float32), statistics)


def standardised(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Values less a mean, over a deviation, both (1,) or (n_bands,); what does not vary becomes 0."""
    if len(mean) not in (1, values.shape[1]):
        raise UserError(
            f"the scaler was fitted on {len(mean)} bands, but the features have {values.shape[1]}; use the"
            " same settings"
        )
    varies = deviation > CONSTANT * np.abs(mean)  # (1,) or (bands,)
    values -= mean.astype(np.float32)
    values *= np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(np.float32)
    return values


def kind_of(name: str) -> ModuleType:
    """The module of a kind of scaling."""
    if name not in (known := named.names(__name__)):
        raise UserError(f"features.scaling must be one of {', '.join(known)}, but got {name}")
    return importlib.import_module(f"{__name__}.{name}")


def to_json(scaler: Scaler) -> str:
    """The scaler as one line of text; `from_json` gives back the same numbers to the last bit."""
    return json.dumps(
        {"kind": scaler.kind, "mean": scaler.mean.tolist(), "deviation": scaler.deviation.tolist()}
    )


def from_json(text: str) -> Scaler:
    """Read what `to_json` wrote.

    Raises
    ------
    UserError
        The text is no scaler.
    """
    try:
        fields = json.loads(text)
        kind, mean, deviation = (
            fields["kind"],
            np.array(fields["mean"], dtype=np.float64),
            np.array(fields["deviation"], dtype=np.float64),
        )
        fitted = kind in named.names(__name__) and hasattr(kind_of(kind), "OF_TRAIN")
        if (
            kind not in named.names(__name__)
            or mean.ndim != 1
            or mean.shape != deviation.shape
            or fitted != bool(mean.size)
        ):
            raise ValueError(f"kind {kind} with {mean.shape} means and {deviation.shape} deviations")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"this is not a saved scaler ({error}); train again or use the file that was saved with the model"
        ) from error
    return _frozen(kind, mean, deviation)


def _frozen(kind: str, mean: np.ndarray, deviation: np.ndarray) -> Scaler:
    mean.flags.writeable = deviation.flags.writeable = False
    return Scaler(kind, mean, deviation)
