"""Use of a trained multiple-instance model on new recordings and on other labelled clips.

Contents: the functions of `contract.Use`; `stream`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from audiomtl.data import fetch, normalization, scaling, windows
from audiomtl.data.answers import Answer, Recording, Response, Stream, segments
from audiomtl.data.stream import blocks, frame_parts
from audiomtl.data.tags import target
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.mil.examples import Example, _examples, _length, window_seconds
from audiomtl.families.mil.model import outputs
from audiomtl.families.mil.settings import Settings
from audiomtl.nn import yamnet
from audiomtl.nn.yamnet_store import embeddings_of

BLOCK = 16  # windows of a stream whose frames are read at once
BLOCK_SAMPLES = 2**18


def sample_rate(settings: Settings) -> int:
    if settings.network.window == "yamnet":
        return yamnet.SAMPLE_RATE
    return 0 if settings.network.window == "embedding" else settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return ("embedding_path",) if settings.network.window == "embedding" else ()


def gives(settings: Settings) -> dict[str, str]:
    return {name: name for name in ("classes", *(("segments",) if sample_rate(settings) else ()))}


def averaged_classes(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Classes of the answers that are averaged over models."""
    return {"classes": fitted.known.classes}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording, and those of its windows."""
    given = [_example(one, fitted) for one in recordings]
    found = {id(example): answer for example, answer in outputs(fitted, given)}
    return [
        _response(one, example, found[id(example)], fitted)
        for one, example in zip(recordings, given, strict=True)
    ]


def adapted(fitted: Fitted, recordings: Iterable[Recording]) -> Fitted:
    """The model with the statistics of recordings that are answered together, for features.normalize_by."""
    normals = normalization.of_recordings(recordings, fitted.settings.features)
    return replace(fitted, known=replace(fitted.known, normals=normals))


def _example(one: Recording, fitted: Fitted) -> Example:
    """A recording as a bag of windows."""
    settings = fitted.settings
    if settings.network.window == "embedding":
        vectors = contract.stored(one, "embedding_path")
        return Example(one.name, vectors, np.arange(len(vectors)), -1, None)
    if settings.network.window == "yamnet":
        return _embedded(one, fitted)
    frames = contract.heard(one, settings.features)
    by = settings.features.normalize_by
    frames = normalization.of_recording(frames, one.columns, by, fitted.known.normals)
    first = windows.starts(len(frames), settings.windows, settings.features)
    if not len(first):
        raise UserError(
            f"{one.name}: {len(one.y) / sample_rate(settings):.3g} s are shorter than a window of"
            f' {settings.windows.seconds:g} s, and the model was trained with windows.tail = "drop"; give a'
            " longer recording"
        )
    return Example(one.name, frames, first, -1, None)


def _embedded(one: Recording, fitted: Fitted) -> Example:
    """A recording as a bag of YAMNet's patches."""
    if not len(one.y):
        raise UserError(f"{one.name}: no samples; the model reads sound")
    vectors = embeddings_of(np.asarray(one.y, np.float32), _weights(fitted))
    return Example(one.name, vectors, np.arange(len(vectors)), -1, None)


def _weights(fitted: Fitted) -> Path:
    """File of YAMNet's weights.

    Raises
    ------
    UserError : the weights on this machine are not those that the model was trained with.
    """
    place = fetch.weights(fitted.settings.network.weights)
    if (digest := fetch.digest(place)) != fitted.known.weights_digest:
        raise UserError(
            f"{place} ({digest}): the model was trained with different weights"
            f" ({fitted.known.weights_digest}); use those or train again"
        )
    return place


def check_model(fitted: Fitted, place: str) -> None:
    """Reject other weights of YAMNet than those of the training."""
    if fitted.settings.network.window == "yamnet":
        _weights(fitted)


