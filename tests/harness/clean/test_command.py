"""`audiomtl clean`: it shows, and with --yes it removes; what is left works as before."""

import os
import re
import time
from pathlib import Path
from typing import Any

import mlflow.exceptions
import pytest
import requests

from audiomtl.harness import status
from audiomtl.harness.clean import things
from audiomtl.harness.record import client
from audiomtl.harness.record.store import runs_folder
from tests.command import run
from tests.harness.clean.conftest import listing, written
from tests.harness.clean.test_runs import FILES, NEEDED, kept_files, with_files

NOTHING = "nothing to free\n"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a file of floors that nobody has read for 40 days, and one that was read yesterday."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("AUDIOMTL_CACHE", str(folder))
    for name, days in (("old", 40), ("new", 1)):
        ago = time.time() - 86400 * days
        os.utime(written(folder, f"floors/{name}.json", 2_000_000), (ago, ago))
    return folder


def rows(out: str) -> dict[str, tuple[str, str]]:
    """{first cell: the two others} of a table."""
    found = re.findall(r"^[│┃] *(.+?) *[│┃] *(\d*|number) *[│┃] *([\d.]*|MB) *[│┃]$", out, re.MULTILINE)
    return {first: (number, size) for first, number, size in found}


def test_it_shows_and_removes_and_then_there_is_nothing(
    store: Any, cache: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    best = store.best(1, 0.1, 0.2)
    written(runs_folder(), f"checkpoints/{best}/1/weights.npz", 3_000_000)
    pruned = with_files(store, store.trial(1, {}, "pruned"), tmp_path / "files")
    folders = runs_folder(), cache
    before = [listing(folder) for folder in folders]

    code, out, err = run(monkeypatch, capsys, "clean")
    wanted = {
        "checkpoints of finished trainings": ("1", "3.0"),
        "temporary files of finished trainings": ("0", "0.0"),
        "artifacts of pruned trials": ("1", "0.0"),
        "features not read for 30 days": ("0", "0.0"),
        "corpora not read for 30 days": ("0", "0.0"),
        "indexes and floors not read for 30 days": ("1", "2.0"),
        "unfinished corpora, locks of removed entries": ("0", "0.0"),
        "total": ("3", "5.0"),
    }
    assert (code, err) == (0, "") and rows(out) == {"would free": ("number", "MB"), **wanted}
    assert out.endswith("\nnothing is removed yet; to free it: audiomtl clean --yes\n")
    assert [listing(folder) for folder in folders] == before
    assert run(monkeypatch, capsys, "clean", "--days", "0")[1].endswith("clean --yes --days 0\n")

    code, out, err = run(monkeypatch, capsys, "clean", "--yes")
    assert (code, err) == (0, "") and rows(out) == {"freed": ("number", "MB"), **wanted}
    assert os.listdir(cache / "floors") == ["new.json"] and kept_files(store, pruned) == NEEDED
    for words in ([], ["--yes"]):
        assert run(monkeypatch, capsys, "clean", *words) == (0, NOTHING, "")


def test_nothing_to_free_is_one_line_where_there_is_no_project(
    project: Any, monkeypatch: Any, capsys: Any
) -> None:
    for words in ([], ["--yes"]):
        assert run(monkeypatch, capsys, "clean", *words) == (0, NOTHING, "")
    assert not project.runs.exists()


def test_a_table_fits_a_narrow_terminal(store: Any, cache: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(monkeypatch, capsys, "clean")[1].splitlines()
    assert len(lines) > 8 and max(map(len, lines)) <= 80


def test_a_folder_that_cannot_be_written_ends_in_one_line_and_all_else_goes(
    store: Any, cache: Path, monkeypatch: Any, capsys: Any
) -> None:
    """Tests run as root, whom no permission stops: the error is made."""
    best = store.best(1, 0.1, 0.2)
    checkpoint = written(runs_folder(), f"checkpoints/{best}/1/weights.npz")

    def refuse(folder: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(things, "set_aside", refuse)
        code, out, err = run(patch, capsys, "clean", "--yes")
    place = checkpoint.parents[1]
    assert code == 1 and err.startswith(f"audiomtl: {place}: permission denied") and err.count("\n") == 1
    assert rows(out)["total"] == ("1", "2.0") and checkpoint.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotImplementedError(), "cannot delete files: they stay"),
        (
            mlflow.exceptions.MlflowException("Not implemented yet"),
            "cannot delete files (Not implemented yet)",
        ),
        (requests.HTTPError("405 Client Error: Method Not Allowed"), "Method Not Allowed"),
    ],
)
def test_a_store_that_cannot_delete_says_so_once(
    error: Exception, words: str, store: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    pruned = [with_files(store, store.trial(number, {}, "pruned"), tmp_path / "files") for number in (1, 2)]

    class Repository:
        def delete_artifacts(self, path: str) -> None:
            raise error

    monkeypatch.setattr(client, "get_artifact_repository", lambda uri, tracking_uri: Repository())
    code, out, err = run(monkeypatch, capsys, "clean", "--yes")
    assert (code, err) == (0, "") and out.count("\n") == 1 and words in out
    assert all(kept_files(store, one) == set(FILES) for one in pruned)


def test_a_report_is_the_same_without_the_artifacts_of_pruned_trials(
    store: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    store.parent()
    curve = {"validation/loss": [1.0, 0.9], "validation/error_rate": [0.6, 0.5]}
    for number, outcome in ((0, "complete"), (1, "pruned"), (2, "complete")):
        scores = {} if outcome == "pruned" else {"best/validation/error_rate": 0.4 + number / 100}
        with_files(store, store.trial(number, {**scores, **curve}, outcome), tmp_path / "files")
    for seed in (1, 2, 3):
        store.best(seed, 0.1, 0.2)
    before = store.write()
    assert run(monkeypatch, capsys, "clean", "--yes")[0] == 0
    assert store.write() == before and "pruned" in before


@pytest.mark.slow
@pytest.mark.long
def test_a_study_is_resumed_after_it(project: Any) -> None:
    """With real trainings, some of them pruned, and one that was stopped in the middle."""
    project.edit("studies", "sampler_seed = 3", "sampler_seed = 3\nstop_after_failures = 50")
    process = project.start_held("3:0", "study", "tiny", "--slots", "1")
    os.killpg(process.pid, 9)
    process.communicate()
    [checkpoint] = (project.runs / "checkpoints").iterdir()
    project.run("clean", "--yes")
    assert [checkpoint] == list((project.runs / "checkpoints").iterdir())
    project.run("study", "tiny", "--slots", "1")
    whole = project.summary()
    shown = status.summary(status.read("tiny"), 5)
    assert any(state == "PRUNED" for _, state, *_ in whole)
    assert "artifacts of pruned trials" in project.run("clean", "--yes")
    assert (project.summary(), status.summary(status.read("tiny"), 5)) == (whole, shown)
    project.edit("studies", "trials = 5", "trials = 7")
    project.run("study", "tiny", "--slots", "1")
    assert project.summary()[:5] == whole and len(project.summary()) == 7
    project.run("clean", "--yes")
    assert project.run("clean") == NOTHING
