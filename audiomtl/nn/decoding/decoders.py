"""Decoders of keys, notes and segments with numbers that validation chooses and a model keeps.

Conventions: outputs are those of one head, clip by clip; ``beside`` are those of the head that is read
together with it, where there is one. What was decoded of an output is remembered (`memory`).

Contents: `VoiceDecoder`, `NoteDecoder`, `SegmentDecoder`; `best`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from audiomtl.nn.decoding import melody, onsets, segments
from audiomtl.nn.decoding.memory import Memory

D = TypeVar("D")


@dataclass(frozen=True)
class VoiceDecoder:
    """One voice: runs of a key or rest (`melody`)."""

    numbers: Mapping[str, Any]
    memory: Memory[melody.Runs] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def runs(
        self,
        outputs: Sequence[np.ndarray],
        posteriors: Sequence[np.ndarray],
        begins: Sequence[np.ndarray] | None,
    ) -> list[melody.Runs]:
        """Runs of each clip: of posteriors (steps, keys + 1), and of onsets (steps, keys) where there are
        any; ``outputs`` are what they were made from.
        """
        given = [None] * len(posteriors) if begins is None else begins
        return self.memory.of(outputs, list(zip(posteriors, given, strict=True)))

    def _decode(self, pairs: list[tuple[np.ndarray, np.ndarray | None]]) -> list[melody.Runs]:
        known = [begins for _, begins in pairs if begins is not None]
        return melody.runs(
            [own for own, _ in pairs],
            known or None,
            change=self.numbers["switch_penalty"],
            leap=self.numbers["leap_penalty"],
            weight=self.numbers["onset_weight"],
            threshold=self.numbers["onset_threshold"],
            shortest=self.numbers["minimum_steps"],
        )


@dataclass(frozen=True)
class NoteDecoder:
    """Notes of any number of keys at once (`onsets`)."""

    numbers: Mapping[str, Any]
    memory: Memory[onsets.Found] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def notes(self, outputs: Sequence[np.ndarray]) -> list[onsets.Found]:
        """Notes of outputs (steps, 2 keys): whether a key begins, then whether it is held; in steps."""
        return self.memory.of(outputs)

    def _decode(self, outputs: list[np.ndarray]) -> list[onsets.Found]:
        found = []
        for output in outputs:
            keys = output.shape[1] // 2
            found.append(
                onsets.notes(
                    output[:, :keys],
                    output[:, keys:],
                    threshold=self.numbers["onset_threshold"],
                    held_threshold=self.numbers["held_threshold"],
                    gap=self.numbers["gap_steps"],
                    shortest=self.numbers["minimum_steps"],
                    refine=True,
                )
            )
        return found


@dataclass(frozen=True)
class SegmentDecoder:
    """Segments of each class (`segments`)."""

    numbers: Mapping[str, Any]
    thresholds: tuple[float, ...]  # of each class
    memory: Memory[np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", Memory(self._decode))

    def scores(
        self, outputs: Sequence[np.ndarray], clips: Sequence[np.ndarray] | None = None
    ) -> list[np.ndarray]:
        """Scores (steps, classes) smoothed, and weighted by a clip's probabilities (classes,) where they
        are given.
        """
        given = [None] * len(outputs) if clips is None else clips
        return self.memory.of(outputs, list(zip(outputs, given, strict=True)))

    def activity(self, scores: np.ndarray) -> np.ndarray:  # (steps, classes) bool
        """In which steps each class is heard, by the scores that `scores` gives."""
        return segments.active(
            scores,
            self.thresholds,
            release=self.numbers["release"],
            shortest=self.numbers["minimum_steps"],
            gap=self.numbers["gap_steps"],
        )

    def _decode(self, pairs: list[tuple[np.ndarray, np.ndarray | None]]) -> list[np.ndarray]:
        found = []
        for output, clip in pairs:
            smooth = segments.smoothed(output, self.numbers["median_steps"])
            found.append(
                smooth if clip is None else segments.weighted(smooth, clip, self.numbers["clip_weight"])
            )
        return found


def best(made: Sequence[D], judge: Callable[[D], float]) -> D:
    """The decoder with the highest score, of equal ones the first; a single one is not judged."""
    return max(made, key=judge) if len(made) > 1 else made[0]