def _response(one: Recording, example: Example, answer: dict[str, np.ndarray], fitted: Fitted) -> Response:
    settings, classes = fitted.settings, fitted.known.classes
    answers: dict[str, Answer] = {"classes": contract.classes(settings, classes, answer["clip"])}
    if settings.network.window == "embedding":
        return Response(one.name, float("nan"), answers)
    seconds, (step, length) = len(one.y) / sample_rate(settings), window_seconds(settings)
    answers["segments"] = segments(classes, example.first * step, length, answer["windows"], until=seconds)
    vectors = settings.network.window == "yamnet"
    remarks = contract.padded(seconds, length if vectors else settings.windows.seconds)
    remarks += normalization.remarks(one, settings.features.normalize_by, fitted.known.normals)
    return Response(one.name, seconds, answers, remarks)


# ---------------------------------------------------------------- files of any length


def stream(fitted: Fitted, path: str | Path) -> Stream:
    """Scores of the windows of a file, in constant memory: those that `respond` gives, to the last bits of a
    float32. Scaling by the clip takes a first pass over the file.

    Raises
    ------
    UserError : the model reads stored embeddings; a file without a window.
    """
    settings, classes = fitted.settings, fitted.known.classes
    if settings.network.window == "embedding":
        raise UserError('network.window = "embedding": the model reads stored embeddings; leave out --stream')
    if settings.network.window == "yamnet":
        raise UserError('network.window = "yamnet": the recording is read as a whole; leave out --stream')
    step = settings.features.seconds_per_frame
    windows_of = _streamed(fitted, str(path))
    return Stream(classes, _length(settings) * step, ((first * step, row) for first, row in windows_of))


def _parts(path: str, settings: Settings) -> Iterator[np.ndarray]:
    """Features of a file, `BLOCK` windows at a time."""
    rate, count = settings.features.sample_rate, BLOCK * _length(settings)
    return frame_parts(blocks(path, sample_rate=rate, samples=BLOCK_SAMPLES), settings.features, count)


def _streamed(fitted: Fitted, path: str) -> Iterator[tuple[int, np.ndarray]]:
    """(first frame, probabilities) of each window."""
    settings, scaler, statistics = fitted.settings, fitted.known.scaler, scaling.Statistics()
    if scaling.of_clip(scaler.kind):
        for part in _parts(path, settings):
            statistics.add(part)
    length, origin, done = _length(settings), 0, 0  # frames that are gone; windows that are answered
    held = np.zeros((0, settings.features.n_bands), np.float32)
    least = np.full((1, settings.features.n_bands), np.inf, np.float32)

    def answer(first: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        scaled = scaling.apply_part(held, scaler, statistics)
        missing = int(first[-1]) + length - origin - len(scaled)
        if missing > 0:  # the end of the file: as `windows.cut` fills it up
            filling = scaling.apply_part(least, scaler, statistics)
            scaled = np.concatenate([scaled, np.repeat(filling, missing, axis=0)])
        some = windows.cut(scaled, first - origin, length).transpose(0, 2, 1)[..., None]
        counts = tf.constant([len(first)], tf.int32)
        found = fitted.forward([tf.constant(np.ascontiguousarray(some)), counts])
        yield from zip(first.tolist(), np.asarray(found["windows"]), strict=True)

    for part in _parts(path, settings):
        held = np.concatenate([held, part])
        least = np.minimum(least, part.min(axis=0, keepdims=True))
        every = windows.starts(origin + len(held), settings.windows, settings.features)
        whole = every[done:][every[done:] + length <= origin + len(held)]
        # the last one may be moved by windows.tail
        ready = whole[:-1]
        if len(ready):
            yield from answer(ready)
            done += len(ready)
            held, origin = held[ready[-1] - origin :], int(ready[-1])
    left = windows.starts(origin + len(held), settings.windows, settings.features)[done:]
    if not len(left) and not done:
        raise UserError(
            f'{path}: is shorter than a window, and the model was trained with windows.tail = "drop"; give a'
            " longer recording"
        )
    if len(left):
        yield from answer(left)


# ---------------------------------------------------------------- labelled clips


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows."""
    classes, label = fitted.known.classes, fitted.settings.data.label
    kept = contract.known_classes(table, label, classes)
    return [
        replace(example, label=target(value, classes))
        for example, value in zip(_examples(kept, fitted.settings, trained=True), kept[label], strict=True)
    ]
