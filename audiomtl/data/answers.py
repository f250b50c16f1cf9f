"""What a trained model says of recordings, whatever its family.

Conventions: times are seconds from the recording's start, and no span ends after the recording. A score is a
probability in [0, 1], or NaN where the model gives none.

Contents: `Recording`; `Span`, `Classes`, `Segments`, `Phones`, `Notes`, `Value`, `Answer`; `Response`,
`Stream`; `joined`, `segments`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from audiomtl.data.scores import Note, separate


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
    """Notes in order; those of one key do not overlap: see `scores.separate`."""

    notes: tuple[Note, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", separate(self.notes))


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
    remarks: tuple[str, ...] = ()  # what the reader should know, such as "padded from 0.001 s to 0.975 s"


@dataclass(frozen=True)
class Stream:
    """Scores of a recording of any length, window by window."""

    names: tuple[str, ...]
    seconds: float  # length of a window
    scores: Iterator[tuple[float, np.ndarray]]  # start in seconds, scores (classes,)


def joined(
    scores: Iterable[tuple[float, np.ndarray]], names: Sequence[str], seconds: float, threshold: float
) -> Iterator[Span]:
    """Join windows that follow each other with one class at or above the threshold; in order of their ends.

    Parameters
    ----------
    scores : (start in seconds, scores (classes,)) of each window, in order. seconds : length of a window.

    Yields
    ------
    spans, whose score is the largest of their windows
    """
    going: dict[int, Span] = {}
    for start, row in scores:
        for index, label in enumerate(names):
            score = float(row[index])
            if score >= threshold:
                before = going.get(index, Span(start, 0.0, label, 0.0))
                going[index] = replace(before, end_seconds=start + seconds, score=max(before.score, score))
            elif index in going:
                yield going.pop(index)
    yield from sorted(going.values(), key=lambda span: (span.start_seconds, span.label))


def segments(
    names: Sequence[str],
    starts: np.ndarray,
    seconds: float,
    scores: np.ndarray,
    *,
    until: float,
    threshold: float = 0.5,
    active: np.ndarray | None = None,
) -> Segments:
    """Scores of windows, and the spans in which a class reaches the threshold, or is ``active``.

    Parameters
    ----------
    starts : (n,) seconds. seconds : length of a window. scores : (n, classes). until : end of the recording
        in seconds; no span ends later, and one that would begin there is left out. active : (n, classes)
        bool, in the place of the threshold.
    """
    if active is None:
        active = scores >= threshold
    shown = np.where(active, scores, -1.0)
    found = joined(zip(starts.tolist(), shown, strict=True), names, seconds, 0.0)
    cut = [replace(span, end_seconds=min(span.end_seconds, until)) for span in found]
    kept = [span for span in cut if span.end_seconds > span.start_seconds]
    ordered = tuple(sorted(kept, key=lambda span: (span.start_seconds, span.label)))
    return Segments(tuple(names), starts, seconds, scores, ordered)
