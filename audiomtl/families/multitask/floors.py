"""Floors of the scores of each head: answers that do not depend on the sound, or on little of it.

Classes, tags and values have the floors of `audiomtl.data.floors`. The other kinds are answered with the same
output in every step (the most frequent class, always on, never on, the median frame), or, for an alignment,
with phones of equal length; the head's own decoding and scores judge them.

Contents: `floors`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import floors as common
from audiomtl.data import protocols, scaling, text
from audiomtl.data.pauses import pauses_of
from audiomtl.data.scores import KEYS
from audiomtl.families.multitask.examples import (
    Example,
    classes_of,
    example,
    frames_of,
    with_arrays,
    with_scaled_targets,
)
from audiomtl.families.multitask.heads import Answer, kind
from audiomtl.families.multitask.steps import step_times
from audiomtl.families.multitask.viterbi import positions
from audiomtl.metrics.sequences import without

OF_CLIPS = {"clip_class": common.of_classes, "tags": common.of_tags, "value": common.of_values}
REST = KEYS  # class of a melody's silence


def floors(settings: Any, table: pd.DataFrame, seed: int, sound: common.Sound | None) -> common.Scores:
    """By split, score and floor; see `audiomtl.harness.floors`."""
    table = text.with_phones(with_arrays(table), settings.text)
    sides = protocols.divide(table, settings.data, settings.protocol, seed)
    names = {name: classes_of(name, head, sides.train, settings) for name, head in settings.heads.items()}
    found: common.Scores = {side: {} for side in common.JUDGED}
    constant = any(head.kind in CONSTANTS for head in settings.heads.values())
    examples = _examples(table, sides, names, settings) if constant else {}
    for name, head in settings.heads.items():
        column = head.reads(settings.data.label)
        if head.kind in OF_CLIPS:
            own = common.renamed(OF_CLIPS[head.kind](sides, column, sound), f"{name}_")
        elif head.kind in CONSTANTS:
            own = common.renamed(_constant(name, head, examples, names[name], settings), f"{name}_")
        elif head.kind == "ctc":
            own = {side: {f"{name}_error_rate": {}} for side in common.JUDGED}
        else:  # a head of the user
            continue
        if head.kind in ("phones", "ctc"):
            pauses = pauses_of(settings.data)
            _with_sequences(own, f"{name}_error_rate", sides, column, pauses)
        if head.kind == "phones":
            _with_sequences(own, f"{name}_error_rate_with_pauses", sides, column, frozenset())
        for side, scores in own.items():
            found[side] |= scores
    return found


def _examples(
    table: pd.DataFrame, sides: Any, names: Mapping[str, Sequence[str]], settings: Any
) -> dict[str, list[Example]]:
    """The clips of every split with their targets, as `model.prepare` makes them."""
    frames = frames_of(table, settings)
    texts: Sequence[Any] = list(sides.train[settings.inputs.text].dropna()) if settings.inputs.text else []
    pauses = pauses_of(settings.data)
    symbols = tuple(sorted({symbol for phones in texts for symbol in positions(phones, pauses)}))
    made = {
        side: [example(row, frames, names, symbols, settings) for row in rows.to_dict("records")]
        for side, rows in sides.sides().items()
    }
    scaler = scaling.fit((one.frames for one in made["train"]), settings.features.scaling)
    return with_scaled_targets(made, scaler, settings)


def _constant(
    name: str, head: Any, examples: Mapping[str, Sequence[Example]], classes: Sequence[str], settings: Any
) -> common.Scores:
    train = [one for one in examples["train"] if one.targets[name] is not None]
    found: common.Scores = {}
    for side in common.JUDGED:
        known = [one for one in examples[side] if one.targets[name] is not None]
        found[side] = {}
        for floor, (fitted, answered) in CONSTANTS[head.kind].items() if known and train else ():
            frame = fitted([one.targets[name] for one in train], classes)
            answers = [
                Answer(
                    one.clip_id, one.row, one.targets[name], answered(frame, one, settings), len(one.frames)
                )
                for one in known
            ]
            scores = kind(head.kind).scores(head, answers, classes, settings, every_score=True)
            for score, value in scores.items():
                found[side].setdefault(score, {})[floor] = value
    return found


def _with_sequences(own: common.Scores, score: str, sides: Any, column: str, pauses: frozenset[str]) -> None:
    """The floors of an error rate beside those of its frames."""
    spoken = {side: without(list(rows[column].dropna()), pauses) for side, rows in sides.sides().items()}
    for side, scores in own.items():
        if score in scores:
            scores[score] |= common.of_phones(spoken["train"], spoken[side])


# ---------------------------------------------------------------- the same output in every step
# first what is fitted on the targets of train, then the output of one clip


def _most_frequent(targets: Sequence[np.ndarray], classes: Sequence[str]) -> np.ndarray:
    counts = Counter(number for target in targets for number in target.tolist() if number >= 0)
    return np.eye(len(classes) or KEYS + 1)[min(counts, key=lambda number: (-counts[number], number))]


def _most_sung(targets: Sequence[np.ndarray], classes: Sequence[str]) -> np.ndarray:
    sung = [target[target != REST] for target in targets]
    return _most_frequent(sung if any(map(len, sung)) else targets, classes)


def _constant_of(value: float) -> Callable[[Sequence[np.ndarray], Sequence[str]], np.ndarray]:
    return lambda targets, classes: np.full(targets[0].shape[1], value)


def _median(targets: Sequence[np.ndarray], classes: Sequence[str]) -> np.ndarray:  # (bands,)
    return np.median(np.concatenate(targets), axis=0)


def _every_step(frame: np.ndarray, one: Example, settings: Any) -> np.ndarray:  # (steps, ...)
    return np.tile(frame, (len(step_times(len(one.frames), settings)), 1))


def _equal_lengths(frame: np.ndarray, one: Example, settings: Any) -> np.ndarray:  # (steps, positions)
    """All phones of the text in order, each as long as the others, without pauses."""
    assert one.text is not None
    steps, count = len(step_times(len(one.frames), settings)), (len(one.text) - 1) // 2
    output = np.zeros((steps, len(one.text)))
    output[np.arange(steps), 2 * (np.arange(steps) * count // steps) + 1] = 1
    return output


def _nothing(targets: Sequence[np.ndarray], classes: Sequence[str]) -> np.ndarray:
    return np.zeros(0)


CONSTANTS: dict[str, dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]]] = {
    "phones": {"most frequent phone": (_most_frequent, _every_step)},
    "segments": {
        "always on": (_constant_of(1.0), _every_step),
        "never on": (_constant_of(0.0), _every_step),
    },
    "melody": {
        "always at rest": (lambda targets, classes: np.eye(KEYS + 1)[REST], _every_step),
        "always the most frequent key": (_most_sung, _every_step),
    },
    "notes": {
        "always on": (_constant_of(1.0), _every_step),
        "never on": (_constant_of(0.0), _every_step),
    },
    "mel": {"median frame of train": (_median, _every_step)},
    "alignment": {"phones of equal length": (_nothing, _equal_lengths)},
}
