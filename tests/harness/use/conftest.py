"""Saved models of small trainings on thirty sounds, used by folder."""

from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.nn.fit import seed_everything
from tests.surroundings.families import raw_settings, sounds


@pytest.fixture(scope="package")
def saved(tmp_path_factory) -> Path:
    """Folder with ``sounds/`` (their table is clips.parquet) and saved models ``baseline/`` and ``mil/``."""
    folder = tmp_path_factory.mktemp("saved")
    clips = sounds(folder / "sounds")
    for family, changes in (("baseline", {}), ("mil", {"training.epochs": 1})):
        raw = config.override(raw_settings(family, clips), changes)
        model, settings = config.family("model", family), config.settings_of(raw, family)
        seed_everything(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
            prepared = model.prepare(settings, 1)
        model.save(model.train(settings, prepared, 1, lambda epoch, scores: True, None), folder / family)
    return folder


@pytest.fixture
def here(saved, tmp_path, monkeypatch) -> Path:
    """An empty current folder without runs; caches and runs are in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("CACHE", "RUNS"):
        monkeypatch.setenv(f"AUDIOMTL_{name}", str(tmp_path / name.lower()))
    return tmp_path
