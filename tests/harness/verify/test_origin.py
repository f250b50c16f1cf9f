"""What recorded numbers depend on, and which commit recorded them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audiomtl import config
from audiomtl.harness.verify import checkout, origin

NOW = {"settings": "a", "settings_code": "b", "code": "c", "lock": "d", "data": {"table": "e", "path": "f"}}
RECORDED: dict[str, Any] = {**NOW, "seeds": [1, 2]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"code": "x"}, ["code"]),
        ({"code": "x", "settings_code": "y"}, ["code of the settings"]),
        ({"lock": "x"}, ["lock"]),
        ({"settings": "x"}, ["settings"]),
        ({"data": {"table": "e", "path": "x"}}, ["data (path)"]),
        ({"data": {"table": "e"}}, ["data (path)"]),
        ({"data": {"table": "e", "path": "f", "score": "g"}}, ["data (score)"]),
        ({"seeds": [1]}, ["seeds"]),
        ({"data": None, "settings": None, "settings_code": None}, []),  # a record of an earlier version
        ({"code": "x", "lock": "y", "fingerprint_code": "c", "fingerprint_lock": "d"}, ["code", "lock"]),
    ],
)
def test_what_has_changed_is_named(change, named) -> None:
    assert [one.what for one in origin.changes({**RECORDED, **change}, NOW, [1, 2])] == named


def test_a_fingerprint_may_have_a_code_and_lock_of_its_own() -> None:
    older = {**RECORDED, "code": "x", "lock": "y", "fingerprint_code": "c", "fingerprint_lock": "d"}
    assert origin.changes(older, NOW, [1, 2], fingerprint=True) == []
    newer = {**RECORDED, "fingerprint_code": "x"}
    assert [one.what for one in origin.changes(newer, NOW, [1, 2], fingerprint=True)] == ["code"]


def test_clips_of_another_part_of_a_set_are_named() -> None:
    then, here = {"clip_id": 320, "fold": ["1", "2"]}, {"clip_id": 400, "fold": ["1", "2", "3"]}
    found = origin.changes({**RECORDED, "clips": then}, {**NOW, "clips": here}, [1, 2])
    assert [str(one) for one in found] == [
        "clips: recorded 320, now 400 (400 clips, recorded 320; fold and also 3)"
    ]
    for recorded, now in (
        (RECORDED, {**NOW, "clips": here}),
        ({**RECORDED, "clips": here}, {**NOW, "clips": here}),
    ):
        assert origin.changes(recorded, now, [1, 2]) == []


def test_the_part_of_a_set_is_recorded_on_one_line(tmp_path) -> None:
    path = tmp_path / "one.toml"
    source = Path(__file__).parents[3] / "experiments" / "quickstart.toml"
    path.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    file = config.load_experiment(str(path))
    clips = {"clip_id": 8, "emotion": ["anger", "neutral"], "sentence": 30}
    scores = {"test/phone_error_rate": [0.5] * len(file.settings.seeds)}
    origin.write(file, scores, [1.0], {**NOW, "clips": clips}, cpu_seconds=1, threads=1, device="CPU")
    assert 'clips = {clip_id = 8, emotion = ["anger", "neutral"], sentence = 30}' in path.read_text("utf-8")
    assert config.load_experiment(str(path)).expected["recorded"]["clips"] == clips


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(variable, "x@example.org")
    git("init", "--quiet")
    return tmp_path


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def commit(text: str) -> str:
    Path("one.toml").write_text(text)
    git("add", ".")
    git("commit", "--quiet", "--message", "x")
    return git("rev-parse", "HEAD")


def test_the_commit_that_recorded_is_found(repository) -> None:
    file: Any = SimpleNamespace(path=Path("one.toml"))
    commit("a = 1\n")
    recorded = commit('a = 1\ncode = "0123456789ab"\n')
    commit('a = 2\ncode = "0123456789ab"\n')
    assert origin.commit_of(file, {"code": "0123456789ab"}) == recorded
    assert origin.commit_of(file, {"code": "absent"}) == ""
    assert origin.commit_of(file, {"code": "0123456789ab", "commit": "named"}) == "named"


def test_the_code_of_an_old_commit_may_not_tell_its_key(tmp_path: Path) -> None:
    """Its modules had other names; it is trained all the same."""
    (tmp_path / "audiomtl" / "harness").mkdir(parents=True)
    for name in ("", "harness"):
        (tmp_path / "audiomtl" / name / "__init__.py").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert checkout._key(sys.executable, "one", tmp_path, environment) == ""


def test_a_commit_is_checked_out_beside_and_removed_again(repository) -> None:
    first = commit("a = 1\n")
    commit("a = 2\n")
    with checkout._checked_out(first) as (folder, _):
        assert (folder / "one.toml").read_text() == "a = 1\n" and Path("one.toml").read_text() == "a = 2\n"
    assert not folder.exists() and len(git("worktree", "list").splitlines()) == 1
