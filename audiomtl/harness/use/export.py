"""The ``export`` command: a best run as files for serving, and as champion of its name in MLflow.

Contents: `export`, `Written`.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import catalog, formats
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance, registry
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.refit import TOLD
from audiomtl.harness.use import card
from audiomtl.harness.use.models import Loaded, opened
from audiomtl.harness.use.trained import Model

EXAMPLE_SECONDS = 1.0
NEAR = 1e-3  # of probabilities and seconds
WHAT = {
    "model": "the trained model, for audiomtl (`audiomtl predict`, `audiomtl.load`)",
    "saved_model": "TensorFlow SavedModel, from a waveform to answers",
    "model.tflite": "the same as TFLite",
    "classes.txt": "classes in the order of the outputs",
}


@dataclass(frozen=True)
class Written:
    """What was exported."""

    loaded: Loaded
    files: tuple[str, ...] = ("model",)
    checks: tuple[str, ...] = ()  # how far files agree with the model in memory, a line each
    left_out: tuple[str, ...] = ()  # files that could not be made, and why
    interface: str = ""
    served: str = "model"  # what MLflow serves
    version: str = ""  # in MLflow's registry; "" if it is not registered


def export(
    file: ExperimentFile,
    folder: Path,
    *,
    seed: int | None = None,
    registered: bool = True,
    licence: str = "",
    refit: bool = False,
) -> Written:
    """Write the best run of an experiment into ``folder`` and register it in MLflow.

    Raises
    ------
    UserError : no best run, a family whose models are not used on recordings, a folder that is not empty; a
        file that does not say what the model in memory says.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new or empty folder")
    loaded = opened(str(file.path), seed, refit=refit)
    folder.mkdir(parents=True, exist_ok=True)
    loaded.model.save(loaded.fitted, folder / "model")
    written = _files(loaded, folder)
    version = _register(file, loaded, folder, written.served) if registered else ""
    if version and written.served == "model":
        written = replace(
            written, checks=(*written.checks, *_check(loaded, f"models:/{file.name}/{version}"))
        )
    text = card.page(
        file,
        loaded,
        folder,
        version=version,
        licence=licence,
        files={name: WHAT.get(name, "") for name in written.files},
        interface=written.interface,
        checks=(*written.checks, *written.left_out),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    return replace(written, version=version)


def _files(loaded: Loaded, folder: Path) -> Written:
    """SavedModel and TFLite, where the family can compute its features in the graph."""
    name = loaded.settings.model
    if not find_spec(f"{config.package_of(name)}.export"):
        return Written(loaded, left_out=(f"no SavedModel: the family {name} computes in Python",))
    exporting = config.family("export", name)
    try:
        found = exporting.write(loaded.fitted, folder)
    except UserError as error:
        shutil.rmtree(folder / "saved_model", ignore_errors=True)
        return Written(loaded, left_out=(f"no SavedModel: {error}",))
    left_out = (found.reason,) if found.reason else ()
    served = getattr(exporting, "SERVED", "model")
    return Written(loaded, ("model", *found.files), found.checks, left_out, found.interface, served)


# ---------------------------------------------------------------- MLflow


def _register(file: ExperimentFile, loaded: Loaded, folder: Path, served: str) -> str:
    """Register the model under the experiment's name with the alias ``champion``; returns its version."""
    assert loaded.run is not None
    of_sound = bool(loaded.sample_rate) and not loaded.use.columns(loaded.settings)
    rate = loaded.sample_rate
    artifacts = {"model": folder / "model"} | ({served: folder / served} if served != "model" else {})
    alone = served != "model"  # needs no audiomtl
    with tempfile.TemporaryDirectory() as place:
        code = Path(place) / "served_model.py"  # by itself
        name = "served_model.py" if alone else "served_family.py"
        shutil.copyfile(str(resources.files("audiomtl") / "templates" / name), code)
        return registry.register(
            Tracking(),
            file.name,
            loaded.run.info.run_id,
            code=code,
            artifacts=artifacts,
            example=np.zeros(round(EXAMPLE_SECONDS * rate), np.float32) if of_sound else None,
            needs=_needs(("mlflow", "numpy", _tensorflow()) if alone else None),
            packages=[] if alone else _packages(loaded.settings.model),
        )


def _check(loaded: Loaded, address: str) -> tuple[str, ...]:
    """Refuse a registered model that does not say what the model in memory says: of noise, or of the first
    clip of the experiment's table for a model that reads further columns.
    """
    given: Any
    if loaded.sample_rate and not loaded.use.columns(loaded.settings):
        y = np.random.default_rng(0).uniform(-0.5, 0.5, round(EXAMPLE_SECONDS * loaded.sample_rate))
        given = y.astype(np.float32)
        [expected] = loaded.use.respond(loaded.fitted, [Recording("", given)])
    else:
        given = catalog.clips(loaded.settings.data)[:1]
        [expected] = Model(loaded).respond(given)
    answer = registry.answer(Tracking(), address, given)
    found = (answer if isinstance(answer, dict) else answer[0])["answers"]
    if not _near(found, formats.plain(expected)["answers"]):
        raise UserError(f"{address}: does not say what the model in memory says; please report this")
    return ("MLflow's model says what the model in memory says",)


def _near(one: Any, other: Any) -> bool:
    """Whether two answers as JSON has them are equal, numbers to `NEAR`; equal classes may change places."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        if one and "probability" in one[0]:
            one, other = ({each["label"]: each["probability"] for each in some} for some in (one, other))
            return _near(one, other)
        return len(one) == len(other) and all(_near(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= NEAR
    return bool(one == other)


def _packages(model: str) -> list[str]:
    """Folders of audiomtl and of a family outside it, which go with the model."""
    return [str(Path(place).parent) for place in provenance.source_files(model).values()]


def _needs(names: tuple[str, ...] | None) -> list[str]:
    """Installed versions as pip requirements: of packages by name, or of all that audiomtl needs."""
    if names is None:
        required = metadata.requires("audiomtl") or []
        named = [re.split(r"[^\w.-]", one)[0] for one in required if "extra ==" not in one]
        names = (*named, _tensorflow())
    return [f"{name}=={metadata.version(name)}" for name in sorted({*names})]


def _tensorflow() -> str:
    """The distribution that provides tensorflow."""
    return sorted(metadata.packages_distributions().get("tensorflow", ["tensorflow"]))[0]


def told(written: Written, folder: str) -> list[str]:
    """Lines of the command."""
    run: Any = written.loaded.run
    name = written.loaded.name
    protocol = getattr(written.loaded.settings, "protocol", None)
    on = f", trained on {TOLD[protocol.train_on]}" if protocol and protocol.train_on != "train" else ""
    lines = [f"{folder}: {name}, seed {run.data.tags['seed']}{on}: {', '.join(written.files)}, README.md"]
    lines += [f"{folder}: {line}" for line in (*written.checks, *written.left_out)]
    if written.version:
        lines.append(f"MLflow: models:/{name}@champion is version {written.version}")
    return lines
