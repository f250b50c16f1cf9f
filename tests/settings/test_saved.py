"""Settings that an earlier version saved are read as this one names them."""

from pathlib import Path

import pytest

from audiomtl import config
from audiomtl.data.corpora import german_speech
from audiomtl.settings.saved import upgraded

PROJECT = Path(__file__).parents[2]


def as_0_1_0(name: str) -> dict:
    """The settings of a CTC experiment in the form of version 0.1.0: the split stands in ``[data]``."""
    raw = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml")).raw
    protocol = raw.pop("protocol")
    raw["data"] = {key: value for key, value in raw["data"].items() if not key.startswith("held_out_")}
    raw["data"] |= {key: protocol[key] for key in ("test_values", "validation_values", "rotations")}
    return raw


@pytest.mark.parametrize("name", ["ctc_german", "ctc_emodb", "quickstart"])
def test_a_ctc_model_of_0_1_0_keeps_its_settings(name):
    raw = config.load_experiment(str(PROJECT / "experiments" / f"{name}.toml")).raw
    now = config.settings_of(config.override(raw, {"protocol.train_on": "train"}), name)  # it had no other
    read = config.settings_of(upgraded(as_0_1_0(name)), "use.json")
    assert read == now


@pytest.mark.parametrize(
    ("changes", "held_out"),
    [
        (
            {
                "data.groups": ["sentence", "speaker"],
                "data.test_values": [60, 3],
                "data.validation_values": [60, 2],
            },
            [(3, 2), (60, 60)],
        ),
        ({"data.rotations": 5}, [(), ()]),
        ({"data.groups": ["speaker"], "data.test_values": [3], "data.validation_values": [2]}, [(), ()]),
    ],
)
def test_the_corpus_pairs_what_it_paired(changes, held_out):
    settings = config.settings_of(upgraded(config.override(as_0_1_0("ctc_german"), changes)), "use.json")
    assert [settings.data.held_out_speakers, settings.data.held_out_sentences] == held_out
    assert len(german_speech.pairs(settings.data)) == 720


def test_settings_of_this_version_stay_as_they_are():
    for path in (PROJECT / "experiments").glob("*.toml"):
        raw = config.load_experiment(str(path)).raw
        assert upgraded(raw) == raw
