"""The ``export`` command: a best run, or the mean of those of all seeds, as files for serving, and as
champion of its name in MLflow.

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
from audiomtl.data.answers import Classes, Recording, Response
from audiomtl.errors import UserError
from audiomtl.harness.record import provenance, registry
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.refit import TOLD
from audiomtl.harness.use import card
from audiomtl.harness.use.average import Average
from audiomtl.harness.use.models import Loaded, averaged, opened
from audiomtl.harness.use.trained import Model

EXAMPLE_SECONDS = 1.0
NEAR = 1e-3  # of probabilities and seconds
MEAN_NEAR = 1e-6  # of probabilities of an average
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
    scored: str = ""  # of an average: whether it has a test score


def export(
    file: ExperimentFile,
    folder: Path,
    *,
    seed: int | None = None,
    registered: bool = True,
    licence: str = "",
    refit: bool = False,
    average: bool = False,
) -> Written:
    """Write the best run of an experiment, or the ``average`` of those of all seeds, into ``folder`` and
    register it in MLflow.

    Raises
    ------
    UserError : no best run, a family whose models are not used on recordings, a folder that is not empty; a
        file that does not say what the model in memory says.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new or empty folder")
    if average and seed is not None:
        raise UserError(f"--seed {seed}: --average takes the runs of all seeds; leave one of the two out")
    loaded = averaged(file, refit=refit) if average else opened(str(file.path), seed, refit=refit)
    folder.mkdir(parents=True, exist_ok=True)
    loaded.model.save(loaded.fitted, folder / "model")
    written = _files(loaded, folder)
    if average:
        written = replace(
            written,
            checks=(_check_mean(loaded, folder), *written.checks),
            scored=card.of_average(loaded),
        )
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
        scored=written.scored,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    return replace(written, version=version)


def _files(loaded: Loaded, folder: Path) -> Written:
    """SavedModel and TFLite, where the family can compute its features in the graph."""
    name = loaded.settings.model
    if not find_spec(f"{config.package_of(name)}.export"):
        return Written(loaded, left_out=(f"no SavedModel: the family {name} computes in Python",))
    exporting, fitted = config.family("export", name), loaded.fitted
    mean = isinstance(fitted, Average)
    if mean and not hasattr(exporting, "write_average"):
        return Written(
            loaded, left_out=(f"no SavedModel: the family {name} writes those of single models only",)
        )
    try:
        found = exporting.write_average(fitted.members, folder) if mean else exporting.write(fitted, folder)
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
            description=card.trained(loaded) if loaded.runs else "",
        )


def _check(loaded: Loaded, address: str) -> tuple[str, ...]:
    """Refuse a registered model that does not say what the model in memory says: of noise, or of the first
    clip of the experiment's table for a model that reads further columns.
    """
    given = _example(loaded)
    expected = _said(loaded, given)
    answer = registry.answer(Tracking(), address, given)
    found = (answer if isinstance(answer, dict) else answer[0])["answers"]
    if not _near(found, expected):
        raise UserError(f"{address}: does not say what the model in memory says; please report this")
    return ("MLflow's model says what the model in memory says",)


def _check_mean(loaded: Loaded, folder: Path) -> str:
    """Refuse an average that, read again from its folder, does not give the mean of what its models give one
    by one; otherwise a line that says so.
    """
    given = _example(loaded)
    read = _probabilities(_response(opened(str(folder)), given))
    use, family = (config.family(part, loaded.settings.model) for part in ("use", "model"))
    each = [
        _probabilities(_response(Loaded(loaded.name, loaded.place, member, use, family), given))
        for member in loaded.fitted.members
    ]
    difference = max(
        float(np.abs(np.mean([one[name] for one in each], axis=0) - read[name]).max()) for name in read
    )
    if not difference <= MEAN_NEAR:
        raise UserError(
            f"{folder / 'model'}: its answers differ by {difference:.2g} from the mean of its models'"
            " answers; please report this"
        )
    return f"model, read again: within {difference:.1e} of the mean of its {len(each)} models' answers"


def _probabilities(response: Response) -> dict[str, np.ndarray]:
    return {name: one.probabilities for name, one in response.answers.items() if isinstance(one, Classes)}


def _example(loaded: Loaded) -> Any:
    """A waveform at the model's rate, or the first clip of the experiment's table."""
    if loaded.sample_rate and not loaded.use.columns(loaded.settings):
        y = np.random.default_rng(0).uniform(-0.5, 0.5, round(EXAMPLE_SECONDS * loaded.sample_rate))
        return y.astype(np.float32)
    return catalog.clips(loaded.settings.data)[:1]


def _response(loaded: Loaded, given: Any) -> Response:
    if isinstance(given, np.ndarray):
        [response] = loaded.use.respond(loaded.fitted, [Recording("", given)])
    else:
        [response] = Model(loaded).respond(given)
    return response


def _said(loaded: Loaded, given: Any) -> Any:
    return formats.plain(_response(loaded, given))["answers"]


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
    if isinstance(written.loaded.fitted, Average):
        which = f"{written.loaded.fitted.told} (runs {', '.join(written.loaded.fitted.runs)})"
    else:
        which = f"seed {run.data.tags['seed']}"
    lines = [f"{folder}: {name}, {which}{on}: {', '.join(written.files)}, README.md"]
    lines += [f"{folder}: {written.scored}"] if written.scored else []
    lines += [f"{folder}: {line}" for line in (*written.checks, *written.left_out)]
    if written.version:
        lines.append(f"MLflow: models:/{name}@champion is version {written.version}")
    return lines
