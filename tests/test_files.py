"""The shipped files: every experiment and study is valid, and written so that people, `promote` and git
diffs see the same lines.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audiomtl import config

PROJECT = Path(__file__).parents[1]
EXPERIMENTS = sorted((PROJECT / "experiments").glob("*.toml"))
STUDIES = sorted((PROJECT / "studies").glob("*.toml"))
LOCKS = {  # what each lock was resolved for: extras, and whether the package's own dependencies are in it
    "requirements.lock": (("cpu", "corpora", "dev", "postgres", "slurm"), True),
    "requirements-gpu.lock": (("gpu", "corpora", "dev", "postgres", "slurm"), True),
    "requirements-dashboard.lock": (("dashboard",), False),
    "requirements-docs.lock": (("docs",), False),
}
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "librosa", "optuna", "matplotlib")
# by the modules of data sets, whose settings are checked
READ = (
    "numpy",
    "pandas",
    "scipy",
    "pydantic",
    "tomlkit",
    "rich",
)


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_there_are_files():
    assert {"quickstart"} <= {path.stem for path in EXPERIMENTS} & {path.stem for path in STUDIES}


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_every_experiment_is_valid(path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    file = config.load_experiment(path.stem)
    assert file.settings.description and file.name == path.stem
    for arm in file.ablations:
        assert config.flatten(file.arm(arm)).items() >= file.ablations[arm].items()


@pytest.mark.parametrize("path", STUDIES, ids=name)
def test_every_study_is_valid(path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    file = config.load_study(path.stem)
    assert file.study.description and file.study.trials > 1
    assert file.experiment.path.parent.name == "experiments"


@pytest.mark.parametrize("path", [*EXPERIMENTS, *STUDIES], ids=name)
def test_one_setting_per_line_at_its_start(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# "), "the first line says what the file is for"
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}: {line}"
        assert not line or re.match(r"[A-Za-z\"\[#]", line), f"{place}: begins at the line's start"
        assert line == line.rstrip() and "\t" not in line, place
        if line and line[0] not in "#[":
            assert len(config.flatten(tomllib.loads(line))) >= 1, f"{place}: a setting stands in one line"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_scalars_stand_in_their_tables(path):
    """No inline tables: every setting has a line of its own. ``[expected]`` is written by the program."""
    text = path.read_text(encoding="utf-8").partition("\n[expected")[0]
    text = re.sub(r"^\[\[reference\]\]\n(?:[^\[\n].*\n)*", "", text, flags=re.MULTILINE)  # a list of tables
    text = re.sub(
        r"^subset = \{.*\}.*\n", "", text, flags=re.MULTILINE
    )  # the cut of a published set: one line
    settings = [line for line in text.splitlines() if re.match(r"[A-Za-z\"]", line)]
    document = tomllib.loads(text)
    assert len(settings) == len(config.flatten(document))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_units_are_told(path):
    """A number of samples, hertz, seconds or decibels says so: in its name, or in a comment beside it."""
    bare = {"sample_rate": "Hz", "n_fft": "samples"}
    named = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        key = line.split(" ")[0]
        if key in bare:
            assert bare[key] in line.partition("#")[2], f"{path}: {line}: give its unit in a comment"
        named += bool(re.search(r"_(seconds|hz|db|megabytes)$", key))
    assert named >= 1


@pytest.mark.parametrize("command", ["--help", "check"])
def test_checking_all_files_imports_nothing_heavy(command):
    code = (
        f"import json, sys\nfrom audiomtl import cli\nsys.argv = ['audiomtl', {command!r}]\ntry:\n   "
        " cli.main()\nexcept SystemExit as end:\n    print(json.dumps([end.code, sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    *said, last = done.stdout.splitlines()
    status, modules = json.loads(last)
    assert status == 0 and done.stderr == ""
    assert not {module.partition(".")[0] for module in modules} & {
        *HEAVY,
        *(READ if command == "--help" else ()),
    }
    if command == "check":
        assert said == [f"{len(EXPERIMENTS)} experiments and {len(STUDIES)} studies are valid"]


def pins(lock: str) -> dict[str, set[str]]:
    """Versions of each package in a lock file: several where Python versions differ."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (PROJECT / lock).read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def package(requirement: str) -> str:
    """Name of a requirement as a lock file writes it."""
    return re.split(r"[\[<>=]", requirement)[0].lower().replace("_", "-")


def test_there_is_no_lock_without_a_test():
    assert {path.name for path in PROJECT.glob("requirements*.lock")} == LOCKS.keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_what_pyproject_asks_for_by_hash_and_names_no_registry(lock):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras, complete = LOCKS[lock]
    wanted = [
        *(project["dependencies"] if complete else ()),
        *(one for extra in extras for one in project["optional-dependencies"][extra]),
    ]
    assert pins(lock).keys() >= {package(one) for one in wanted}
    text = (PROJECT / lock).read_text(encoding="utf-8")
    assert "://" not in text and not re.search(r"^-", text, re.MULTILINE), (
        "an address or an option of an index"
    )
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries and all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_fits_into_the_main_environment_and_needs_no_compiler(lock):
    main, other = pins("requirements.lock"), pins(lock)
    assert {one: other[one] for one in other.keys() & main.keys()} == {
        one: main[one] for one in other.keys() & main.keys()
    }
    # and `pathlib` shadows the standard library
    source_only = {
        "pathlib",
        "pyworld",
        "sed-eval",
        "sed-scores-eval",
        "dcase-util",
    }
    assert not other.keys() & source_only
