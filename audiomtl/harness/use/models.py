"""Load recorded models for use on new recordings.

Contents: `recorded_model`, `part`, `ready`, `checked_place`.
"""

import importlib
import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from audiomtl import config
from audiomtl.config import ExperimentFile
from audiomtl.data import audio
from audiomtl.errors import UserError
from audiomtl.harness import experiment
from audiomtl.harness.record import runs
from audiomtl.harness.record.store import Run
from audiomtl.settings.validation import nearest


def recorded_model(file: ExperimentFile, seed: int | None = None) -> tuple[Any, Run]:
    """The trained model, of any family, of the best run with the best score on validation, or of one seed.

    Raises
    ------
    UserError : there is no best run, or none of that seed.
    """
    tracking = runs.existing()
    chosen = runs.choose(file, tracking.runs(file.name)) if tracking else None
    if not chosen or not tracking:
        raise UserError(f"{file.path}: no recorded best run; run `audiomtl best {file.name}` first")
    name, direction = experiment.main_score(file), experiment.family_scores(file)[experiment.main_score(file)]
    scores = chosen.values(f"best/validation/{name}")
    if seed is not None and seed not in chosen.runs:
        raise UserError(
            f"--seed {seed}: no such best run of {file.name}; available seeds: {sorted(chosen.runs)}"
        )
    sign = -1 if direction == "maximize" else 1
    run = chosen.runs[min(scores, key=lambda one: (sign * scores[one], one)) if seed is None else seed]
    with tempfile.TemporaryDirectory() as folder:
        place = tracking.client.download_artifacts(run.info.run_id, "model", folder)
        return config.family("model", file.raw["model"]).load(Path(place)), run


def part(file: ExperimentFile, name: str, *offers: str) -> ModuleType:
    """The module ``name`` of an experiment's family that offers some functions.

    Raises
    ------
    UserError : the family has no such module, or it lacks one of them; the text says which families have
        them.
    """
    own = _module(file.raw["model"], name)
    if own is None or not all(hasattr(own, offer) for offer in offers):
        able = [
            model
            for model in config.families()
            if (one := _module(model, name)) and all(hasattr(one, offer) for offer in offers)
        ]
        raise UserError(
            f'{file.path}: model = "{file.raw["model"]}": this family does not support the command;'
            f" supported by: {', '.join(able)}"
        )
    return own


def _module(model: str, name: str) -> ModuleType | None:
    module = f"{config.package_of(model)}.{name}"
    return importlib.import_module(module) if importlib.util.find_spec(module) else None


def ready(
    file: ExperimentFile, sound: Path, verb: str, head: str, seed: int | None
) -> tuple[ModuleType, Any, np.ndarray]:
    """The family's module ``use``, which has a function ``verb``, the trained model, and the recording
    (n_samples,) at the model's rate.

    Parameters
    ----------
    head : one that can do it by name; "" for any.

    Raises
    ------
    UserError : a family that cannot do it; no such head; no best run; a sound that cannot be read.
    """
    use = part(file, "use", verb)
    use.check(file.settings, verb, head, str(file.path))
    audio.info(sound)
    fitted, run = recorded_model(file, seed)
    # which may have other settings than the file has by now
    use.check(fitted.settings, verb, head, f"run {run.info.run_id}")
    return use, fitted, audio.load(sound, sample_rate=fitted.settings.features.sample_rate)


def checked_place(path: Path, endings: Sequence[str], force: bool) -> Path:
    """Validate the output path before any work."""
    if path.suffix not in endings:
        raise UserError(f"--to {path}: must end in {', '.join(endings)}{nearest(path.suffix, endings)}")
    if not path.parent.is_dir():
        raise UserError(f"--to {path}: no such folder {path.parent}; create it first")
    if path.is_dir() or (path.exists() and not force):
        raise UserError(f"{path}: already exists; use --force to overwrite it, or --to to name another file")
    return path
