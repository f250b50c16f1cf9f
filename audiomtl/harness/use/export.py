"""The ``export`` command: a best run as files for serving, and as champion of its name in MLflow.

Contents: `export`, `register`.
"""

import shutil
import tempfile
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from audiomtl.config import ExperimentFile
from audiomtl.errors import UserError
from audiomtl.harness import experiment
from audiomtl.harness.record.store import Run, Tracking
from audiomtl.harness.use.models import part, recorded_model

SAMPLES_OF_EXAMPLE = 16000


def export(
    file: ExperimentFile, folder: Path, *, seed: int | None = None, registered: bool = True
) -> tuple[Any, Run, str]:
    """Write the best run of an experiment into ``folder`` and register it in MLflow.

    Returns
    -------
    what was written, the run, and the version under which it is registered ("" without)

    Raises
    ------
    UserError : no best run, a model that takes no waveform or is not a network, a folder that is not empty,
        different weights.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new or empty folder")
    exporting = part(file, "export", "write")
    fitted, run = recorded_model(file, seed)
    name = experiment.main_score(file)
    about = {"name": file.name, "seed": run.data.tags["seed"], "run": run.info.run_id, "score": name}
    about["value"] = f"{run.data.metrics[f'best/validation/{name}']:.4f}"
    written = exporting.write(fitted, folder, about)
    version = register(file.name, folder, run.info.run_id) if registered else ""
    return written, run, version


def register(name: str, folder: Path, run_id: str) -> str:
    """Register the SavedModel under ``name`` with the alias ``champion``; returns its version."""
    needs = [f"{package}=={metadata.version(package)}" for package in ("mlflow", "numpy", _tensorflow())]
    with tempfile.TemporaryDirectory() as place:
        code = Path(place) / "served_model.py"  # by itself: the model needs no audiomtl
        shutil.copyfile(str(resources.files("audiomtl") / "templates" / "served_model.py"), code)
        example = np.zeros(SAMPLES_OF_EXAMPLE, np.float32)
        return Tracking().register_champion(name, run_id, code, folder / "saved_model", example, needs)


def _tensorflow() -> str:
    """The distribution that provides tensorflow."""
    return sorted(metadata.packages_distributions().get("tensorflow", ["tensorflow"]))[0]
