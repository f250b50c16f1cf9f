"""Scores rebuilt by the commit that recorded them, in a small repository of its own."""

import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import audiomtl
from audiomtl import config
from audiomtl.harness.record.store import Tracking
from audiomtl.harness.verify import checkout
from audiomtl.harness.verify.record import Record
from tests.command import run
from tests.harness.conftest import Project
from tests.harness.verify.test_tampering import enter, forget, laid_out, text_of

MODEL = "tinylab/tone/model.py"
TOML = "experiments/tiny.toml"


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    git("add", "--all")
    git("commit", "--quiet", "--message", "x")
    return git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Project:
    """A project in git, with this audiomtl."""
    project = laid_out(tmp_path / "project", monkeypatch)
    project.edit("experiments", "epochs = 6", "epochs = 1")
    path = project.folder / TOML
    path.write_text(f'acknowledged = ["small_validation"]\n{path.read_text()}')
    (project.folder / ".gitignore").write_text("runs/\ncache/\n__pycache__/\n")
    (project.folder / "audiomtl").symlink_to(Path(audiomtl.__file__).parent)
    for variable in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(variable, "x@example.org")
    git("init", "--quiet")
    commit()
    return project


@pytest.mark.long
def test_scores_and_runs_are_rebuilt_by_the_commit_that_recorded_them(
    repository, monkeypatch, capsys
) -> None:
    first = git("rev-parse", "HEAD")
    repository.run("best", "tiny", "--record", PYTHONPATH=str(repository.folder), cold=True)
    text_of(MODEL, "20 * inputs", "21 * inputs")(repository)
    commit()
    enter(repository.folder, monkeypatch)
    [one, *_] = Tracking().runs("tiny", "tags.kind = 'best'")
    before = sorted(path for path in repository.folder.iterdir())
    for name in ("tiny", one.info.run_id):
        code, out, _ = run(monkeypatch, capsys, "verify", name)
        assert code == 1 and "code: recorded " in out and f"recorded by commit {first[:12]}" in out
        code, out, err = run(monkeypatch, capsys, "verify", name, "--checkout")
        assert code == 0 and f"bit for bit at commit {first[:12]}" in out.replace("bit, at", "bit at"), (
            out + err
        )
    assert len(git("worktree", "list").splitlines()) == 1
    assert sorted(path for path in repository.folder.iterdir()) == before
    Tracking().add(one.info.run_id, {"test/error_rate": 0.987}, {})
    code, out, _ = run(monkeypatch, capsys, "verify", one.info.run_id, "--checkout")
    assert code == 1 and f"differ at commit {first[:12]}: test/error_rate recorded 0.987000" in out


def recorded(project: Project, commit: str, code: str = "") -> config.ExperimentFile:
    """The experiment, with scores that a commit is said to have recorded."""
    file = config.load_experiment("tiny")
    code = code or checkout.provenance.code_version(file.raw)
    path = project.folder / TOML
    path.write_text(
        f"{path.read_text()}\n[expected.recorded]\nmachine = '{checkout.provenance.machine()}'\n"
        f"commit = '{commit}'\ncode = '{code}'\nseeds = [1, 2]\n"
        "[expected.'test/error_rate']\nmean = 0.5\nper_seed = [0.5, 0.5]\n"
    )
    return config.load_experiment("tiny")


