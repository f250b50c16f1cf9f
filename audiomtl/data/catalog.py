"""Clip tables by name: a generated corpus (``corpora/``) or a published data set (``datasets/``), found by
its file's name.

Folders: ``AUDIOMTL_DATA`` (default ``data/``) holds published data, ``AUDIOMTL_CACHE`` (default ``cache/``)
what the project makes. Contents: `clips`, `module`, `fingerprint`, `cache_folder`, `data_folder`.
"""

import hashlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from audiomtl.data import files
from audiomtl.settings.clips import DataSet
from audiomtl.settings.datasets import dataset


def cache_folder() -> Path:
    """Folder of features and generated corpora."""
    return Path(os.environ.get("AUDIOMTL_CACHE", "cache")).resolve()


def data_folder() -> Path:
    """Folder of published data sets."""
    return Path(os.environ.get("AUDIOMTL_DATA", "data")).resolve()


def module(data: DataSet) -> ModuleType:
    """The module that generates or reads the data set named in the settings."""
    return dataset(data.dataset)


def clips(data: DataSet) -> pd.DataFrame:
    """The clip table that the settings name; a corpus is generated the first time.

    Raises
    ------
    MissingData : a published data set is not on this machine.
    """
    found = module(data)
    generated = ".corpora." in found.__name__ or getattr(found, "GENERATED", False)
    return found.clips(data, cache_folder() / "corpora" if generated else data_folder())


def fingerprint(table: pd.DataFrame) -> str:
    """First 12 hexadecimal digits of a SHA-256 over every row, in which the bytes of a file stand for its
    path.

    So it holds for every file that a row names (a recording, its vocals, a picture, embeddings), and for the
    same data elsewhere.
    """
    total = hashlib.sha256()
    columns = sorted(table.columns)
    total.update(json.dumps(columns, ensure_ascii=False).encode())
    for _, row in table.sort_values("clip_id").iterrows():
        total.update(json.dumps([_content(row[column]) for column in columns], ensure_ascii=False).encode())
    return total.hexdigest()[:12]


def _content(value: Any) -> Any:
    """A cell as JSON; for an absolute path the bytes of its file, or its name if there is no file."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [_content(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _content(one) for name, one in value.items()}
    if isinstance(value, str | Path) and os.path.isabs(value):
        return {"file": files.digest(value)} if os.path.isfile(value) else os.path.basename(value)
    return str(value) if isinstance(value, Path) else value
