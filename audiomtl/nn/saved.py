"""Keras models on disk.

Contents: `load`.
"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras

CONFIG = "config.json"  # in a .keras file


def load(path: Path) -> keras.Model:
    """Read a .keras file, with every layer under the name that it was saved with.

    Keras writes no name into the configuration of a layer that has no ``get_config`` of its own, and names it
    anew when it is read: with two classes of one name this may be the name of another layer, and the model
    is refused.

    Raises
    ------
    ValueError : what Keras refuses; its safe mode stays on.
    """
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read(CONFIG))
        if not _named(config):
            return _load(path)
        with tempfile.TemporaryDirectory() as folder:
            named = Path(folder) / path.name
            with zipfile.ZipFile(named, "w") as copy:
                for one in file.namelist():
                    copy.writestr(one, json.dumps(config) if one == CONFIG else file.read(one))
            return _load(named)


def _load(path: Path) -> keras.Model:
    return keras.models.load_model(path, safe_mode=True, compile=False)


def _named(config: Any) -> int:
    """Write the names of layers into their configurations where they lack them; returns how many did."""
    own = config.get("config") if isinstance(config, dict) else None
    layers = own.get("layers", []) if isinstance(own, dict) else []
    count = sum(map(_named, layers))
    for layer in layers:
        if layer.get("name") and isinstance(layer.get("config"), dict) and "name" not in layer["config"]:
            layer["config"]["name"] = layer["name"]
            count += 1
    return count
