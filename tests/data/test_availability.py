"""Data and pretrained weights are found before any work starts."""

import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import availability, catalog
from audiomtl.errors import MissingData
from audiomtl.harness.record import parts
from tests.nn.yamnet_weights import write
from tests.surroundings.families import raw_settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of a sound that is read as YAMNet's embeddings of ``weights``, with changes."""
    monkeypatch.setattr(catalog, "clips", lambda data: pd.DataFrame({"clip_id": ["a"]}))

    def made(weights: str, **changes):
        sound = {"encoder": "yamnet", "size": 8, "weights": weights}
        own = {f"modalities__sound__{name}": value for name, value in sound.items()}
        return config.settings_of(raw_settings("fusion", tmp_path, **(own | changes)), "test")

    return made


def test_weights_of_a_modality_are_needed_where_it_is_used(settings, tmp_path) -> None:
    absent = str(tmp_path / "yamnet.h5")
    assert availability.weights_of(settings(absent)) == {"weights_sound": absent}
    with pytest.raises(MissingData, match=r"yamnet\.h5: no such file"):
        availability.require(settings(absent))
    assert len(availability.require(settings(absent, join__leave_out=["sound"], join__by="words"))) == 1
    frames = settings(absent, modalities__sound__encoder="embedding")
    assert availability.weights_of(frames) == {} and len(availability.require(frames)) == 1
    write(tmp_path / "yamnet.h5")
    assert len(availability.require(settings(absent))) == 1


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("transfer", {"extractor__kind": "yamnet", "extractor__weights": "FILE"}),
        ("mil", {"network__window": "yamnet", "network__weights": "FILE"}),
    ],
)
def test_weights_of_a_network_are_needed_and_part_of_the_record(
    family, changes, tmp_path, monkeypatch
) -> None:
    clips = pd.DataFrame({"clip_id": ["a"], "path": [str(tmp_path / "a.wav")]})
    (tmp_path / "a.wav").write_bytes(b"a")
    monkeypatch.setattr(catalog, "clips", lambda data: clips)
    file = tmp_path / "yamnet.h5"
    raw = raw_settings(
        family, tmp_path, **changes | {key: str(file) for key in changes if changes[key] == "FILE"}
    )
    found = config.settings_of(raw, "test")
    with pytest.raises(MissingData, match=r"yamnet\.h5: no such file"):
        availability.require(found)
    write(file)
    before = parts.data_of(raw, found)["weights"]
    file.write_bytes(file.read_bytes() + b"x")
    assert parts.data_of(raw, found)["weights"] != before
