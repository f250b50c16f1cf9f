"""Use of a trained multiple-instance model on new recordings and on other labelled clips.

Contents: the functions of `contract.Use`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import windows
from audiomtl.data.answers import Answer, Recording, Response, segments
from audiomtl.data.tags import target
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.mil.examples import Example, _examples, _length
from audiomtl.families.mil.model import outputs
from audiomtl.families.mil.settings import Settings


def sample_rate(settings: Settings) -> int:
    return 0 if settings.network.window == "embedding" else settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return ("embedding_path",) if settings.network.window == "embedding" else ()


def gives(settings: Settings) -> dict[str, str]:
    return {name: name for name in ("classes", *(("segments",) if sample_rate(settings) else ()))}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording, and those of its windows."""
    given = [_example(one, fitted.settings) for one in recordings]
    found = {id(example): answer for example, answer in outputs(fitted, given)}
    return [
        _response(one, example, found[id(example)], fitted)
        for one, example in zip(recordings, given, strict=True)
    ]


def _example(one: Recording, settings: Settings) -> Example:
    """A recording as a bag of windows."""
    if settings.network.window == "embedding":
        vectors = contract.stored(one, "embedding_path")
        return Example(one.name, vectors, np.arange(len(vectors)), -1, None)
    frames = contract.heard(one, settings.features)
    first = windows.starts(len(frames), settings.windows, settings.features)
    if not len(first):
        raise UserError(
            f"{one.name}: {len(one.y) / sample_rate(settings):.3g} s are shorter than a window of"
            f' {settings.windows.seconds:g} s, and the model was trained with windows.tail = "drop"; give a'
            " longer recording"
        )
    return Example(one.name, frames, first, -1, None)


def _response(one: Recording, example: Example, answer: dict[str, np.ndarray], fitted: Fitted) -> Response:
    settings, classes = fitted.settings, fitted.known.classes
    answers: dict[str, Answer] = {"classes": contract.classes(settings, classes, answer["clip"])}
    if settings.network.window == "embedding":
        return Response(one.name, float("nan"), answers)
    seconds, step = len(one.y) / sample_rate(settings), settings.features.seconds_per_frame
    length = _length(settings) * step
    answers["segments"] = segments(classes, example.first * step, length, answer["windows"], until=seconds)
    return Response(one.name, seconds, answers, contract.padded(seconds, settings.windows.seconds))


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows."""
    classes, label = fitted.known.classes, fitted.settings.data.label
    kept = contract.known_classes(table, label, classes)
    return [
        replace(example, label=target(value, classes))
        for example, value in zip(_examples(kept, fitted.settings), kept[label], strict=True)
    ]
