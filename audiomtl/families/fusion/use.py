"""Use of a trained fusion model on new recordings and on other labelled clips.

A recording is a row of a table, whose columns are the model's modalities. A modality that a recording lacks
is absent, as in training; one must be there. Sound whose column is ``path`` is the recording itself.

Contents: the functions of `contract.Use`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio
from audiomtl.data.answers import Recording, Response
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.fusion import inputs as modalities
from audiomtl.families.fusion.examples import Example, _as_array, _raw
from audiomtl.families.fusion.model import outputs
from audiomtl.families.fusion.settings import Settings

SOUND = "path"  # the column of a recording's own sound
LACKING = True  # a recording may lack inputs


def sample_rate(settings: Settings) -> int:
    return settings.features.sample_rate if SOUND in _columns(settings, "audio") else 0


def columns(settings: Settings) -> tuple[str, ...]:
    return tuple(name for name in _columns(settings) if name != SOUND or not sample_rate(settings))


def _columns(settings: Settings, kind: str = "") -> list[str]:
    return [one.column for one in settings.used.values() if kind in ("", one.kind)]


def gives(settings: Settings) -> dict[str, str]:
    return {"classes": "classes"}


def averaged_classes(fitted: Fitted) -> dict[str, tuple[str, ...]]:
    """Classes of the answers that are averaged over models."""
    return {"classes": fitted.known.classes}


def respond(fitted: Fitted, recordings: Sequence[Recording]) -> list[Response]:
    """The class of each recording, from what it has of the modalities."""
    given = [_example(one, fitted) for one in recordings]
    found = {id(example): answer for example, answer in outputs(fitted, given)}
    responses = []
    for one, example in zip(recordings, given, strict=True):
        absent = [name for name, value in example.values.items() if value is None]
        remarks = (f"without {', '.join(absent)}",) if absent else ()
        rate = sample_rate(fitted.settings)
        seconds = len(one.y) / rate if rate and len(one.y) else float("nan")
        answers = {
            "classes": contract.classes(fitted.settings, fitted.known.classes, found[id(example)]["clip"])
        }
        responses.append(Response(one.name, seconds, answers, remarks))
    return responses


def _example(one: Recording, fitted: Fitted) -> Example:
    settings, values = fitted.settings, dict[str, np.ndarray | None]()
    for name, modality in settings.used.items():
        if modality.kind == "audio":
            value = _frames(one, modality.column, settings)
        else:
            row = pd.DataFrame({"clip_id": [one.name], modality.column: [one.columns.get(modality.column)]})
            [value] = modalities.values_of(row, name, modality)
        shape = fitted.known.shapes[name]
        if value is not None and modality.kind in ("image", "table") and np.shape(value) != shape:
            raise UserError(
                f"{one.name}: modalities.{name} has shape {np.shape(value)}, but the model was trained on"
                f" {shape}; resize it first"
            )
        values[name] = _as_array(value, name, settings, fitted.known)
    if all(value is None for value in values.values()):
        raise UserError(
            f"{one.name}: has none of the modalities {', '.join(values)}; give a table with at least one of"
            f" the columns {', '.join(_columns(settings))}"
        )
    return Example(one.name, -1, values)


def _frames(one: Recording, column: str, settings: Settings) -> np.ndarray | None:
    """Features of the recording's own sound, or of the file that a column names; None without either."""
    if column == SOUND:
        return contract.heard(one, settings.features) if len(one.y) else None
    path = one.columns.get(column)
    if not isinstance(path, str) or not path:
        return None
    y = audio.load(path, sample_rate=settings.features.sample_rate)
    return contract.heard(Recording(path, y), settings.features)


def examples(fitted: Fitted, table: pd.DataFrame) -> list[Any]:
    """Clips whose class the model knows, and which have a modality at least."""
    settings, known = fitted.settings, fitted.known
    label = settings.data.label
    kept = contract.known_classes(table, label, known.classes)
    for name, modality in settings.used.items():
        modalities.check_column(kept, name, modality, label)
    raw: Mapping[str, Mapping[str, Any]] = {name: _raw(kept, name, settings) for name in settings.used}
    made = [
        Example(
            clip,
            known.classes.index(str(value)),
            {name: _as_array(raw[name][clip], name, settings, known) for name in raw},
        )
        for clip, value in zip(kept["clip_id"], kept[label], strict=True)
    ]
    return [one for one in made if any(value is not None for value in one.values.values())]
