"""Where a number comes from: commit, code, packages, data, machine.

Contents: `code_version`, `settings_version`, `training_key`, `scores_key`, `source_files`, `commit`,
`lock_hash`, `lock_of`, `machine`.
"""

import hashlib
import importlib.util
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from audiomtl import config, definitions
from audiomtl.settings import named
from audiomtl.settings.datasets import modules
from audiomtl.settings.family import package_of

FAMILY = (
    "prepare",
    "train",
    "outputs",
    "with_decoder",
    "evaluate",
    "predict",
)  # what a training calls of a family
CODE = (":(glob)**/*.py", ":(glob)requirements*.lock", ":(glob)**/pyproject.toml")  # files, for `commit`
DATASET = ("Settings", "clips", "copy_baseline", "label_report")  # what it calls of a data set


def code_version(raw: Mapping[str, Any]) -> str:
    """Key of the code that a training with these settings runs through, and of the packages that compute
    for it: see `definitions`.
    """
    return definitions.key(_roots(raw))


def settings_version(raw: Mapping[str, Any]) -> str:
    """Key of the code that reads these settings: the classes of the family's and the data set's settings.

    It is a part of `code_version`, and tells which part has changed.
    """
    roots = [f"{package_of(raw['model'])}.settings.Settings"]
    return definitions.key(roots + [f"{one}.Settings" for one in modules(raw["data"]["dataset"])])


def _roots(raw: Mapping[str, Any]) -> list[str]:
    """Names of the definitions where a training begins: those that it looks up by names in its settings
    among them.
    """
    package = package_of(raw["model"])
    found = [
        "audiomtl.harness.train.child._train",
        f"{package}.settings.Settings",
        *(f"{package}.model.{one}" for one in FAMILY),
    ]
    found += named.modules(config.family("settings", raw["model"]).Settings, raw)
    return found + [f"{module}.{one}" for module in modules(raw["data"]["dataset"]) for one in DATASET]


def source_files(model: str) -> dict[str, str]:
    """{package: file} of the packages whose code is hashed for a family, as this process finds them."""
    found = {}
    for name in {"audiomtl", package_of(model).split(".")[0]}:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            found[name] = spec.origin
    return found


def training_key(raw: Mapping[str, Any], seed: int, data: str, threads: int, device: str) -> str:
    """Key of one training, which names its checkpoint.

    Parameters
    ----------
    data : `text.fingerprint` of its clips.
    threads : TensorFlow threads: they decide how the sums of a convolution are divided, and so their last
        bits.
    device : `worker.device`.
    """
    several = [threads] if threads > 1 else []
    other = [device] if device != "CPU" else []
    return config.digest([config.trained_settings(raw), seed, data, code_version(raw), *several, *other])


def scores_key(training: str, raw: Mapping[str, Any]) -> str:
    """Key of a training's scores: of the training and of the settings that only affect decoding.

    Under it runs are found again.
    """
    decoding = {
        path: value
        for path, value in config.scored_settings(raw).items()
        if path not in config.trained_settings(raw)
    }
    return config.digest([training, decoding]) if decoding else training


@cache
def commit() -> tuple[str, bool]:
    """Commit of the project in the current directory, and whether code or a lock file differs from it.

    Settings files and data do not count: a run has its settings and the key of its data. ``("none", False)``
    outside git.
    """
    try:
        name = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        status = subprocess.run(
            ["git", "status", "--porcelain", "--", *CODE], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "none", False
    return name, bool(status.strip())


@cache
def lock_hash() -> str:
    """Key of ``requirements.lock`` in the current directory, or ``none``."""
    path = Path("requirements.lock")
    return lock_of(path) if path.is_file() else "none"


def lock_of(path: Path) -> str:
    """Key of a lock file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@cache
def machine() -> str:
    """Name and instruction set of the processor: on the same one, the same code gives the same bits."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    found = {
        key: value.strip()
        for key, value in re.findall(
            r"^(model name|cpu family|model|stepping|flags)\s*:(.*)$", text, re.MULTILINE
        )
    }
    key = config.digest(found) if found else "unknown"
    return f"{found.get('model name', platform.processor() or platform.machine())} ({key})"