@pytest.mark.parametrize(
    ("code", "scores", "reproduced", "told"),
    [
        ("", [0.5, 0.5], True, "all 2 recorded scores were reproduced bit for bit, at commit "),
        ("", [0.5, 0.6], False, "recorded score: not reproduced at commit "),
        ("", [], False, "test/error_rate"),  # a training failed
        ("0123456789ab", [0.5, 0.5], False, "code: recorded 0123456789ab, commit "),
    ],
)
def test_what_the_commit_trains_is_compared_with_the_record(
    code, scores, reproduced, told, repository, monkeypatch
) -> None:
    """With the trainings faked: the checkout, the interpreter and the key of its code are real."""
    enter(repository.folder, monkeypatch)
    file = recorded(repository, git("rev-parse", "HEAD"), code)
    text_of(MODEL, "20 * inputs", "21 * inputs")(repository)
    commit()
    forget(monkeypatch)
    seen: list[str] = []

    def best(command, *, cwd, env, **more):
        if command[-6:-4] != ["best", "tiny"]:
            return ordinary(command, cwd=cwd, env=env, **more)
        seen.append((cwd / MODEL).read_text())
        assert env["AUDIOMTL_RUNS"] == str(cwd.parent / "runs") and "AUDIOMTL_STORAGE" not in env
        return None

    ordinary = subprocess.run
    monkeypatch.setenv("AUDIOMTL_STORAGE", "sqlite:///elsewhere.db")
    monkeypatch.setattr(checkout.subprocess, "run", best)
    monkeypatch.setattr(checkout, "_scores", lambda *_: {"test/error_rate": scores})
    found = checkout.verify_there(file, slots=1, threads=1)
    assert (found.reproduced, told in found.text) == (reproduced, True), found
    assert all("20 * inputs" in text for text in seen) and len(seen) == (not code)


@pytest.mark.parametrize(
    ("score", "weights", "machine", "reproduced", "told"),
    [
        (0.5, "ab", "", True, "all 1 scores were reproduced bit for bit at commit "),
        (0.6, "ab", "", False, "1 of 1 scores differ at commit "),
        (0.5, "cd", "", False, "weights: not those of commit "),
        (0.5, "cd", "another", True, "all 1 scores"),
        (0.6, "ab", "another", False, "one run alone cannot be tested for equivalence"),
        (None, "", "", False, "the training failed at commit "),
    ],
)
def test_a_run_is_trained_there_as_an_experiment_of_its_own(
    score, weights, machine, reproduced, told, repository, monkeypatch
) -> None:
    enter(repository.folder, monkeypatch)
    raw = config.load_experiment("tiny").raw
    tags = {
        **{"seed": "2", "kind": "trial", "commit": git("rev-parse", "HEAD"), "fingerprint": "0123"},
        **{"code": checkout.provenance.code_version(raw), "mlflow.source.name": "tiny.toml", "weights": "ab"},
        "machine": machine or checkout.provenance.machine(),
    }
    seen: list[Any] = []

    def best(command, *, cwd, env, **more):
        if "best" not in command:
            return ordinary(command, cwd=cwd, env=env, **more)
        seen.append(tomllib.loads((cwd / "experiments" / f"{command[-5]}.toml").read_text()))
        return None

    data = SimpleNamespace(metrics={"test/error_rate": score}, tags={"seed": "2", "weights": weights})
    ordinary = subprocess.run
    monkeypatch.setattr(checkout.subprocess, "run", best)
    monkeypatch.setattr(checkout, "_runs", lambda *_: [SimpleNamespace(data=data)] if weights else [])
    record = Record("run one", raw, {}, tags, {"test/error_rate": 0.5})
    found = checkout.verify_record_there(record, threads=1)
    assert (found.reproduced, told in found.text) == (reproduced, True), found
    assert [(one["seeds"], one["acknowledged"]) for one in seen] == [([2], ["small_validation"])]
    outside = checkout.verify_record_there(replace(record, tags={**tags, "commit": "none"}), threads=1)
    assert not outside.reproduced and "outside git" in outside.text


def test_scores_without_a_commit_cannot_be_rebuilt(repository, monkeypatch) -> None:
    enter(repository.folder, monkeypatch)
    found = checkout.verify_there(recorded(repository, "none", "0123456789ab"), slots=1, threads=1)
    assert not found.reproduced and "git knows no commit" in found.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("0" * 32, "--quick"), "a run has no recorded first steps"),
        (("study.zip", "--checkout"), "for a frozen study, check out the commit"),
        (("study.zip", "--quick", "--record"), "--record writes into experiment files"),
        (("0" * 32, "--quick", "--record"), "--record writes into experiment files"),
    ],
)
def test_options_that_do_not_apply_are_refused(words, told, repository, monkeypatch, capsys) -> None:
    enter(repository.folder, monkeypatch)
    code, _, err = run(monkeypatch, capsys, "verify", *words)
    assert code == 2 and told in err and err.count("\n") == 1
