"""A family's settings: how they are found by name, validated, and which of them affect a training.

Contents: `package_of`, `families`, `family`, `settings_class`, `settings_of`, `scores`, `trained_settings`,
 `scored_settings`, `is_scored`, `known_path`.
"""

import importlib
from collections.abc import Iterable, Mapping
from copy import copy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from audiomtl.errors import UserError
from audiomtl.settings.clips import DataSet, several
from audiomtl.settings.datasets import dataset
from audiomtl.settings.toml import flatten
from audiomtl.settings.validation import first_error, nearest, show

# tables and keys that change no score
NOT_SCORED = (
    "description",
    "seeds",
    "study_seed",
    "limits",
    "scores",
    "refit",
)
NOT_TRAINED = (*NOT_SCORED, "decoding")  # and those that change only how a trained network's answers are read


def package_of(model: str) -> str:
    """The package of a family: ``audiomtl.families.NAME``, or where the name has a dot the package
    outside the project that it names.
    """
    return model if "." in model else f"audiomtl.families.{model}"


def families() -> list[str]:
    """Names of the project's own families, sorted."""
    return sorted(path.parent.name for path in (Path(__file__).parents[1] / "families").glob("*/model.py"))


def family(part: str, model: str) -> ModuleType:
    """A module of a family's package: its ``settings``, its ``model`` ..."""
    package = "." in model
    module = f"{package_of(model)}.{part}"
    known = families()
    found = None
    if all(part.isidentifier() for part in model.split(".")):
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not error.name or not f"{module}.".startswith(f"{error.name}."):
                raise  # the family is there, but something that it imports is not
    if found is None:
        hint = (
            f"; is {model.split('.')[0]} installed, or on PYTHONPATH?" if package else nearest(model, known)
        )
        raise UserError(f"model = {show(model)}: no module {module}{hint}; families here: {', '.join(known)}")
    if part == "settings" and not (hasattr(found, "Settings") and hasattr(found, "SCORES")):
        hint = nearest(model, known)
        raise UserError(
            f"model = {show(model)}: {module} is not a family: it needs a class Settings and SCORES{hint};"
            f" families here: {', '.join(known)}"
        )
    return found


def settings_class(raw: Mapping[str, Any], place: str) -> Any:
    """The class that checks an experiment: its family's settings, with those of its data set in the place
    of ``[data]``.
    """
    model = raw.get("model")
    if model is None:
        slip = nearest("model", [key for key, value in raw.items() if not isinstance(value, dict)]).replace(
            "did you mean", "is it"
        )
        raise UserError(f'{place}: model is missing{slip}; name the family, such as model = "ctc"')
    if not isinstance(model, str):
        raise UserError(
            f'{place}: model = {show(model)}: must be the name of a family in quotes, such as "ctc"'
        )
    try:
        Settings = family("settings", model).Settings
        data = raw.get("data")
        if (
            not isinstance(data, Mapping)
            or "data" not in Settings.model_fields
            or Settings.model_fields["data"].annotation is not DataSet
        ):
            return Settings
        return _with_data(Settings, _data_class(data))
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _data_class(data: Mapping[str, Any]) -> type[DataSet]:
    """The class of a data set's settings."""
    name = data.get("dataset")
    if name is None:
        slip = nearest("dataset", [key for key in data if key != "dataset"]).replace(
            "did you mean ", "is it data."
        )
        raise UserError(f'data.dataset is missing{slip}; name the data set, such as dataset = "manifest"')
    if not isinstance(name, str):
        raise UserError(
            f'data.dataset = {show(name)}: must be the name of a data set in quotes, such as "manifest"'
        )
    return dataset(name).Settings


@cache
def _with_data(Settings: type[BaseModel], Data: type[DataSet]) -> Any:
    field = copy(Settings.model_fields["data"])
    return create_model(
        Settings.__name__,
        __base__=Settings,
        __module__=Settings.__module__,
        __doc__=Settings.__doc__,
        data=(Data, field),
    )


def settings_of(raw: Mapping[str, Any], place: str) -> Any:
    """Typed settings from a raw table; ``place`` (file, ablation, trial) begins the message of a
    `UserError`.
    """
    Settings = settings_class(raw, place)
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{place}: {first_error(error, Settings)}") from None
    if several(raw.get("data", {})) and not hasattr(family("settings", raw["model"]), "TAG_SCORES"):
        able = [name for name in families() if hasattr(family("settings", name), "TAG_SCORES")]
        raise UserError(
            f'{place}: data.labels = "several": model = {show(raw["model"])} does not learn several labels'
            f" per clip; {', '.join(able)} do"
        )
    return settings


def scores(raw: Mapping[str, Any]) -> dict[str, str]:
    """{score: direction} of the recorded scores, the main score first: the file's table ``scores``, or the
    family's ``SCORES``, with several labels per clip its ``TAG_SCORES``.
    """
    if "scores" in raw:
        return dict(raw["scores"])
    own = family("settings", raw["model"])
    return dict(own.TAG_SCORES if several(raw.get("data", {})) else own.SCORES)


def trained_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings that affect what a training computes."""
    return {path: value for path, value in flatten(raw).items() if path.split(".")[0] not in NOT_TRAINED}


def scored_settings(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings that affect the scores of a training: training and decoding."""
    return {path: value for path, value in flatten(raw).items() if is_scored(path)}


def is_scored(path: str) -> bool:
    """Whether the setting at ``path`` affects scores."""
    return path.split(".")[0] not in NOT_SCORED


def known_path(path: str, known: Iterable[str], place: str) -> None:
    """Raise an error for a setting path that is not in ``known`` and suggest the closest one."""
    known = list(known)
    if path not in known:
        elsewhere = [name for name in known if name.rpartition(".")[2] == path.rpartition(".")[2]]
        raise UserError(f"{place}: no such setting{nearest(path, elsewhere) or nearest(path, known)}")
