"""Which edits of code change the key of what was computed, and which do not: tried on copies of the
package, which stays as it is.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import audiomtl
from audiomtl import definitions

PACKAGE = Path(audiomtl.__file__).parent
ROOTS = [
    "audiomtl.harness.train.child._train",
    "audiomtl.families.ctc.settings.Settings",
    *(f"audiomtl.families.ctc.model.{name}" for name in ("prepare", "train", "evaluate", "predict")),
    "audiomtl.data.datasets.emodb.clips",
]
FEATURES = ["audiomtl.data.audio.load", "audiomtl.data.features.extract"]


@pytest.fixture(scope="module")
def before() -> str:
    return definitions.key(ROOTS)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "audiomtl", ignore=shutil.ignore_patterns("__pycache__")))


def key_of(package: Path, roots: list[str] = ROOTS) -> str:
    return definitions.key(roots, folders={package.name: package})


def edit(package: Path, file: str, old: str, new: str) -> None:
    path = package / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (file, old, text.count(old))
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_copy_elsewhere_has_the_same_key(before: str, copy: Path) -> None:
    assert key_of(copy) == before


CHANGES = {
    "constant": ("nn/fit.py", "0.5 * (1.0 + math.cos(", "0.4 * (1.0 + math.cos("),
    "sign": ("nn/fit.py", "settings.decay * step)", "settings.decay * -step)"),
    "operator": ("nn/fit.py", "stale >= training.patience", "stale > training.patience"),
    "settings property": (
        "settings/shared.py",
        "return round(self.hop_seconds * self.sample_rate)",
        "return 2 * round(self.hop_seconds * self.sample_rate)",
    ),
    "settings type": (
        "settings/table.py",
        "Share = Annotated[float, Field(ge=0, lt=1)]",
        "Share = Annotated[float, Field(ge=0, le=1)]",
    ),
    "constant of a module": ("data/audio.py", "LARGEST_PEAK = 2.0", "LARGEST_PEAK = 4.0"),
    "default": ("data/pipeline.py", "at_least: int = 1", "at_least: int = 2"),
    "decorator": (
        "nn/steps.py",
        "@tf.function(reduce_retracing=True)",
        "@tf.function(reduce_retracing=False)",
    ),
    "metric": (
        "metrics/sequences.py",
        "return sum(counts.values()) / length",
        "return sum(counts.values()) / (length + 1)",
    ),
    "data set": ("data/datasets/emodb.py", 'PAUSE = "_"', 'PAUSE = "-"'),
    "statement at import": (
        "families/ctc/network.py",
        "import keras\n",
        "import keras\n\nkeras.config.set_epsilon(1e-5)\n",
    ),
    "import": (
        "families/ctc/training.py",
        "from audiomtl.data.pipeline import ",
        "from audiomtl.data.pipelines import ",
    ),
    "order of work": (
        "harness/train/child.py",
        "    seed_everything(job.seed)\n    model = config",
        "    model = config",
    ),
    "base class": ("settings/shared.py", "class Limits(Table):", "class Limits(BaseModel):"),
}


@pytest.mark.parametrize(("file", "old", "new"), CHANGES.values(), ids=CHANGES)
def test_what_computes_changes_the_key(before: str, copy: Path, file: str, old: str, new: str) -> None:
    # the same names from a module in which one of them differs
    if old == "from audiomtl.data.pipeline import ":
        shutil.copy(copy / "data/pipeline.py", copy / "data/pipelines.py")
        edit(copy, "data/pipelines.py", "random.uniform(0.9, 1.1", "random.uniform(0.8, 1.2")
    edit(copy, file, old, new)
    assert key_of(copy) != before


def test_a_package_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    real = definitions.versions(["sklearn"])
    assert {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"} <= real.keys()
    keys = []
    for version in ("1.0", "1.1"):
        monkeypatch.setattr(
            definitions.importlib.metadata,
            "version",
            lambda name, version=version: version if name == "joblib" else "1",
        )
        definitions._installed_key.cache_clear()
        keys.append(definitions.key(["audiomtl.nn.classifiers.fit_classifier"]))
    definitions._installed_key.cache_clear()
    assert keys[0] != keys[1]


SAME: dict[str, Callable[[str], str]] = {
    "comment": lambda text: text.replace("\n    began =", "\n    # when it began\n    began ="),
    "docstring": lambda text: text.replace('"""Train ``model`` and leave', '"""Trains ``model`` and leaves'),
    "docstring of the file": lambda text: text.replace('"""The one training loop', '"""One training loop'),
    "layout": lambda text: text.replace(
        "step, stale, plateau_stale, reductions, before =",
        "step, stale, \\\n        plateau_stale, reductions, before =",
    ),
    "text of an error": lambda text: text.replace(
        "optimizer.learning_rate or clip", "optimizer.learning_rate or reduce"
    ),
    "annotation": lambda text: text.replace("epochs: int", "epochs: float").replace(
        "        losses, step_of = [], ", "        ratio: float\n        losses, step_of = [], "
    ),
    "something that no training reaches": lambda text: f"{text}\n\ndef unused() -> int:\n    return 1\n",
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_computes_nothing_keeps_the_key(before: str, copy: Path, change: Callable[[str], str]) -> None:
    path = copy / "nn/fit.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(change(text), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text and key_of(copy) == before


def test_a_description_of_a_setting_keeps_the_key(before: str, copy: Path) -> None:
    edit(copy, "settings/table.py", "Field(ge=1)]", 'Field(ge=1, description="A whole number from 1 on.")]')
    assert key_of(copy) == before
    described = '    epochs: Count = Field(description="Number of passes over the train split.")\n'
    edit(copy, "settings/shared.py", described, "    epochs: Count\n")
    assert key_of(copy) == before
    edit(copy, "settings/shared.py", 'description="Momentum, in [0, 1)."', 'description="Momentum."')
    assert key_of(copy) == before
    edit(copy, "settings/table.py", "Field(ge=1, ", "Field(ge=2, ")
    assert key_of(copy) != before


def test_a_moved_definition_keeps_the_key(before: str, copy: Path) -> None:
    """`batch_order` in a file of its own, imported by the old one.

    And with each of its users importing it from there.
    """
    path = copy / "data/pipeline.py"
    text = path.read_text(encoding="utf-8")
    start, end = text.index("def batch_order("), text.index("def pad(")
    header = '"""Batches."""\n\nfrom collections.abc import Sequence\n\nimport numpy as np\n\n\n'
    (copy / "data/order.py").write_text(header + text[start:end], encoding="utf-8")
    path.write_text(
        text[:start]
        + text[end:].replace("def pad(", "from audiomtl.data.order import batch_order\n\n\ndef pad("),
        encoding="utf-8",
    )
    assert key_of(copy) == before
    edit(
        copy,
        "families/ctc/training.py",
        "from audiomtl.data.pipeline import batch_order",
        "from audiomtl.data.order import batch_order",
    )
    path.write_text(path.read_text().replace("from audiomtl.data.order import batch_order\n", ""))
    assert key_of(copy) == before
    edit(copy, "data/order.py", "0.9, 1.1", "0.8, 1.1")
    assert key_of(copy) != before


def test_the_keys_of_features_see_what_computes_them(copy: Path) -> None:
    before = key_of(copy, FEATURES)
    assert before == definitions.key(FEATURES)
    edit(copy, "nn/fit.py", "0.5 * (1.0 +", "0.4 * (1.0 +")
    assert key_of(copy, FEATURES) == before
    edit(
        copy,
        "settings/shared.py",
        "return round(self.hop_seconds * self.sample_rate)",
        "return 7 + round(self.hop_seconds * self.sample_rate)",
    )
    assert key_of(copy, FEATURES) != before


# ---------------------------------------------------------------- what code may look like, on a package of a
# few lines


def tiny(folder: Path, **files: str) -> Path:
    package = folder / "tiny"
    package.mkdir(exist_ok=True)
    for name, text in {"__init__": "", **files}.items():
        (package / f"{name}.py").write_text(text)
    return package


BASE = {
    "a": "from tiny import b\nfrom tiny.c import FACTOR as F\n\ndef f(x):\n    return b.g(x) * F\n",
    "b": (
        """
