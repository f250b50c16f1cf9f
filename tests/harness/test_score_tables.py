"""What `audiomtl best` prints of the scores."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from audiomtl.harness import score_tables
from tests.harness.report.test_group_intervals import load, predictions


@pytest.fixture
def shown(monkeypatch):
    """Lines that are printed for some predictions, a table for each seed, and scores."""

    def show(name: str, tables, scores, floors=()) -> list[str]:
        out = io.StringIO()
        monkeypatch.setattr(score_tables, "console", lambda: Console(file=out, width=250))
        monkeypatch.setattr(score_tables, "Tracking", lambda: None)
        monkeypatch.setattr(score_tables.group_intervals, "predictions", lambda *_: tables)
        file = load(name)
        score_tables.show(file, dict.fromkeys(file.settings.seeds), scores, dict(floors))
        return [" ".join(line.split()) for line in out.getvalue().splitlines()]

    return show


def test_new_groups_come_first_then_folds_and_what_varies(shown):
    tables = predictions(4, 2, 0) + predictions(4, 2, 1)  # in the order of the seeds: blocks 1, 2, 3, 0 ...
    floor = SimpleNamespace(value=0.5, by="chance")
    scores = {"test/accuracy": [0.9, 0.8, 0.7, 0.9, 0.8, 0.8, 0.9, 0.7]}
    lines = shown("mil_emodb", tables, scores, {"test/accuracy": floor}.items())
    text = "\n".join(lines)
    assert "95 % interval for new groups" in lines[1]
    assert any(line.startswith("│ accuracy │") and " to " in line for line in lines)
    assert "clustered by each; the spread over the seeds of a fold is included." in text
    assert "interval over 4 folds" in text and "SD over folds" in text and "SD over seeds" in text
    assert "0.5000 chance" in text
    assert (
        lines[-1] == "Intervals over 4 test folds are 95 % intervals; the 2 seeds of a fold averaged first."
    )


def test_seeds_on_the_same_clips_are_called_what_they_are(shown):
    scores = {"test/accuracy": [0.9, 0.8, 0.7, 0.9, 0.8]}
    lines = shown("mil_songs", [], scores)
    text = "\n".join(lines)
    assert "interval over seeds" in text and "SD over" not in text and "new groups" not in text
    assert "say nothing about new recordings" in lines[-1]
