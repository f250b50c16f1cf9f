"""The floors of the house: nobody imports upwards, models not one another, mlflow and optuna stay in
their files.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "audiomtl"
FLOORS = {
    "__version__": -1,
    "settings": 0,
    "config": 0,
    "definitions": 0,
    "errors": 0,
    "findings": 0,
    "metrics": 0,
    "normal_form": 0,
    "surroundings": 0,
    "system": 0,
    "pictures": 0,
    "redaction": 0,
    "names": 0,
    "data": 1,
    "nn": 2,
    "families": 3,
    "harness": 4,
    "cli": 5,
    "__main__": 6,
}
ONLY_IN = {"mlflow": ("harness.record", "harness.report"), "optuna": ("harness.search",)}


def imported(path: Path, module: list[str]) -> list[str]:
    """Dotted names that a file imports, relative ones made absolute; functions' own imports count as well."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = (
                ["audiomtl", *module][: len(module) + 1 - node.level + (path.stem == "__init__")]
                if node.level
                else []
            )
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
                broken = not ".".join(module).startswith(ONLY_IN[top])
            elif top != "audiomtl" or not rest:
                continue
            else:
                here, there = FLOORS.get(module[0], -1) if module else -1, FLOORS.get(rest[0], 9)
                broken = there > here or (rest[0] == "families" and module[:1] == ["harness"])
                in_family = module[:1] == rest[:1] == ["families"] and len(module) > 1
                broken |= in_family and rest[1:2] not in (module[1:2], ["contract"])
            if broken:
                found.append(f"{path.relative_to(package)} imports {name}")
    return found


def test_the_package_keeps_its_floors():
    assert violations(PACKAGE) == []
    strangers = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {*FLOORS, "__init__"}
    assert not strangers, f"give them a floor: {sorted(strangers)}"


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/splits.py", "from audiomtl.families.ctc.model import train"),
        ("data/splits.py", "from ..harness.train import workers"),
        ("data/datasets/emodb.py", "from ... import families"),
        ("data/__init__.py", "from ..nn import ctc"),
        ("errors.py", "from audiomtl import config, data"),
        ("settings/shared.py", "def late():\n    import audiomtl.metrics.x, audiomtl.cli"),
        ("families/one/model.py", "from audiomtl.families import ctc"),
        ("families/one/model.py", "from ..ctc import model"),
        ("families/contract.py", "from audiomtl.families.ctc import model"),
        ("harness/use/predict.py", "from audiomtl.families.ctc import model"),
        ("harness/train/workers.py", "import mlflow.tracking"),
        ("harness/record/store.py", "from optuna import trial"),
        ("nn/fit.py", "import mlflow"),
        ("__init__.py", "from audiomtl.errors import UserError"),
    ],
)
def test_a_broken_rule_is_caught(tmp_path, file, line):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(f"{line}\n", encoding="utf-8")
    assert [entry.split(" ")[0] for entry in violations(tmp_path)] == [file]


def test_what_is_allowed_passes(tmp_path):
    for file, line in {
        "harness/search/study.py": "import optuna\nfrom audiomtl.nn import fit\nfrom . import space",
        "harness/record/store.py": "import mlflow",
        "families/one/model.py": (
            "from audiomtl.families.one import settings\nfrom audiomtl.families import contract\nimport numpy"
        ),
        "data/corpora/speech.py": (
            "from ..audio import load\nfrom audiomtl.settings.shared import Data\nimport numpy"
        ),
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(line, encoding="utf-8")
    assert violations(tmp_path) == []


FAMILIES = sorted(path.parent.name for path in PACKAGE.glob("families/*/model.py"))


def words_in_code(text: str) -> set[str]:
    """Words of names and strings; comments and docstrings are for people."""
    tree, found = ast.parse(text), []
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found.append(node.value)
        found += [
            value
            for _, value in ast.iter_fields(node)
            if isinstance(value, str) and not isinstance(node, ast.Constant)
        ]
    return {word for text in found for word in re.findall(r"\w+", text)}


def test_the_harness_names_no_family():
    """A family is found by the name in a settings file; what is its own affair it says itself."""
    assert len(FAMILIES) >= 6
    named = {
        str(path.relative_to(PACKAGE)): words_in_code(path.read_text(encoding="utf-8")) & {*FAMILIES}
        for path in PACKAGE.glob("harness/**/*.py")
    }
    assert len(named) > 20 and {path: words for path, words in named.items() if words} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"""Of fusion."""\ndef f():\n    "of mil"\n    return 1  # of ctc\n', set()),
        ('if model == "ctc": pass', {"ctc"}),
        ("fusion.alone = 1", {"fusion"}),
        ('print(f"the {x} of transfer: {y}")', {"transfer"}),
        ("from audiomtl.families import mil", {"mil"}),
        ("use(baseline=1)", {"baseline"}),
    ],
)
def test_a_family_s_name_in_code_is_seen(text, found):
    assert words_in_code(text) & {*FAMILIES} == found