TABLE = {}
TABLE['one'] = 1

def g(x):
    from tiny.d import late
    return late(x) + TABLE['one'] + Layer().call(x)

@mark
class Layer:
    def call(self, x):
        return x if x < 1 else g(x - 1)

def mark(cls):
    return cls
"""
    ),
    "c": "if True:\n    FACTOR = 2\nelse:\n    FACTOR = 3\n",
    "d": "try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\nlate = lambda x: np.abs(x)\n",
}
EDITS = {
    "a table that is filled later": ("b", "TABLE['one'] = 1", "TABLE['one'] = 2"),
    "an import inside a function": ("b", "from tiny.d import late", "from tiny.c import FACTOR as late"),
    "a renamed import": ("a", "import FACTOR as F", "import OTHER as F"),
    "the body of an if": ("c", "FACTOR = 2", "FACTOR = 5"),
    "a lambda": ("d", "np.abs(x)", "np.abs(-x)"),
    "a decorator's body": ("b", "return cls", "return type('Other', (cls,), {})"),
    "a method in a circle of calls": ("b", "x < 1", "x < 2"),
    "a statement at import": ("c", "if True:", "print()\nif True:"),
    "a package's own statement": ("__init__", "", "import os\nos.environ['X'] = '1'\n"),
    "an assertion": ("d", "late =", "assert np\nlate ="),
}


@pytest.mark.parametrize(("file", "old", "new"), EDITS.values(), ids=EDITS)
def test_every_form_of_code_is_followed(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = tiny(tmp_path, **BASE)
    before = key_of(folder, ["tiny.a.f"])
    (tmp_path / "other").mkdir()
    changed = {**BASE, "__init__": ""}
    changed[file] = changed[file].replace(old, new) if old else new
    other = tiny(tmp_path / "other", **changed)
    assert key_of(other, ["tiny.a.f"]) != before


def test_names_are_found_through_re_exports_stars_and_getattr(tmp_path: Path) -> None:
    files = {
        "a": "from tiny.b import *\n\ndef f():\n    return g() + h\n",
        "b": "from tiny.c import g\nfrom .d import h\n",
        "c": "def g(): return 1",
        "d": "def __getattr__(name): return 4",
    }
    keys = [key_of(tiny(tmp_path, **files), ["tiny.a.f"])]
    for number, (name, old, new) in enumerate([("c", "1", "2"), ("d", "4", "5")]):
        (tmp_path / str(number)).mkdir()
        keys.append(
            key_of(
                tiny(tmp_path / str(number), **{**files, name: files[name].replace(old, new)}), ["tiny.a.f"]
            )
        )
    assert len(set(keys)) == 3


def test_two_functions_of_one_text_are_told_apart_by_what_their_names_mean(tmp_path: Path) -> None:
    """Both stay reached: only the caller's import changes."""
    files = {
        "a": (
            "from tiny.b import f\nfrom tiny.c import f as other\n\ndef both(x):\n    return f(x), other(x,"
            " x)\n"
        ),
        "b": "K = 1\n\ndef f(x):\n    return x + K\n",
        "c": "K = 2\n\ndef f(x):\n    return x + K\n",
    }
    before = key_of(tiny(tmp_path, **files), ["tiny.a.both"])
    files["a"] = (
        files["a"].replace("tiny.b", "tiny.x").replace("tiny.c", "tiny.b").replace("tiny.x", "tiny.c")
    )
    (tmp_path / "turned").mkdir()
    assert key_of(tiny(tmp_path / "turned", **files), ["tiny.a.both"]) != before


