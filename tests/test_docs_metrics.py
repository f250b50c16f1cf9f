"""docs/reference/metrics.md has every score that a family computes, and none that no family computes."""

import re
from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.families.multitask.heads import kind, kinds
from audiomtl.nn.fit import seed_everything
from audiomtl.settings.family import families, family
from tests.pages import PROJECT
from tests.surroundings.families import raw_settings, sounds, untrained

PAGE = PROJECT / "docs" / "reference" / "metrics.md"
ROW = re.compile(r"^\| (`.+?) \| ([↑↓]?) ?\| ", re.MULTILINE)
PATTERNS = {"accuracy_from_A_and_B": r"accuracy_from_\w+", "HEAD_loss": r"\w+_loss"}
PATTERNS |= {f"{score}_CLASS": rf"{score}_\w+" for score in ("average_precision", "roc_auc")}


def on_the_page() -> dict[str, set[str]]:
    """Scores in the first column of its tables, and the arrows beside them."""
    found: dict[str, set[str]] = {}
    for cell, arrow in ROW.findall(PAGE.read_text(encoding="utf-8").partition("## One class per clip")[2]):
        for score in re.findall(r"`(\w+)`(?! and| \(heads)", re.sub(r"\([^)]*\)", "", cell)):
            found.setdefault(score, set()).add(arrow)
    return found


def unknown(scores: set[str]) -> set[str]:
    """Those that the page has neither by name nor as a pattern."""
    listed = on_the_page()
    patterns = [re.compile(PATTERNS[name]) for name in PATTERNS if name in listed or name == "HEAD_loss"]
    return {
        score
        for score in scores - {"loss"}
        if score not in listed and not any(pattern.fullmatch(score) for pattern in patterns)
    }


def declared() -> dict[str, str]:
    """Scores that families and kinds of heads name, with their direction."""
    found: dict[str, str] = {}
    for name in families():
        own = family("settings", name)
        found |= own.SCORES | getattr(own, "TAG_SCORES", {})
    for name in kinds():
        about = kind(name).ABOUT
        found |= {score: "minimize" if score in about.minimized else "maximize" for score in about.scores}
    return found


def test_every_declared_score_is_listed_with_its_direction():
    listed, named = on_the_page(), declared()
    assert len(named) > 30 and unknown(set(named)) == set()
    arrows = {"maximize": "↑", "minimize": "↓"}
    assert {score for score, direction in named.items() if listed[score] != {arrows[direction]}} == set()


def test_scores_beside_the_declared_ones_and_recorded_ones_are_listed():
    beside = {score for name in families() for score in getattr(family("settings", name), "BESIDE", ())}
    recorded = set()
    for path in (PROJECT / "experiments").glob("*.toml"):
        experiment = config.load_experiment(path.stem)
        heads = "|".join(experiment.raw.get("heads", {"": {}}))
        scores = {name.partition("/")[2] for name in experiment.expected if "/" in name}
        recorded |= {re.sub(rf"^({heads})_", "", score) for score in scores}
    assert len(recorded) > 3 and unknown({score for score in beside | recorded if "*" not in score}) == set()


def test_a_score_that_is_not_listed_is_found():
    assert unknown({"accuracy", "acuracy", "accuracy_from_text", "roc_auc_rain"}) == {"acuracy"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    return sounds(tmp_path_factory.mktemp("metrics") / "sounds")


@pytest.mark.long
@pytest.mark.parametrize("name", families())
def test_every_score_that_is_computed_is_listed(name, clips, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path))
    model = config.family("model", name)
    settings = config.settings_of(raw_settings(name, clips), name)
    seed_everything(1)
    prepared = model.prepare(settings, 1)
    fitted = untrained(model, settings, prepared)
    scores = set(model.evaluate(fitted, list(model.outputs(fitted, prepared.examples["validation"]))))
    heads = "|".join(getattr(settings, "heads", {"": {}}))
    assert unknown({re.sub(rf"^({heads})_", "", score) for score in scores}) == set()
