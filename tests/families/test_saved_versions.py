"""A model is used on the features it was trained on: every family saves the versions of what computes
them, and refuses others.
"""

import json
from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.data import features
from audiomtl.errors import UserError
from audiomtl.nn import yamnet, yamnet_store
from audiomtl.nn.fit import seed_everything
from tests.surroundings.families import FAMILIES, raw_settings, sounds, untrained

REMEDY = "train it again with `audiomtl best NAME --again`"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of a saved model by family (``transfer on statistics``, ``fusion without sound``: not on
    what their families mostly read).
    """
    folder, made = tmp_path_factory.mktemp("saved"), {}
    clips = sounds(folder / "sounds")

    def of(name: str) -> Path:
        if name not in made:
            family, *rest = name.split(" ")
            changes = (
                {"transfer": {"extractor__kind": "statistics"}, "fusion": {"join__leave_out": ["sound"]}}
                if rest
                else {}
            )
            raw = raw_settings(family, clips, **changes.get(family, {}))
            model, settings = config.family("model", family), config.settings_of(raw, name)
            seed_everything(1)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIOMTL_CACHE", str(folder / "cache"))
                prepared = model.prepare(settings, 1)
            model.save(untrained(model, settings, prepared), folder / name)
            made[name] = folder / name
        return made[name]

    return of


def load(folder: Path):
    return config.family("model", folder.name.split(" ")[0]).load(folder)


@pytest.mark.parametrize("name", [*sorted({*FAMILIES} - {"transfer"}), "transfer on statistics"])
def test_another_version_of_the_features_is_refused(saved, name, monkeypatch) -> None:
    folder = saved(name)
    assert json.loads((folder / "use.json").read_text())["versions"] == {
        "features": features.FEATURES_VERSION
    }
    assert load(folder).settings.features
    monkeypatch.setattr(features, "FEATURES_VERSION", 2)
    with pytest.raises(
        UserError, match=rf"use\.json: versions\.features = 1: must be 2, .*{REMEDY}$"
    ) as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_another_front_end_of_yamnet_is_refused(saved, monkeypatch) -> None:
    folder = saved("transfer")
    load(folder)
    with monkeypatch.context() as patch:
        patch.setattr(yamnet_store, "VERSION", 2)
        with pytest.raises(UserError, match=rf"use\.json: versions\.embeddings = 1: must be 2, .*{REMEDY}$"):
            load(folder)
    with monkeypatch.context() as patch:
        patch.setitem(yamnet.PROFILE, "hop_samples", 80)
        with pytest.raises(
            UserError, match=rf"use\.json: versions\.profile\.hop_samples = 160: must be 80, .*{REMEDY}$"
        ):
            load(folder)
    with monkeypatch.context() as patch:
        patch.setitem(yamnet.PROFILE, "windows", "centred")
        with pytest.raises(
            UserError, match=r'use\.json: versions\.profile\.windows = null: must be "centred", '
        ):
            load(folder)


def test_versions_of_what_is_not_read_do_not_matter(saved, monkeypatch) -> None:
    folders = saved("transfer"), saved("fusion without sound")
    monkeypatch.setattr(features, "FEATURES_VERSION", 2)
    for folder in folders:
        load(folder)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_saved_before_counts_as_version_1(saved, name, tmp_path, monkeypatch) -> None:
    copy = tmp_path / name
    copy.mkdir()
    for path in saved(name).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    use = json.loads((copy / "use.json").read_text())
    versions = use.pop("versions")
    (copy / "use.json").write_text(
        json.dumps(use | ({"profile": versions["profile"]} if name == "transfer" else {}))
    )
    load(copy)
    monkeypatch.setattr(
        *((yamnet_store, "VERSION", 2) if name == "transfer" else (features, "FEATURES_VERSION", 2))
    )
    with pytest.raises(UserError, match=r"versions\.(features|embeddings) = 1: must be 2"):
        load(copy)