def test_layers_have_names_of_their_own():
    """Keras finds a saved layer by its registered name: two of one name, and files of one family are read
    with the other's layer.
    """
    names: dict[str, list[str]] = {}
    for path in sorted((PACKAGE / "nn").glob("*.py")) + sorted((PACKAGE / "families").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        fusion = "audiomtl.fusion" if "fusion" in path.parts else "audiomtl"
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and any(
                "regist" in ast.unparse(one) for one in node.decorator_list
            ):
                names.setdefault(f"{fusion}>{node.name}", []).append(path.stem)
    assert len(names) > 20 and {name: files for name, files in names.items() if len(files) > 1} == {}


# of several files at once, or of files outside the package
WHOLE = {
    "test_cluster_page": "runs the commands of docs/how-to/cluster.md",
    "services/test_services": "the servers that other tests start",
    "test_docs": "README and docs/",
    "test_docs_blocks": "commands, settings and code on the pages of the documentation",
    "test_docs_metrics": "docs/reference/metrics.md",
    "test_docs_runs": "runs the commands of the documentation",
    "harness/verify/test_tampering": "whatever a recorded number depends on, changed",
    "test_files": "experiments/, studies/ and the locks",
    "test_layering": "imports, and where tests stand",
    "test_makefile": "the Makefile",
    "data/test_bad_audio": "odd and bad sound files, through every way of reading",
    "data/datasets/test_unicode_names": "names of files that lists name, of every reader",
    "data/test_bad_folders": "bad folders and annotations, by the reader of folders",
    "data/test_bad_tables": "bad tables, by the reader of tables",
    "families/ctc/test_learning": "scaling and loss: a published case",
    "families/test_augmentation": "augmentation in every family",
    "families/test_diagnose": "what the outputs of every family learn",
    "families/test_item_weights": "weights of clips in the loss, of every family that takes them",
    "families/test_own_tables": "a table of text cells, by every family",
    "families/test_saved_models": "models of an earlier version, of every family",
    "families/test_saved_versions": "versions that models of every family carry",
    "families/test_tags": "several labels per clip in every family that takes them",
    "families/multitask/test_decoding": "decoders of melody, notes and segments",
    "families/multitask/test_scoring": "scores of every kind of head",
    "families/multitask/test_targets": "targets of every kind of head",
    "harness/test_own_data": "from a table of one's own to predictions, by the real command",
    "harness/train/test_kill": "a study killed and taken up again, by the real command",
    "harness/train/test_random_kills": "a study killed at random instants, by the real command",
    "harness/train/test_two_machines": "one study on two machines, by the real command",
    "harness/train/test_machine": "a study on a full disk, under another name, clock, user, by the real command",
    "harness/test_reconcile": "stores that are lost, damaged or moved, by the real command",
    "mutants/test_mutants": "faults made by rule, which tests should notice",
    "surroundings/test_resume": "trainings of every family, cut off",
    "surroundings/test_same_bits": "trainings of every family, wherever they run",
}


def test_every_test_file_stands_where_its_file_of_the_package_does() -> None:
    """``tests/x/test_y.py`` is of ``audiomtl/x/y.py`` or of the package ``audiomtl/x/y``."""
    tests = Path(__file__).parent
    without = set()
    for path in tests.rglob("test_*.py"):
        folder = path.relative_to(tests).parent
        mirrored = PACKAGE / folder / path.stem.removeprefix("test_")
        if not (mirrored.with_suffix(".py").is_file() or (mirrored / "__init__.py").is_file()):
            without.add((folder / path.stem).as_posix())
    assert without == WHOLE.keys()
