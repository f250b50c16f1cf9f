"""Use of a trained baseline on new recordings and on other labelled clips.

Contents: the functions of `contract.Use`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

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


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording."""
    found = []
    for one in recordings:
        frames = contract.heard(one, fitted.settings.features)
        row = row_of(frames, fitted.settings, partial(np.asarray, one.y))
        [(_, probabilities)] = outputs(fitted, [Example(one.name, row, -1)])
        answers = {"classes": contract.classes(fitted.settings, fitted.known.classes, probabilities)}
        found.append(Response(one.name, len(one.y) / sample_rate(fitted.settings), answers))
    return found


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows."""
    classes, label = fitted.known.classes, fitted.settings.data.label
    kept = contract.known_classes(table, label, classes)
    rows = rows_of(kept, fitted.settings)
    return [
        Example(clip, rows[clip], target(value, classes))
        for clip, value in zip(kept["clip_id"], kept[label], strict=True)
    ]
