"""The shipped files: every experiment and study is valid, and written so that people, `promote` and git diffs see the same lines."""

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
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "librosa", "optuna", "matplotlib")
READ = ("numpy", "pandas", "scipy", "pydantic", "tomlkit", "rich")  # by the modules of data sets, whose settings are checked


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
    """No inline tables: every setting has a line of its own."""
    text = path.read_text(encoding="utf-8")
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
    assert named >= 1  # limits.memory_megabytes


@pytest.mark.parametrize("command", ["--help", "check"])
def test_checking_all_files_imports_nothing_heavy(command):
    code = (
        "import json, sys\nfrom audiomtl import cli\n"
        f"sys.argv = ['audiomtl', {command!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    print(json.dumps([end.code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    *said, last = done.stdout.splitlines()
    status, modules = json.loads(last)
    assert status == 0 and done.stderr == ""
    assert not {module.partition(".")[0] for module in modules} & {*HEAVY, *(READ if command == "--help" else ())}
    if command == "check":
        assert said == [f"{len(EXPERIMENTS)} experiments and {len(STUDIES)} studies are valid"]
