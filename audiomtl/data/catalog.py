"""Clip tables by name: a generated corpus (``corpora/``) or a published data set (``datasets/``), found by its file's name.

Folders: ``AUDIOMTL_DATA`` (default ``data/``) holds published data, ``AUDIOMTL_CACHE`` (default ``cache/``) what the project makes.
Contents: `clips`, `module`, `modules`, `fingerprint`, `cache_folder`, `data_folder`.
"""

import hashlib
import importlib
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from audiomtl.data import files
from audiomtl.settings.shared import Grouped


def cache_folder() -> Path:
    """Where features and generated corpora are kept."""
    return Path(os.environ.get("AUDIOMTL_CACHE", "cache")).resolve()


def data_folder() -> Path:
    """Where published data sets are looked for."""
    return Path(os.environ.get("AUDIOMTL_DATA", "data")).resolve()


def module(data: Grouped) -> ModuleType:
    """The module that makes or reads the data which the settings name.

    ``dataset = "package.name"`` is ``package.data.corpora.name`` or ``package.data.datasets.name``, outside the project.
    """
    made, published = modules(data.dataset)  # type: ignore[attr-defined]
    return importlib.import_module(made if importlib.util.find_spec(made) else published)


def modules(dataset: str) -> tuple[str, str]:
    """Names of the two modules of which one makes, or reads, a data set."""
    package, _, name = dataset.rpartition(".")
    return f"{package or 'audiomtl'}.data.corpora.{name}", f"{package or 'audiomtl'}.data.datasets.{name}"


def clips(data: Grouped) -> pd.DataFrame:
    """The clip table that the settings name; a corpus is generated the first time.

    Raises
    ------
    MissingData : a published data set is not on this machine.
    """
    found = module(data)
    return found.clips(data, cache_folder() / "corpora" if ".corpora." in found.__name__ else data_folder())


def fingerprint(table: pd.DataFrame) -> str:
    """First 12 hexadecimal digits of a SHA-256 over every row, in which the bytes of a file stand for its path.

    So it holds for every file that a row names (a recording, its vocals, a picture, embeddings), and for the same data elsewhere.
    """
    total = hashlib.sha256()
    columns = sorted(table.columns)
    total.update(json.dumps(columns, ensure_ascii=False).encode())
    for _, row in table.sort_values("clip_id").iterrows():
        total.update(json.dumps([_content(row[column]) for column in columns], ensure_ascii=False).encode())
    return total.hexdigest()[:12]


def _content(value: Any) -> Any:
    """A cell as JSON has it; of an absolute path the bytes of its file, or its name where there is no file."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [_content(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _content(one) for name, one in value.items()}
    if isinstance(value, str | Path) and os.path.isabs(value):
        return {"file": files.digest(value)} if os.path.isfile(value) else os.path.basename(value)
    return str(value) if isinstance(value, Path) else value
