"""Where a number comes from: commit, code, packages, machine. Contents: `code_version`, `commit`, `lock_hash`, `machine`, `fingerprint`."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from audiomtl import config

NOT_COMPUTING = ("audiomtl.settings", "audiomtl.config", "audiomtl.errors", "audiomtl.pictures")  # the settings themselves are in the key
PACKAGES = ("keras", "librosa", "numpy", "scipy", "soundfile", "soxr", "tensorflow", "tensorflow-cpu")


@cache
def code_version(model: str) -> str:
    """Key of the code that one training of a family runs through, and of the packages that compute for it.

    Follows the imports of the family's file inside the package and hashes what is executable: comments, docstrings and layout
    change nothing, neither does a file that the family does not import.
    """
    package, _, name = model.rpartition(".")
    root = package or "audiomtl"
    todo, seen = [f"{root}.models.{name}", "audiomtl.harness.training"], dict[str, str]()
    while todo:
        module = todo.pop()
        spec = importlib.util.find_spec(module)
        if module in seen or spec is None or not spec.origin or module.startswith(NOT_COMPUTING):
            continue
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        if module == "audiomtl":
            tree.body = []  # version and names of the package: a new version must not make every training a new one
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in (root, "audiomtl"):
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name))]
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names if alias.name.split(".")[0] in (root, "audiomtl")]
        seen[module] = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return config.digest([seen, versions()])


def _is_module(package: str, name: str) -> bool:
    parent = importlib.util.find_spec(package)
    return bool(parent and parent.submodule_search_locations) and importlib.util.find_spec(f"{package}.{name}") is not None


def versions() -> dict[str, str]:
    """Installed versions of the packages that compute."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def fingerprint(raw: Mapping[str, Any], seed: int, data: str, threads: int) -> str:
    """Key of one training: what was finished under it needs no second time.

    The number of TensorFlow threads belongs to it: it decides how the sums of a convolution are divided, and so their last bits.
    """
    several = [threads] if threads > 1 else []
    return config.digest([config.trained_settings(raw), seed, data, code_version(raw["model"]), *several])


@cache
def commit() -> tuple[str, bool]:
    """Commit of the project in the current directory and whether files differ from it; ``("none", False)`` outside git."""
    try:
        name = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "none", False
    return name, bool(status.strip())


@cache
def lock_hash() -> str:
    """Key of ``requirements.lock`` in the current directory, or ``none``."""
    path = Path("requirements.lock")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "none"


@cache
def machine() -> str:
    """Name and instruction set of the processor: on the same one, the same code gives the same bits."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    found = {key: value.strip() for key, value in re.findall(r"^(model name|cpu family|model|stepping|flags)\s*:(.*)$", text, re.MULTILINE)}
    key = config.digest(found) if found else "unknown"
    return f"{found.get('model name', platform.processor() or platform.machine())} ({key})"
