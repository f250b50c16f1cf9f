"""notes: which of 88 keys begin in each step, and which are held.

Scores: onset_f1, offset_f1 ... (`metrics.notes.transcription`); frame_f1 of held keys, each step by itself.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiomtl.data.scores import KEYS, LOWEST, notes_from_rolls
from audiomtl.families.multitask.heads import About, Answer, Spans
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_classes as classes
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads.melody import (
    SHORTEST_SECONDS,
    TIMED,
    best_for_notes,
    decoder_to_json,
    metrics_of_clip,
    notes_of,
    panel,
)
from audiomtl.families.multitask.heads.phones import rows
from audiomtl.families.multitask.steps import as_notes, rolls, stacked, step_times
from audiomtl.metrics import notes as metrics

__all__ = [
    "ABOUT",
    "batch",
    "classes",
    "decoder_from_json",
    "decoder_to_json",
    "fit_decoder",
    "loss",
    "output",
    "panel",
    "per_clip",
    "picture",
    "rows",
    "scaled",
    "scores",
    "spans",
    "target",
]

ABOUT = About(
    scores=(*TIMED, "frame_f1"),
    column="notes",
    produces="notes",
    decoders=("onsets", "hmm"),
    beside_kind="melody",
    activation="sigmoid",
)
PEAK_STEPS = 2  # to either side of an onset, where none is higher
RARE = 0.01  # share of keys that are expected at first
ONSET_WEIGHT = 4.0  # of a step in which a key begins: hardly any of a clip's steps and keys is one
HELD = 0.25  # score from which on a key is held


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    """(n_steps, 2 `KEYS`): 1 where a key begins, then 1 where it is held."""
    return rolls(row[head.reads("")], step_times(n_frames, settings), str(row["clip_id"]))


def batch(targets: Sequence[np.ndarray | None], steps: int, *, classes: int, bands: int) -> np.ndarray:
    return stacked(targets, steps, columns=2 * KEYS)


def output(
    layer: str,
    steps: Any,
    lengths: Any,
    *,
    classes: int,
    bands: int,
    stride: int,
    text: Any = None,
    keys: Any = None,
) -> Any:
    from keras import initializers, layers

    from audiomtl.families.multitask.encoder import PerKey

    # hardly any key sounds: from 88 sigmoids at one half the first steps would drive the encoder into
    # saturation (Lin et al., 2017)
    rare = math.log(RARE / (1 - RARE))
    if keys is None:
        return layers.Dense(2 * KEYS, bias_initializer=initializers.Constant(rare), name=layer)(steps)
    both = PerKey(2, start=rare, name=layer)([keys, steps])
    return layers.Concatenate()([both[:, :, :, 0], both[:, :, :, 1]])


def loss(outputs: Any, target: Any, weight: Any, steps: Any) -> Any:
    """Binary cross-entropy, summed over keys, onsets weighing `ONSET_WEIGHT`."""
    import tensorflow as tf

    from audiomtl.families.multitask import losses

    often = tf.concat([tf.fill([KEYS], ONSET_WEIGHT), tf.ones(KEYS)], 0)
    return losses.over_steps(*losses.binary_cross_entropy(outputs, target, often), weight, steps)


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Notes of onsets and held keys, one begins where its key's onset is highest; or those of the decoder."""
    return _read([answer], head, settings)[0]


def _read(answers: Sequence[Answer], head: Any, settings: Any) -> list[Spans]:
    times = [step_times(one.n_frames, settings) for one in answers]
    decoder, outputs = answers[0].decoder, [one.output for one in answers]
    if decoder is None:
        return [
            list(held_notes(output, own, head.threshold)) for output, own in zip(outputs, times, strict=True)
        ]
    if decoder.numbers["method"] == "onsets":
        found = decoder.notes(outputs)
        return [_in_seconds(notes, own) for notes, own in zip(found, times, strict=True)]
    from audiomtl.nn.decoding import melody

    beside = decoder.numbers["beside"]
    posteriors = [
        one.outputs[beside] if beside else melody.from_held(one.output[:, KEYS:]) for one in answers
    ]
    found = decoder.runs(outputs, posteriors, [output[:, :KEYS] for output in outputs])
    return [notes_of(reading, own) for reading, own in zip(found, times, strict=True)]


def _in_seconds(notes: Sequence[tuple[float, float, int]], times: np.ndarray) -> Spans:
    """Notes in steps, on the times of the steps."""
    step = float(times[1] - times[0]) if len(times) > 1 else 2 * float(times[0])
    return [
        (max(onset * step + float(times[0]), 0.0), offset * step + float(times[0]), key + LOWEST)
        for onset, offset, key in notes
    ]


def fit_decoder(
    name: str,
    head: Any,
    decoding: Any,
    train: Sequence[Answer],
    validation: Sequence[Answer],
    names: Sequence[str],
    settings: Any,
) -> Any:
    """Numbers by the mean of onset_f1 and offset_f1 on the validation split."""
    from audiomtl.nn.decoding import decoders
    from audiomtl.settings.decoding import candidates

    made = [
        decoders.NoteDecoder(numbers) if decoding.method == "onsets" else decoders.VoiceDecoder(numbers)
        for numbers in candidates(decoding)
    ]
    return best_for_notes(
        made, validation, lambda some: scores(head, some, names, settings, every_score=False)
    )


def decoder_from_json(saved: Mapping[str, Any]) -> Any:
    from audiomtl.nn.decoding import decoders

    numbers = dict(saved["numbers"])
    return decoders.NoteDecoder(numbers) if numbers["method"] == "onsets" else decoders.VoiceDecoder(numbers)


def held_notes(posteriors: np.ndarray, times: np.ndarray, threshold: float) -> list[tuple[float, float, int]]:
    """Notes of onsets and held keys (steps, 2 `KEYS`), on the times of the steps."""
    step = float(times[1] - times[0]) if len(times) > 1 else 1.0
    onsets = np.pad(posteriors[:, :KEYS], ((PEAK_STEPS, PEAK_STEPS), (0, 0)))
    highest = np.lib.stride_tricks.sliding_window_view(onsets, 2 * PEAK_STEPS + 1, axis=0).max(axis=2)
    peaks = np.where(posteriors[:, :KEYS] >= highest, posteriors[:, :KEYS], 0)
    found = notes_from_rolls(peaks, posteriors[:, KEYS:], step, threshold, HELD, SHORTEST_SECONDS)
    return [(float(onset + times[0]), float(offset + times[0]), key) for onset, offset, key in found]


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """onset_f1; of a clip without notes, true or found, nothing."""
    found = spans(head, answer, names, settings)
    return metrics_of_clip(name, as_notes(answer.row[head.reads("")]), found)


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    found = _read(answers, head, settings)
    written = [as_notes(one.row[head.reads("")]) for one in answers]
    total = metrics.transcription(written, found) if any(map(len, written)) or any(map(len, found)) else {}
    true = np.concatenate([one.target[:, KEYS:] for one in answers]) > 0
    said = np.concatenate([one.output[:, KEYS:] for one in answers]) >= 0.5
    return total | {"frame_f1": 2 * float((said & true).sum()) / max(int(said.sum() + true.sum()), 1)}
