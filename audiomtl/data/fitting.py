"""Settings that fit recordings: rate, windows, bands, batch and epochs from what a table or folder contains.

For `audiomtl new`. A family's module ``new`` says by `Proposal` whether it can learn from a `Choice`, and
inserts these numbers into its template.

Contents: `Choice`, `Proposal`, `Numbers`, `numbers`, `window_seconds`, `toml_lines`, `safe`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiomtl.data import features
from audiomtl.data.found import Column, Found
from audiomtl.settings.toml import toml_value

MOST_HZ = 22050  # sample rate from which on a classifier gains little
SHORT_SECONDS = 2.0  # clips below are cut into shorter frames
STEPS = 2000  # of the optimizer in a training, about
EPOCHS = (10, 60)  # fewest and most
BATCHES = ((200, 8), (1000, 16), (10**9, 32))  # below so many clips of train: clips of a batch
FASTER = 20.0  # so many times faster than it lasts is sound trained at least
LEAST_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Choice:
    """What `audiomtl new` decided about the data, before it chose a family."""

    found: Found
    label: str  # column of classes; "" where none is learned
    several: bool  # labels per clip
    unequal: bool  # one class has several times the clips of another
    weights: bool  # whether YAMNet's weights are on this machine
    language: str = ""  # of espeak-ng
    asked: bool = False  # whether the label was named, not found
    columns: tuple[str, ...] = ()  # of 0 and 1, of which the label is made
    notes: list[str] = field(default_factory=list)  # what is said and written as comments; families add to it
    label_notes: list[str] = field(default_factory=list)  # the same of the label

    @property
    def seconds(self) -> np.ndarray:
        """Known lengths of clips (known clips,)."""
        seconds = np.array(self.found.seconds, np.float64)
        return seconds[np.isfinite(seconds)]

    @property
    def median(self) -> float:
        """Median length in seconds; 0 where no length is known."""
        return float(np.median(self.seconds)) if len(self.seconds) else 0.0

    @property
    def sound(self) -> bool:
        """Whether the clips are recordings."""
        return self.found.source == "path"

    @property
    def classes(self) -> dict[str, str]:
        """Values of a template whose family learns the label: what chooses, and the weights of classes."""
        metric = "accuracy"
        if self.several:
            metric = "mean_average_precision"
        elif self.unequal:
            metric = "balanced_accuracy"
        balanced = self.unequal and not self.several
        return {
            "METRIC": f"validation/{metric}",
            "METRICDIRECTION": "maximize",
            **({"MONITOR": "validation/balanced_accuracy"} if balanced else {}),
            "CLASSWEIGHTS": 'class_weights = "balanced"\n' if self.unequal else "",
        }

    def column(self, *kinds: str) -> Column | None:
        """The first column of some kinds that is not the label and that every clip has."""
        clips = len(self.found.table)
        columns = [each for each in self.found.of_kind(*kinds) if each.name != self.label]
        return next((each for each in columns if each.filled == clips), None)


@dataclass(frozen=True)
class Proposal:
    """How well a family fits a choice."""

    rank: int  # the lowest is taken first; 0: it does not fit
    reason: str
    label: bool = True  # whether it learns the column of classes


@dataclass(frozen=True)
class Numbers:
    """Numbers of a template."""

    sample_rate: int  # Hz
    n_fft: int  # samples
    window_seconds: float
    hop_seconds: float
    bands: int
    low_hz: float
    high_hz: float
    batch_size: int
    epochs: int
    limit_seconds: float  # of one training

    @property
    def values(self) -> dict[str, str]:
        """{name between @ in a template: text} of all of them; FEATURES are the lines of ``[features]``."""
        names = ("sample_rate", "window_seconds", "hop_seconds", "n_fft", "bands", "low_hz", "high_hz")
        return {
            "FEATURES": toml_lines({name: getattr(self, name) for name in names}),
            "BATCH": str(self.batch_size),
            "EPOCHS": str(self.epochs),
            "PATIENCE": str(max(5, self.epochs // 4)),
            "LIMIT": toml_value(self.limit_seconds),
        }


def numbers(choice: Choice, *, most_hz: int = MOST_HZ, bands: int = 64, fine: bool = False) -> Numbers:
    """Numbers that fit the recordings.

    Parameters
    ----------
    most_hz : rate that is not exceeded. bands : mel bands that are wanted. fine : whether short events such
        as phones are to be told apart: frames of 25 ms every 10 ms.
    """
    rates = [rate for rate in choice.found.rates if rate]
    # the rate that all but a few recordings have at least: no band is empty
    rate = min(most_hz, int(np.quantile(rates, 0.05, method="lower"))) if rates else min(most_hz, 16000)
    fine = fine or choice.median < SHORT_SECONDS
    n_fft = 2 ** math.ceil(math.log2((0.025 if fine else 0.040) * rate))
    window = round(0.025 * rate) if fine else n_fft  # samples
    hop = round(0.010 * rate) if fine else n_fft // 2
    low, high = (60.0 if fine else 0.0), rate / 2
    clips = len(choice.found.table)
    batch = next(size for fewer, size in BATCHES if clips < fewer)
    epochs = int(np.clip(round(STEPS / max(1.0, 0.6 * clips / batch)), *EPOCHS))
    total = float(choice.seconds.sum())
    limit = max(LEAST_LIMIT, 60.0 * math.ceil(total * epochs / FASTER / 60))
    return Numbers(
        sample_rate=rate,
        n_fft=n_fft,
        window_seconds=window / rate,
        hop_seconds=hop / rate,
        bands=_bands(rate, n_fft, low, high, bands),
        low_hz=low,
        high_hz=high,
        batch_size=batch,
        epochs=epochs,
        limit_seconds=limit,
    )


def _bands(rate: int, n_fft: int, low: float, high: float, wanted: int) -> int:
    """The most mel bands up to ``wanted`` of which none is without a bin of the spectrum."""
    for bands in (*range(wanted, 8, -8), 8):
        if features.mel_matrix(rate, n_fft, bands, low, high).max(axis=1).all():
            return bands
    return 1


def window_seconds(choice: Choice, hop_seconds: float) -> float:
    """Length of MIL's windows: a quarter of a clip, so that a bag has several, 5 s at most."""
    if not choice.median:
        return 1.0
    window = min(5.0, max(choice.median / 4, 4 * hop_seconds))
    return float(f"{window:.2g}")


def toml_lines(values: Mapping[str, Any]) -> str:
    """``name = value`` lines."""
    return "\n".join(f"{name} = {toml_value(value)}" for name, value in values.items())


def safe(name: str) -> str:
    """A column's name as that of a head or a modality: lower-case letters and digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).lstrip("0123456789") or "column"