def test_a_family_of_ones_own_is_hashed_with_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "house.py").write_text("def helper():\n    return 1\n")
    tiny(tmp_path, a="import house\n\ndef f():\n    return house.helper()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = definitions.key(["tiny.a.f"])
    (tmp_path / "house.py").write_text("def helper():\n    return 2\n")
    definitions._installed_key.cache_clear()
    assert definitions.key(["tiny.a.f"]) != before
    assert "tiny" not in sys.modules and "house" not in sys.modules, "source is read, not imported"


def test_names_that_do_not_exist_add_nothing() -> None:
    assert definitions.key(
        [*FEATURES, "audiomtl.data.features.gone", "audiomtl.data.gone.f"]
    ) == definitions.key(FEATURES)


def test_nothing_is_looked_up_by_name_behind_the_keys_back() -> None:
    """Modules that are imported by a computed name are not seen: each place is known, and its names stand
    among the roots.
    """
    places = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "import_module(" in path.read_text(encoding="utf-8")
    }
    assert places == {
        "__init__.py",  # names for notebooks, which no training uses
        *("settings/family.py", "settings/datasets.py"),  # families and data sets
        # these and the next four by `settings.named.modules`
        *(
            "data/augmentation/__init__.py",
            "data/scaling/__init__.py",
            "nn/pooling/__init__.py",
        ),
        *(
            "families/fusion/joins/__init__.py",
            "families/multitask/balancing/__init__.py",
            "families/multitask/heads/__init__.py",
        ),
        "data/annotations/__init__.py",  # what a format reads stands in the clip table, and so in its hash
        "data/preflight.py",  # says whether something is trained, not what
        "families/contract.py",  # when a saved model is loaded
        # packages that are roots already; what a trained model does
        *(
            "harness/train/child.py",
            "harness/floors.py",  # what a family says of its scores
            "harness/doctor.py",  # and of its first steps
            "harness/use/models.py",
        ),
    }
