"""``use.json``, which a family saves beside its weights: settings, classes ..., and the versions of the code that computes its inputs.

Versions are numbers, or a front end's profile, by name: a model that was trained on other features than this code computes would give
wrong answers without a word.

Contents: `write`, `read`, `of_features`.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from audiomtl.data import features
from audiomtl.errors import UserError
from audiomtl.settings.family import settings_of
from audiomtl.settings.saved import upgraded
from audiomtl.settings.toml import flatten

FIRST = {"features": 1, "embeddings": 1}  # versions of a file that names none; the profile of YAMNet then stood beside the settings
S = TypeVar("S", bound=BaseModel)


def of_features(settings: Any) -> dict[str, Any]:
    """The versions of a model that reads `features.extract`."""
    return {"features": features.FEATURES_VERSION}


def write(folder: Path, use: Mapping[str, Any], settings: BaseModel, versions: Callable[[Any], Mapping[str, Any]]) -> None:
    """Write ``use``, the settings and their ``versions`` to ``folder/use.json``."""
    kept = {**use, "settings": settings.model_dump(mode="json", exclude_none=True), "versions": versions(settings)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "use.json").write_text(json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")


def read(folder: Path, kind: type[S], versions: Callable[[S], Mapping[str, Any]]) -> tuple[dict[str, Any], S]:
    """What `write` wrote, and its settings; also from a file that version 0.1.0 wrote.

    Parameters
    ----------
    kind : class of the family's settings.

    Raises
    ------
    UserError : the model was trained on what another version of this code computed.
    """
    path = folder / "use.json"
    use = json.loads(path.read_text(encoding="utf-8"))
    settings = settings_of(upgraded(use["settings"]), str(path))
    assert isinstance(settings, kind)
    found = flatten(use.get("versions", {**FIRST, "profile": use.get("profile", {})}))
    for name, wanted in flatten(versions(settings)).items():
        if found.get(name) != wanted:
            raise UserError(
                f"{path}: versions.{name} = {json.dumps(found.get(name))}: must be {json.dumps(wanted)}, the version of this code, "
                "which computes other inputs than the model was trained on; train it again with `audiomtl best NAME --again`"
            )
    return use, settings
