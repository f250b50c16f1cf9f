"""Clip tables by name: a generated corpus (``corpora/``) or a published data set (``datasets/``), found by its file's name.

Folders: ``AUDIOMTL_DATA`` (default ``data/``) holds published data, ``AUDIOMTL_CACHE`` (default ``cache/``) what the project makes.
Contents: `clips`, `module`, `fingerprint`, `cache_folder`, `data_folder`.
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
    package, _, name = data.dataset.rpartition(".")  # type: ignore[attr-defined]
    made = f"{package or 'audiomtl'}.data.corpora.{name}"
    return importlib.import_module(made if importlib.util.find_spec(made) else f"{package or 'audiomtl'}.data.datasets.{name}")


def clips(data: Grouped) -> pd.DataFrame:
    """The clip table that the settings name; a corpus is generated the first time.

    Raises
    ------
    MissingData : a published data set is not on this machine.
    """
    found = module(data)
    return found.clips(data, cache_folder() / "corpora" if ".corpora." in found.__name__ else data_folder())


def fingerprint(table: pd.DataFrame) -> str:
    """First 12 hexadecimal digits of a SHA-256 over every column but the path, and the bytes of every recording."""
    total = hashlib.sha256()
    columns = sorted(set(table.columns) - {"path"})
    for _, row in table.sort_values("clip_id").iterrows():
        total.update(json.dumps([_plain(row[column]) for column in columns], ensure_ascii=False).encode())
        total.update(hashlib.sha256(Path(row["path"]).read_bytes()).digest())
    return total.hexdigest()[:12]


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
