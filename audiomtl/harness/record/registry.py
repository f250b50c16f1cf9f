"""MLflow's registry of models: register the best run of an experiment, and fetch what is registered.

Contents: `register`, `answer`, `fetched`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from audiomtl.errors import UserError
from audiomtl.harness.record.store import Tracking

AVERAGE = "average.json"  # in the folder of a mean of several models: see `harness.use.average`
MODEL = "model"  # artifact of a registered model: the folder that its family wrote


def register(
    tracking: Tracking,
    name: str,
    run_id: str,
    *,
    code: Path,
    artifacts: Mapping[str, Path],
    example: np.ndarray | None,
    needs: Sequence[str],
    packages: Sequence[str] = (),
    description: str = "",
) -> str:
    """Log a model into a run and register it under ``name`` with the alias ``champion``.

    Parameters
    ----------
    code : a file that sets MLflow's model. artifacts : files and folders that it reads, by name.
    example : a waveform (n_samples,), which also says what inputs are; None for a model that reads rows of a
        table.
    needs : pip requirements. packages : folders of Python packages that go with the model. description : of
        the version.

    Returns
    -------
    the version under ``name``
    """
    signature = None
    if example is not None:
        signature = ModelSignature(Schema([TensorSpec(np.dtype(np.float32), (-1,))]))
    mlflow.set_tracking_uri(tracking.uri)  # its store has the engine that `client` opened
    with mlflow.start_run(run_id=run_id):
        made = mlflow.pyfunc.log_model(
            name="served_model",
            python_model=str(code),
            artifacts={key: str(place) for key, place in artifacts.items()},
            signature=signature,
            input_example=example,
            pip_requirements=list(needs),
            code_paths=list(packages) or None,
            registered_model_name=name,
        )
    version = str(made.registered_model_version)
    if description:
        tracking.client.update_model_version(name, version, description)
    tracking.client.set_registered_model_alias(name, "champion", version)
    return version


def answer(tracking: Tracking, address: str, example: Any) -> Any:
    """What a registered model says, loaded as a server loads it."""
    mlflow.set_tracking_uri(tracking.uri)
    return mlflow.pyfunc.load_model(address).predict(example)


def fetched(address: str, folder: Path) -> Path:
    """Download a registered model into ``folder``; returns the folder that its family wrote.

    Raises
    ------
    UserError : no such model, or one that was not registered by `register` with its folder.
    """
    mlflow.set_tracking_uri(Tracking().uri)
    try:
        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder)))
    except MlflowException as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{address}: not in the registry ({reason}); register it with `audiomtl export`"
        ) from None
    found = sorted(path.parent for path in place.rglob(AVERAGE)) or sorted(
        path.parent for path in place.rglob("use.json")
    )
    if not found:
        raise UserError(f"{address}: has no trained model that audiomtl reads; export it again")
    return found[0]
