"""Use of a trained fusion model on new recordings and on other labelled clips.

A recording is a row of a table, whose columns are the model's modalities. A modality that a recording lacks
is absent, as in training; one must be there. Sound whose column is ``path`` is the recording itself.

Contents: the functions of `contract.Use`; `check_model`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from audiomtl.data import audio, fetch
from audiomtl.data.answers import Recording, Response
from audiomtl.errors import UserError
from audiomtl.families import contract
from audiomtl.families.contract import Fitted
from audiomtl.families.fusion import inputs as modalities
from audiomtl.families.fusion.examples import Example, _as_array, _raw
from audiomtl.families.fusion.model import outputs
from audiomtl.families.fusion.settings import YAMNET_RATE, Modality, Settings
from audiomtl.nn.yamnet_store import embeddings_of

SOUND = "path"  # the column of a recording's own sound
LACKING = True  # a recording may lack inputs


def sample_rate(settings: Settings) -> int:
    own = [one for one in settings.used.values() if one.kind == "audio" and one.column == SOUND]
    return _rate(own[0], settings) if own else 0


def _rate(modality: Modality, settings: Settings) -> int:
    return YAMNET_RATE if modality.embedded else settings.features.sample_rate


def columns(settings: Settings) -> tuple[str, ...]:
    return tuple(name for name in _columns(settings) if name != SOUND or not sample_rate(settings))


def _columns(settings: Settings) -> list[str]:
    return [one.column for one in settings.used.values()]


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
            value = _frames(one, name, fitted)
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


def _frames(one: Recording, name: str, fitted: Fitted) -> np.ndarray | None:
    """Features, or embeddings, of the recording's own sound or of the file that a column names; None without
    either.
    """
    settings, modality = fitted.settings, fitted.settings.modalities[name]
    if modality.column != SOUND:
        path = one.columns.get(modality.column)
        if not isinstance(path, str) or not path:
            return None
        one = Recording(path, audio.load(path, sample_rate=_rate(modality, settings)))
    elif not len(one.y):
        return None
    if not modality.embedded:
        return contract.heard(one, settings.features)
    return embeddings_of(np.asarray(one.y, np.float32), _weights(name, fitted))


def _weights(name: str, fitted: Fitted) -> Path:
    """File of YAMNet's weights for a modality.

    Raises
    ------
    UserError : the weights on this machine are not those that the model was trained with.
    """
    place = fetch.weights(fitted.settings.modalities[name].weights)
    if (digest := fetch.digest(place)) != fitted.known.weights[name]:
        raise UserError(
            f"modalities.{name}.weights: {place} ({digest}): the model was trained with different weights"
            f" ({fitted.known.weights[name]}); use those or train again"
        )
    return place


def check_model(fitted: Fitted, place: str) -> None:
    """Reject other weights of YAMNet than those of the training."""
    for name in fitted.known.weights:
        _weights(name, fitted)


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
