"""Promotion: the best trial of a study goes into the experiment file, and nothing else there changes."""

import re
import tomllib
from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.errors import UserError
from audiomtl.harness.search.promote import promote
from audiomtl.harness.search.proposals import best_trial
from tests.harness.conftest import Project

PROJECT = Path(__file__).parents[3]
STUDY = """\
description = "A study."
experiment = "mil"
metric = "validation/accuracy"
direction = "maximize"
prune_on = "validation/loss"
prune_direction = "minimize"
prune_after_epochs = 3
trials = 8
sampler = "random"
sampler_seed = 1

[search]
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.StudyFile:
    """A study of pooling and learning rate beside others, in a project of its own."""
    text = (PROJECT / "experiments" / "mil_esc10.toml").read_text(encoding="utf-8").partition("[ablation")[0]
    pooling = '[pooling]\nname = "attention"\nevaluation = "same"\nunits = 16\n'
    text = re.sub(r"\[pooling\]\n(?:[^\[\n].*\n)+", pooling, text)
    for folder in ("experiments", "studies"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path)
    Path("experiments/mil.toml").write_text(text, encoding="utf-8")
    for name, search in {
        "mil": 'pooling.name = { choices = ["mean", "attention"] }\noptimizer.learning_rate = { low = 1e-4, high = 1e-1 }\n',
        "units": 'pooling.units = { low = 8, high = 64, when = { "pooling.name" = ["attention"] } }\n',
        "rates": "optimizer.learning_rate = { low = 1e-4, high = 9e-2 }\n",
        "other": "pooling.units = { low = 8, high = 64 }\n",
    }.items():  # fmt: skip
        Path(f"studies/{name}.toml").write_text(STUDY + search, encoding="utf-8")
    config.load_study("units")
    Path("studies/broken.toml").write_text(
        STUDY + "pooling.unit = { low = 8, high = 64 }\n", encoding="utf-8"
    )
    return config.load_study("mil")


def test_a_copy_is_replaced_unless_a_person_edited_it(study: config.StudyFile) -> None:
    """What an earlier promotion and `best --record` wrote is no person's edit."""
    copy = Path("runs/copy/mil.toml")
    promote(study, {"pooling.name": "mean", "optimizer.learning_rate": 0.01}, to=copy.parent)
    first = copy.read_text(encoding="utf-8")
    copy.write_text(first + '\n[expected.recorded]\nmachine = "m"\nseeds = [1]\n', encoding="utf-8")
    promote(study, {"pooling.name": "attention", "optimizer.learning_rate": 0.02}, to=copy.parent)
    assert tomllib.loads(copy.read_text(encoding="utf-8"))["optimizer"]["learning_rate"] == 0.02
    for edited in (
        first.replace("seeds = ", "# mine\nseeds = "),
        re.sub(r"epochs = \d+", "epochs = 3", first),
        "no TOML [",
    ):
        copy.write_text(edited, encoding="utf-8")
        with pytest.raises(
            UserError, match=r"^runs/copy/mil.toml: already exists, and differs .* use --force to"
        ):
            promote(study, {"pooling.name": "mean", "optimizer.learning_rate": 0.01}, to=copy.parent)
        assert copy.read_text(encoding="utf-8") == edited
    promote(study, {"pooling.name": "mean", "optimizer.learning_rate": 0.01}, to=copy.parent, force=True)
    assert copy.read_text(encoding="utf-8") == first


def test_studies_that_a_promotion_makes_invalid_are_named(study: config.StudyFile) -> None:
    values = {"pooling.name": "mean", "optimizer.learning_rate": 0.095}
    assert promote(study, values, to=Path("copy")).invalid == ()  # the experiment itself did not change
    rates, units = promote(study, values).invalid
    assert rates.startswith("studies/rates.toml: search.optimizer.learning_rate: trial 0 has the settings")
    assert units.startswith("studies/units.toml: search.pooling.units: when.pooling.name = ")
    assert units.endswith('is never true: it is "mean" and is not swept') and "\n" not in rates + units
    assert promote(study, values).invalid == ()  # nothing changed


@pytest.mark.slow
def test_promotion_edits_the_swept_lines_only_and_removes_expected(project: Project) -> None:
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
