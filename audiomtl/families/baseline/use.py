"""Use of a trained baseline on new recordings and on other labelled clips.

Contents: the functions of `contract.Use`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import normalization
from audiomtl.data.answers import Recording, Response
from audiomtl.data.tags import target
from audiomtl.families import contract
from audiomtl.families.baseline.model import Example, outputs, row_of, rows_of
from audiomtl.families.baseline.settings import Settings
from audiomtl.families.contract import Fitted


def sample_rate(settings: Settings) -> int:
    return settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return ()


def gives(settings: Settings) -> dict[str, str]:
    return {"classes": "classes"}


def averaged_classes(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Classes of the answers that are averaged over models."""
    return {"classes": fitted.known.classes}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording."""
    found, settings = [], fitted.settings
    by = settings.features.normalize_by
    for one in recordings:
        frames, known = contract.heard(one, settings.features), fitted.known.normals
        normal = normalization.of_recording(frames, one.columns, by, known)
        row = row_of(frames, normal, fitted.settings, partial(np.asarray, one.y))
        [(_, probabilities)] = outputs(fitted, [Example(one.name, row, -1)])
        answers = {"classes": contract.classes(fitted.settings, fitted.known.classes, probabilities)}
        seconds = len(one.y) / sample_rate(settings)
        found.append(Response(one.name, seconds, answers, normalization.remarks(one, by, known)))
    return found


def adapted(fitted: Fitted, recordings: Iterable[Recording]) -> Fitted:
    """The model with the statistics of recordings that are answered together, for features.normalize_by."""
    normals = normalization.of_recordings(recordings, fitted.settings.features)
    return replace(fitted, known=replace(fitted.known, normals=normals))


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows."""
    classes, label = fitted.known.classes, fitted.settings.data.label
    kept = contract.known_classes(table, label, classes)
    rows = rows_of(kept, fitted.settings, trained=True)
    return [
        Example(clip, rows[clip], target(value, classes))
        for clip, value in zip(kept["clip_id"], kept[label], strict=True)
    ]
