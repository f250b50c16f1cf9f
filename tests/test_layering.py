"""The floors of the house: nobody imports upwards, models not one another, mlflow and optuna stay in their files."""

import ast
import shutil
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "audiomtl"
FLOORS = {
    "__version__": -1,
    "settings": 0,
    "config": 0,
    "definitions": 0,
    "errors": 0,
    "metrics": 0,
    "surroundings": 0,
    "pictures": 0,
    "data": 1,
    "nn": 2,
    "models": 3,
    "harness": 4,
    "mistakes": 4,
    "options": 4,
    "cli": 5,
    "__main__": 6,
}
ONLY_IN = {"mlflow": ("harness.tracking", "harness.report"), "optuna": ("harness.study",)}


def imported(path: Path, module: list[str]) -> list[str]:
    """Dotted names that a file imports, relative ones made absolute; functions' own imports count as well."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["audiomtl", *module][: len(module) + 1 - node.level + (path.stem == "__init__")] if node.level else []
            names += [".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names]
    return names


def violations(package: Path) -> list[str]:
    """Every import below `package` that breaks a rule, as "file imports name"."""
    found = []
    for path in sorted(package.rglob("*.py")):
        if path.is_relative_to(package / "templates"):
            continue  # written elsewhere, where there is no audiomtl
        module = [part for part in path.relative_to(package).with_suffix("").parts if part != "__init__"]
        for name in imported(path, module):
            top, *rest = name.split(".")
            if top in ONLY_IN:
                broken = ".".join(module) not in ONLY_IN[top]
            elif top != "audiomtl" or not rest:
                continue
            else:
                here, there = FLOORS.get(module[0], -1) if module else -1, FLOORS.get(rest[0], 9)
                broken = there > here or (module[0] == rest[0] == "models" and len(module) > 1 and rest[1:2] != module[1:2])
            if broken:
                found.append(f"{path.relative_to(package)} imports {name}")
    return found


def test_the_package_keeps_its_floors():
    assert violations(PACKAGE) == []
    strangers = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {*FLOORS, "__init__"}
    assert not strangers, f"give them a floor: {sorted(strangers)}"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/splits.py", "from audiomtl.nn.ctc import loss"),
        ("data/splits.py", "from ..harness import worker"),
        ("data/datasets/emodb.py", "from ... import models"),
        ("data/__init__.py", "from ..nn import ctc"),
        ("errors.py", "from audiomtl import config, data"),
        ("settings/shared.py", "def late():\n    import audiomtl.metrics.x, audiomtl.cli"),
        ("models/one.py", "from audiomtl.models import ctc"),
        ("models/one.py", "from .ctc import train"),
        ("harness/worker.py", "import mlflow.tracking"),
        ("harness/tracking.py", "from optuna import trial"),
        ("nn/fit.py", "import mlflow"),
        ("__init__.py", "from audiomtl.errors import UserError"),
    ],
)
def test_a_broken_rule_is_caught(tmp_path, file, line):
    copy = tmp_path / "audiomtl"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = violations(copy)
    with (copy / file).open("a", encoding="utf-8") as changed:
        changed.write(f"\n{line}\n")
    assert [entry.split(" ")[0] for entry in violations(copy) if entry not in before] == [file]


def test_what_is_allowed_passes(tmp_path):
    for file, line in {
        "harness/study.py": "import optuna\nfrom audiomtl.models import ctc\nfrom . import worker",
        "harness/tracking.py": "import mlflow",
        "models/one.py": "from audiomtl.models.one import train\nfrom audiomtl.nn import ctc",
        "data/corpora/speech.py": "from ..audio import load\nfrom audiomtl.settings.shared import Data\nimport numpy",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(line, encoding="utf-8")
    assert violations(tmp_path) == []


def test_layers_have_names_of_their_own():
    """Keras finds a saved layer by its registered name: two of one name, and files of one family are read with the other's layer."""
    names: dict[str, list[str]] = {}
    for path in sorted((PACKAGE / "nn").glob("*.py")) + sorted((PACKAGE / "models").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        fusion = "audiomtl.fusion" if path.stem in ("fusion", "modalities") else "audiomtl"
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and any("regist" in ast.unparse(one) for one in node.decorator_list):
                names.setdefault(f"{fusion}>{node.name}", []).append(path.stem)
    assert len(names) > 20 and {name: files for name, files in names.items() if len(files) > 1} == {}
