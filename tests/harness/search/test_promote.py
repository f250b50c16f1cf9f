"""Promotion: the best trial of a study goes into the experiment file, and nothing else there changes."""

import tomllib

import pytest

from audiomtl import config
from audiomtl.harness.search.proposals import best_trial

pytestmark = pytest.mark.slow


def test_promotion_edits_the_swept_lines_only_and_removes_expected(project) -> None:
    path = project.folder / "experiments" / "tiny.toml"
    # a start that is easy to beat
    project.edit("experiments", "learning_rate = 0.05", "learning_rate = 0.001")
    project.edit("studies", 'metric = "validation/error_rate"', 'metric = "validation/loss"')
    path.write_text(path.read_text() + '\n[expected.recorded]\nmachine = "m"\nseeds = [1]\n')
    project.run("study", "tiny", "--slots", "1")
    before = path.read_text()
    project.run("promote", "tiny", "--to", "copy")
    assert path.read_text() == before
    output = project.run("promote", "tiny")
    after = path.read_text()
    assert after == (project.folder / "copy" / "tiny.toml").read_text()
    raw = tomllib.loads(after)
    number, _, values = best_trial(config.load_study("tiny"))
    assert number != 0 and f"trial {number}" in output
    assert {path: config.flatten(raw)[path] for path in values} == values
    changed = [
        (old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=False) if old != new
    ]
    assert all(old.split(" = ")[0] in {"units", "learning_rate"} for old, _ in changed)
    assert "expected" not in raw and "[expected] removed" in output
