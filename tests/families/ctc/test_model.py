"""The CTC family on a handful of made-up clips: tones for phones."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from audiomtl import config
from audiomtl.data import audio, catalog
from audiomtl.errors import UserError
from audiomtl.families.ctc import model as family
from audiomtl.nn.fit import seed_everything
from tests.whole_settings import whole_settings

PITCH = {"a": 400.0, "b": 900.0, "c": 1700.0, "_": 0.0}


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """48 clips of 5 to 8 phones of 60 ms each; 6 speakers, 6 sentences."""
    rows = []
    for index in range(48):
        random = np.random.default_rng(index)
        phones = ["_", *random.choice(["a", "b", "c"], 5 + index % 3), "_"]
        edges = np.arange(len(phones) + 1) * 0.06
        pieces = [0.3 * np.sin(2 * np.pi * PITCH[phone] * np.arange(960) / 16000) for phone in phones]
        y = np.concatenate(pieces) + 0.003 * random.standard_normal(960 * len(phones))
        path = tmp_path / f"{index:02d}.wav"
        audio.save(path, y.astype(np.float32), sample_rate=16000)
        rows.append(
            (
                f"{index:02d}",
                str(path),
                f"s{index % 6}",
                f"t{index % 6}",
                phones,
                edges[:-1].tolist(),
                edges[1:].tolist(),
            )
        )
    return pd.DataFrame(rows, columns=["clip_id", "path", "speaker", "sentence", "phones", "starts", "ends"])


@pytest.fixture
def settings(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Settings by overrides of the quickstart experiment, its corpus replaced by the table."""
    monkeypatch.setattr(catalog, "clips", lambda data: table)
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "cache"))
    raw = whole_settings("quickstart")
    small = {
        "protocol.test_values": [1, 1],
        "protocol.validation_values": [1, 1],
        "network.units": [24],
        "network.convolution_filters": 0,
        "network.time_reduction": 1,
        "features.scaling": "minmax",
        "optimizer.name": "adam",
        "optimizer.learning_rate": 0.01,
        "training.epochs": 14,
        "training.batch_size": 8,
    }

    def make(**overrides):
        changes = {name.replace("__", "."): value for name, value in overrides.items()}
        return config.settings_of(config.override(raw, small | changes), "test")

    return make


def _train(settings, epochs=None):
    seed_everything(1)
    prepared = family.prepare(settings, 1)
    return prepared, family.train(settings, prepared, 1, epochs or (lambda epoch, scores: True), None)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["ctc", "frames", "frames_then_ctc"])
def test_every_objective_learns_tones_and_survives_saving(settings, tmp_path: Path, objective: str) -> None:
    prepared, fitted = _train(settings(network__objective=objective))
    scores = family.evaluate(fitted, family.outputs(fitted, prepared.examples["test"]))
    assert scores["phone_error_rate"] < 0.35 and scores["frame_accuracy"] > 0.5
    # nothing teaches a framewise network to say blank
    assert scores["blank_share"] == 0 or objective != "frames"

    table = family.predict(fitted, family.outputs(fitted, prepared.examples["test"]))
    assert list(table["clip_id"]) == sorted(example.clip_id for example in prepared.examples["test"])
    assert table["edits"].sum() / table["phones"].sum() == pytest.approx(scores["phone_error_rate"])
    assert all(np.all(np.diff(starts) > 0) for starts in table["predicted_starts"])
    assert all(
        len(starts) == len(phones)
        for starts, phones in zip(table["predicted_starts"], table["predicted"], strict=True)
    )

    family.save(fitted, tmp_path / "model")
    loaded = family.load(tmp_path / "model")
    pd.testing.assert_frame_equal(
        family.predict(loaded, family.outputs(loaded, prepared.examples["test"])), table
    )
    assert (
        keras.models.load_model(
            tmp_path / "model" / "model.keras", safe_mode=True, compile=False
        ).count_params()
        == fitted.parameters
    )
    family.pictures(fitted, family.outputs(fitted, prepared.examples["validation"]), tmp_path / "pictures")
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"posteriors.png", "confusion.png"}


def test_frame_labels_are_the_phone_at_the_frames_centre(settings) -> None:
    prepared = family.prepare(settings(), 1)
    example = prepared.examples["train"][0]
    names = [prepared.known.vocabulary[label - 1] for label in example.labels]
    for frame, label in enumerate(example.frame_labels):
        assert (
            prepared.known.vocabulary[label - 1]
            == names[min(int(frame * 0.010 / 0.06 + 1e-9), len(names) - 1)]
        )
    halved = family.prepare(settings(network__convolution_filters=4, network__time_reduction=2), 1).examples[
        "train"
    ][0]
    np.testing.assert_array_equal(halved.frame_labels, example.frame_labels[::2])


def test_vocabulary_and_scaler_come_from_train_only(settings, table: pd.DataFrame) -> None:
    prepared = family.prepare(settings(features__scaling="standard_train"), 1)
    assert prepared.known.vocabulary == ("_", "a", "b", "c")
    frames = np.concatenate([example.frames for example in prepared.examples["train"]])
    np.testing.assert_allclose(prepared.known.scaler.mean, frames.mean(), rtol=1e-4)
    # clip 00 is on the test side: s0, t0 come first when turned by 1 mod 1
    table.at[0, "phones"] = [
        "x",
        *table.at[0, "phones"][1:],
    ]
    with pytest.raises(UserError, match="x"):
        family.prepare(settings(), 1)


@pytest.mark.parametrize(("choice", "error"), [("error", True), ("drop", False)])
def test_clips_with_more_phones_than_frames_are_refused_or_dropped_by_name(
    settings, table, choice: str, error: bool, capsys
) -> None:
    row = table.index[table["speaker"] == "s4"][0]
    table.at[row, "phones"] = ["a", "b"] * 60
    table.at[row, "starts"] = np.linspace(0, 0.3, 120).tolist()
    chosen = settings(network__infeasible=choice)
    if error:
        with pytest.raises(UserError, match=f"1 train clips have more phones.*{table.at[row, 'clip_id']}"):
            family.prepare(chosen, 1)
    else:
        prepared = family.prepare(chosen, 1)
        assert prepared.facts["train/infeasible"] == 1
        assert table.at[row, "clip_id"] not in {example.clip_id for example in prepared.examples["train"]}
        assert table.at[row, "clip_id"] in capsys.readouterr().out


def test_frames_need_phone_times(settings, table) -> None:
    table["starts"] = [[] for _ in range(len(table))]
    with pytest.raises(UserError, match="needs phone times"):
        family.prepare(settings(network__objective="frames"), 1)
