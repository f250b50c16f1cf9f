"""What a trained model says of recordings, whatever its family.

Conventions: times are seconds from the recording's start, and no span ends after the recording. A score is a
probability in [0, 1], or NaN where the model gives none.

Contents: `Recording`; `Span`, `Classes`, `Segments`, `Phones`, `Notes`, `Value`, `Answer`; `Response`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audiomtl.data.scores import Note


@dataclass(frozen=True)
class Recording:
    """A new recording, and what a table says of it beside its sound."""

    name: str  # its path, or what the caller calls it
    y: np.ndarray  # (n_samples,), float32, at the model's rate; empty for a model that reads no sound
    columns: Mapping[str, Any] = field(default_factory=dict)  # text, score, picture ... by column


@dataclass(frozen=True)
class Span:
    """A label with start and end."""

    start_seconds: float
    end_seconds: float
    label: str
    score: float = float("nan")


@dataclass(frozen=True)
class Classes:
    """Probabilities of classes: one of them holds, or with ``exclusive = False`` any number (tags)."""

    names: tuple[str, ...]
    probabilities: np.ndarray  # (classes,)
    exclusive: bool = True
    threshold: float = 0.5  # a tag holds from this probability on


@dataclass(frozen=True)
class Segments:
    """When classes are heard."""

    names: tuple[str, ...]
    starts: np.ndarray  # (n,) seconds: of windows or steps
    seconds: float  # length of one of them
    scores: np.ndarray  # (n, classes)
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Phones:
    """Phones in order, without pauses."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Notes:
    """Notes in order."""

    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Value:
    """A number."""

    value: float


Answer = Classes | Segments | Phones | Notes | Value


@dataclass(frozen=True)
class Response:
    """Answers to one recording."""

    name: str
    seconds: float  # of the recording
    answers: Mapping[str, Answer]  # by head, or else by what the family produces
    remarks: tuple[str, ...] = ()  # what the reader should know, such as "padded from 0.001 s to 0.96 s"
