"""Eight ways to change what a recorded number depends on: each ends with exit code 1 and is named."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import tomlkit

from audiomtl import config, definitions
from audiomtl.cli import verify
from audiomtl.harness import best
from audiomtl.harness.record import provenance
from audiomtl.harness.train.child import Result
from audiomtl.harness.verify import command, experiment
from tests.command import run
from tests.harness.conftest import LAB, Project

PAIRS = '''"""Clips of noise with a second file beside each."""

from pathlib import Path

from tinylab import tones

GENERATED = True
Settings = tones.Settings


def clips(data, folder):
    table = tones.clips(data, folder)
    for path in table["path"]:
        other = Path(path).with_suffix(".txt")
        if not other.exists():
            other.write_text(Path(path).stem)
    return table.assign(score=[str(Path(path).with_suffix(".txt")) for path in table["path"]])
'''
SCORES = {"validation/error_rate": 0.25, "test/error_rate": 0.5}


def training(jobs, *_, **__) -> dict[str, Result]:
    """In the place of the training processes: the scores of every seed."""
    return {job.name: Result(False, SCORES, 0, 1, 0.0, 0.0, 1) for job in jobs}


def laid_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose family and data set are its own."""
    project = Project(folder, monkeypatch)
    shutil.copytree(LAB / "tinylab", project.folder / "tinylab", ignore=shutil.ignore_patterns("__pycache__"))
    (project.folder / "tinylab" / "pairs.py").write_text(PAIRS)
    (project.folder / "requirements.lock").write_text("keras==3\n")
    project.edit("experiments", '"tinylab.tones"', '"tinylab.pairs"')
    return project


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work there, as a new process without training processes."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    forget(monkeypatch)
    monkeypatch.setattr(command, "start_forkserver", lambda *_: None)
    monkeypatch.setattr(verify, "quiet_tensorflow", lambda: None)


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Project:
    """A project with recorded scores."""
    project = laid_out(tmp_path / "project", monkeypatch)
    enter(project.folder, monkeypatch)
    monkeypatch.setattr(experiment, "train_again", training)
    file = config.load_experiment("tiny")
    got = {name: [value] * 2 for name, value in SCORES.items()}
    current = experiment.origin.now(file.raw, file.settings)
    experiment.origin.write(file, got, [0.7] * 10, current, cpu_seconds=1.0, threads=1, device="CPU")
    return project


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a new process: nothing of the family imported, no key computed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tinylab"]:
        monkeypatch.delitem(sys.modules, name)
    for function in (definitions._installed_key, provenance.lock_hash, provenance.commit):
        function.cache_clear()


def bytes_of(kind: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        place = project.folder / "cache" / "corpora" / "tones" / f"003.{kind}"
        content = bytearray(place.read_bytes())
        content[-1] ^= 1
        place.write_bytes(content)

    return change


def text_of(path: str, old: str, new: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        place = project.folder / path
        assert old in place.read_text()
        place.write_text(place.read_text().replace(old, new))

    return change


def score(project: Project) -> None:
    place = project.folder / "experiments" / "tiny.toml"
    document = tomlkit.parse(place.read_text())
    entry = document["expected"]["test/error_rate"]
    entry["per_seed"], entry["mean"] = [0.5, 0.51], 0.505
    place.write_text(tomlkit.dumps(document))


TOML = "experiments/tiny.toml"
TAMPERINGS: dict[str, tuple[Callable[[Project], None], str]] = {
    "a byte of the data": (bytes_of("wav"), "data (path): recorded "),
    "a byte of the second modality": (bytes_of("txt"), "data (score): recorded "),
    "a setting": (text_of(TOML, "momentum = 0.9", "momentum = 0.8"), "settings: recorded "),
    "a seed": (
        text_of(TOML, "seeds = [1, 2]\nstudy", "seeds = [1, 3]\nstudy"),
        "seeds: recorded [1, 2], now [1, 3]",
    ),
    "code": (text_of("tinylab/tone/model.py", "20 * inputs", "21 * inputs"), "code: recorded "),
    "code of the settings": (
        text_of("tinylab/tone/settings.py", "    units: Count", "    units: Count\n    depth: Count = 1"),
        "code of the settings: recorded ",
    ),
    "the lock": (text_of("requirements.lock", "keras==3", "keras==3.1"), "lock: recorded "),
    "a recorded score": (score, "recorded score: 1 of 2 scores were not reproduced: test/error_rate"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_named_and_exits_with_1(name, recorded, monkeypatch, capsys) -> None:
    change, named = TAMPERINGS[name]
    change(recorded)
    forget(monkeypatch)
    code, out, _ = run(monkeypatch, capsys, "verify", "tiny")
    assert (code, named in out) == (1, True), out
    assert out.count(": recorded ") == 1, "something else is named too"


def test_what_is_as_recorded_comes_back(recorded, monkeypatch, capsys) -> None:
    code, out, _ = run(monkeypatch, capsys, "verify", "tiny")
    assert code == 0 and "tiny: all 4 recorded scores were reproduced bit for bit" in out


@pytest.mark.parametrize("options", [[], ["--quick"], ["--quick", "--record"]])
def test_a_record_of_changed_files_is_refused(recorded, options, monkeypatch, capsys) -> None:
    monkeypatch.setattr(experiment, "fingerprints", lambda *_, **__: {"tiny": [0.7] * 10})
    monkeypatch.setattr(experiment, "with_rounding", lambda *_, **__: {"tiny": ([0.5, 0.6], [0.0, 0.0])})
    text_of(TOML, 'lock = "', 'dirty = true\nlock = "')(recorded)
    code, out, _ = run(monkeypatch, capsys, "verify", "tiny", *options)
    assert code == 1 and "commit: recorded " in out and "with changed files" in out


def test_a_fingerprint_of_equal_losses_is_not_recorded(recorded, monkeypatch, capsys) -> None:
    monkeypatch.setattr(experiment, "with_rounding", lambda *_, **__: {"tiny": ([0.0] * 10, [0.0] * 10)})
    before = (recorded.folder / TOML).read_text()
    code, out, _ = run(monkeypatch, capsys, "verify", "tiny", "--quick", "--record")
    assert code == 1 and (recorded.folder / TOML).read_text() == before
    assert "tiny: not reproduced: no fingerprint recorded: the first 10 losses are all 0" in out
    monkeypatch.setattr(best.repeated, "with_rounding", lambda *_, **__: {"tiny": ([0.0] * 10, [0.0] * 10)})
    file, got = config.load_experiment("tiny"), {name: [value] * 2 for name, value in SCORES.items()}
    run_ = SimpleNamespace(data=SimpleNamespace(metrics={"cost/cpu_seconds": 1.0}, tags={}))
    monkeypatch.setattr(best.new_groups, "of_runs", lambda *_: {})
    assert best._record(file, got, [run_] * 2, 1, 1, {})  # type: ignore[list-item]
    assert "no fingerprint recorded" in capsys.readouterr()[0]
    assert "fingerprint" not in config.load_experiment("tiny").expected["recorded"]
