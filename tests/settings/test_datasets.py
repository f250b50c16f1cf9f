"""Data sets are found by name, outside the project as well, and bring the settings of ``[data]`` with
them.
"""

import re
import tomllib
from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.data import catalog
from audiomtl.errors import UserError
from audiomtl.settings import datasets

PROJECT = Path(__file__).parents[2]
OUTSIDE = """\
import pandas as pd
from audiomtl.settings.clips import DataSet

class Settings(DataSet):
    months: int

def clips(data, folder):
    return pd.DataFrame({"clip_id": [f"{data.months}"]})
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A package outside the project with a data set in it."""
    (tmp_path / "birdlab").mkdir()
    (tmp_path / "birdlab" / "birds.py").write_text(OUTSIDE, encoding="utf-8")
    (tmp_path / "birdlab" / "broken.py").write_text("import no_such_library_anywhere\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def test_every_data_set_of_the_project_is_one_module_with_settings_and_clips():
    known = datasets.datasets()
    assert {"german_speech", "emodb", "manifest", "songs"} <= set(known) and len(known) == 16
    for name in known:
        module = datasets.dataset(name)
        assert module.Settings.__module__ == module.__name__ and callable(module.clips)


@pytest.mark.parametrize("path", sorted((PROJECT / "experiments").glob("*.toml")), ids=lambda path: path.stem)
def test_a_data_set_outside_the_project_serves_every_family(path, lab):
    raw = config.load_experiment(str(path)).raw
    raw["data"] = {
        "dataset": "birdlab.birds",
        "label": "species",
        "groups": raw["data"]["groups"],
        "months": 3,
    }
    settings = config.settings_of(raw, "here")
    assert settings.data.months == 3 and isinstance(
        settings, config.family("settings", raw["model"]).Settings
    )
    assert list(catalog.clips(settings.data)["clip_id"]) == ["3"]
    assert type(settings) is type(config.settings_of(raw, "here"))  # made once
    with pytest.raises(
        UserError, match=r'^here: data.month = "x": no such setting; did you mean data.months\?$'
    ):
        config.settings_of(config.override(raw, {"data.month": "x"}), "here")


def test_a_bug_in_a_data_set_is_no_slip_in_the_file(lab):
    raw = tomllib.loads((PROJECT / "experiments" / "mil_songs.toml").read_text(encoding="utf-8"))
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):
        config.settings_of(raw | {"data": {"dataset": "birdlab.broken"}}, "here")


@pytest.mark.parametrize("name", ["mil_songs", "transfer_esc10", "fusion_pictures", "baseline_esc10"])
def test_a_label_is_needed_where_classes_are_learned(name):
    raw = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml")).raw
    raw["data"].pop("label")
    with pytest.raises(
        UserError, match=re.escape("here: data.label is missing: it names the column of classes; add it")
    ):
        config.settings_of(raw, "here")
