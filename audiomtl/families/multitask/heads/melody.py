"""melody: which of 88 keys is sung in each step, or none; one at a time.

Scores: frame_accuracy; onset_f1, offset_f1 ... (`metrics.notes.transcription`), raw_pitch_accuracy ...
(`metrics.notes.melody`); of the likeliest keys, or of the best path (``decoding.HEAD``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiomtl.data.scores import KEYS, LOWEST, Note, monophonic, piano_roll
from audiomtl.errors import UserError
from audiomtl.families.multitask.heads import About, Answer, Spans, kind
from audiomtl.families.multitask.heads import as_it_is as scaled
from audiomtl.families.multitask.heads import no_classes as classes
from audiomtl.families.multitask.heads import no_picture as picture
from audiomtl.families.multitask.heads.phones import batch, loss, rows
from audiomtl.families.multitask.steps import as_notes, middle_frames, roll, runs, step_times
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

TIMED = ("onset_precision", "onset_recall", "onset_f1", "offset_precision", "offset_recall", "offset_f1")
ABOUT = About(
    scores=(
        "frame_accuracy",
        *TIMED,
        "overall_accuracy",
        "raw_pitch_accuracy",
        "voicing_recall",
        "voicing_false_alarm",
    ),
    minimized=("voicing_false_alarm",),
    column="notes",
    produces="notes",
    activation="softmax",
    decoders=("hmm",),
    beside_kind="notes",
)
REST = KEYS  # class of a melody's silence
SHORTEST_SECONDS = 0.08  # of a decoded note


def target(
    name: str,
    head: Any,
    row: Mapping[str, Any],
    n_frames: int,
    names: Sequence[str],
    settings: Any,
    frames_of: Any,
) -> np.ndarray:
    """Key that is sung in each step, 0 to 87, or `REST`."""
    value, clip = row[head.reads("")], str(row["clip_id"])
    if _by_frame(value):
        return _keys(name, value, n_frames, clip)[middle_frames(n_frames, settings)]
    return keys_of(value, step_times(n_frames, settings), clip)


def _by_frame(value: Any) -> bool:
    """Whether a melody is given frame by frame, not as notes; those of a Parquet file are an array of
    arrays.
    """
    return isinstance(value, np.ndarray) and value.dtype != object


def keys_of(notes: Sequence[Note], times: np.ndarray, clip: str) -> np.ndarray:  # (n_steps,)
    """Key that is sung at each time, 0 to 87, or `REST`.

    Raises
    ------
    UserError : notes outside the keys, or two at once: a melody has one at a time.
    """
    found = roll(piano_roll, monophonic(f"clip {clip}", notes), times)
    return np.where(found.any(axis=1), found.argmax(axis=1), REST)


def _keys(name: str, value: np.ndarray, n_frames: int, clip: str) -> np.ndarray:  # (n_frames,)
    """A melody that is there frame by frame already: keys 0 to 87, `REST`."""
    if value.shape != (n_frames,) or not np.isin(value, np.arange(REST + 1)).all():
        raise UserError(
            f"heads.{name}: clip {clip} has {n_frames} frames and an array of shape {value.shape}, values"
            f" {value.min()} to {value.max()}: must have one key per frame, 0 to {REST}, where {REST} is rest"
        )
    return value.astype(int)


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
    from keras import layers

    from audiomtl.families.multitask.encoder import PerKey

    if keys is None:
        return layers.Dense(KEYS + 1, name=layer)(steps)
    rest = layers.Dense(1, name=f"{layer}_rest")(steps)
    return layers.Concatenate()([PerKey(1, name=layer)([keys, steps])[:, :, :, 0], rest])


def spans(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> Spans:
    """Notes of the posteriors (steps, `KEYS` + 1): runs of the likeliest key that last, or of the best path.

    Shorter ones are glides and slips.
    """
    times = step_times(answer.n_frames, settings)
    if answer.decoder is not None:
        return notes_of(read([answer])[0], times)
    found = runs(answer.output.argmax(axis=1), times)
    lasting = [one for one in found if one[2] != REST and one[1] - one[0] >= SHORTEST_SECONDS - 1e-9]
    return [(max(start, 0.0), end, key + LOWEST) for start, end, key in lasting]


def notes_of(reading: Sequence[tuple[int, int, int]], times: np.ndarray) -> Spans:
    """Notes of runs (first step, step after the last, key or `REST`), on the times of the steps."""
    half = (times[1] - times[0]) / 2 if len(times) > 1 else times[0]
    return [
        (max(float(times[start] - half), 0.0), float(times[end - 1] + half), key + LOWEST)
        for start, end, key in reading
        if key != REST
    ]


def read(answers: Sequence[Answer]) -> list[list[tuple[int, int, int]]]:
    """Runs of a key or `REST`, by the decoder of the answers."""
    decoder, outputs = answers[0].decoder, [one.output for one in answers]
    beside = decoder.numbers["beside"]
    begins = [one.outputs[beside][:, :KEYS] for one in answers] if beside else None
    found: list[list[tuple[int, int, int]]] = decoder.runs(outputs, outputs, begins)
    return found


def _paths(answers: Sequence[Answer]) -> list[np.ndarray]:
    """The key, or `REST`, of each step."""
    if answers and answers[0].decoder is not None:
        from audiomtl.nn.decoding import melody

        return [melody.path(reading) for reading in read(answers)]
    return [one.output.argmax(axis=1) for one in answers]


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
    from audiomtl.nn.decoding.decoders import VoiceDecoder
    from audiomtl.settings.decoding import candidates

    made = [VoiceDecoder(numbers) for numbers in candidates(decoding)]
    return best_for_notes(
        made, validation, lambda some: scores(head, some, names, settings, every_score=False)
    )


def best_for_notes(
    made: Sequence[Any], validation: Sequence[Answer], scored: Callable[[list[Answer]], dict[str, float]]
) -> Any:
    """The decoder with the highest mean of onset_f1 and offset_f1; without clips to judge by, the first."""
    from audiomtl.nn.decoding import decoders

    def judge(decoder: Any) -> float:
        found = scored([replace(one, decoder=decoder) for one in validation])
        return found.get("onset_f1", 0.0) + found.get("offset_f1", 0.0)

    return decoders.best(made, judge) if validation else made[0]


def decoder_to_json(decoder: Any) -> dict[str, Any]:
    return {"numbers": dict(decoder.numbers)}


def decoder_from_json(saved: Mapping[str, Any]) -> Any:
    from audiomtl.nn.decoding.decoders import VoiceDecoder

    return VoiceDecoder(dict(saved["numbers"]))


def per_clip(name: str, head: Any, answer: Answer, names: Sequence[str], settings: Any) -> dict[str, float]:
    """onset_f1; of a clip without notes, true or found, nothing. pitch_right and sung: steps."""
    found = spans(head, answer, names, settings)
    sung = answer.target != REST
    right = sung & (answer.target == _paths([answer])[0])
    counted = {f"{name}_pitch_right": float(right.sum()), f"{name}_sung": float(sung.sum())}
    return counted | metrics_of_clip(name, _written(answer, head.reads(""), settings), found)


def metrics_of_clip(name: str, written: Sequence[Note], found: Sequence[Note]) -> dict[str, float]:
    """onset_f1 of one clip."""
    if not len(written) and not len(found):
        return {}
    return {f"{name}_onset_f1": metrics.transcription([written], [found])["onset_f1"]}


def scores(
    head: Any, answers: Sequence[Answer], names: Sequence[str], settings: Any, *, every_score: bool
) -> dict[str, float]:
    paths = _paths(answers)  # at once, which is faster; `spans` then finds them
    found = [spans(head, one, names, settings) for one in answers]
    written = [_written(one, head.reads(""), settings) for one in answers]
    total = metrics.transcription(written, found) if any(map(len, written)) or any(map(len, found)) else {}
    truth_keys = np.concatenate([one.target for one in answers])
    said_keys = np.concatenate(paths)
    total["frame_accuracy"] = float(np.mean(truth_keys == said_keys))
    if (truth_keys != REST).any():
        midi = [np.where(keys == REST, 0, keys + LOWEST) for keys in (truth_keys, said_keys)]
        total |= metrics.melody(*midi)
    return total


def _written(answer: Answer, column: str, settings: Any) -> list[Note]:
    """A clip's true notes; of a melody that is given frame by frame the runs of its keys."""
    if not _by_frame(answer.row[column]):
        return as_notes(answer.row[column])
    found = runs(answer.target, step_times(answer.n_frames, settings))
    return [(max(start, 0.0), end, key + LOWEST) for start, end, key in found if key != REST]


def panel(head: Any, answer: Answer, names: Sequence[str], settings: Any) -> tuple[str, tuple[Any, ...]]:
    """Notes, true and found."""
    truth = _written(answer, head.reads(""), settings) if answer.target is not None else []
    return "notes", (
        truth,
        kind(head.kind).spans(head, answer, names, settings),
    )
