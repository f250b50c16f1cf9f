"""Conversion between swept settings and Optuna's parameters, which are scalars: lists are encoded as JSON.

Contents: `suggest`, `encode`, `params_of`, `decode`.
"""

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from audiomtl import config
from audiomtl.config import StudyFile
from audiomtl.settings.budget import active
from audiomtl.settings.study import Dimension


def suggest(trial: Any, file: StudyFile) -> dict[str, Any]:
    """Values of the swept settings, from an Optuna trial.

    A conditional setting that is not used keeps the experiment's value and is left out.
    """
    values: dict[str, Any] = {}
    own = config.flatten(file.raw)
    for path in config.ordered(file.study.search):
        dimension = file.study.search[path]
        if not active(dimension, own | values):
            continue
        if dimension.choices is not None:
            values[path] = _decode(dimension, trial.suggest_categorical(path, _options(dimension)))
        elif dimension.whole:
            values[path] = trial.suggest_int(
                path, dimension.low, dimension.high, step=dimension.step or 1, log=dimension.log
            )
        else:
            values[path] = trial.suggest_float(
                path, dimension.low, dimension.high, step=dimension.step, log=dimension.log
            )
    return values


def encode(file: StudyFile, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's parameters of some settings."""
    found = {}
    for path, dimension in file.study.search.items():
        if active(dimension, flat):
            found[path] = json.dumps(flat[path]) if _lists(dimension) else flat[path]
    return found


def params_of(trial: FrozenTrial) -> dict[str, Any]:
    """The parameters of a trial, also of one that waits in the queue."""
    return trial.params or trial.system_attrs.get("fixed_params", {})


def decode(file: StudyFile, params: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of some Optuna parameters."""
    return {path: _decode(file.study.search[path], value) for path, value in params.items()}


def _lists(dimension: Dimension) -> bool:
    return any(isinstance(choice, list | dict) for choice in dimension.choices or [])


def _options(dimension: Dimension) -> list[Any]:
    choices = dimension.choices or []
    return [json.dumps(choice) for choice in choices] if _lists(dimension) else choices


def _decode(dimension: Dimension, value: Any) -> Any:
    return json.loads(value) if _lists(dimension) else value
