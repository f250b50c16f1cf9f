"""Trained models in Python."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import audiomtl
from audiomtl.data import audio
from audiomtl.errors import UserError


@pytest.fixture
def model(saved, here) -> audiomtl.Model:
    return audiomtl.load(saved / "mil")


def test_a_model_says_what_it_is(model) -> None:
    assert model.gives == {"classes": "classes", "segments": "segments"} and model.sample_rate == 16000
    assert repr(model) == "<audiomtl.Model mil (mil; classes: classes, segments: segments)>"
    assert model.settings.features.bands == 16


def test_paths_arrays_and_folders_give_the_same_rows(saved, model) -> None:
    paths = sorted((saved / "sounds").glob("0*.wav"))[:3]
    of_paths = model.predict(paths)
    sounds = [audio.load(path, sample_rate=16000) for path in paths]
    of_arrays = model.predict(sounds, sample_rate=16000)
    assert of_paths["file"].tolist() == [str(path) for path in paths]
    assert of_arrays["file"].tolist() == ["0", "1", "2"]
    pd.testing.assert_frame_equal(of_paths.drop(columns="file"), of_arrays.drop(columns="file"))
    numbers = of_paths[["probability_a", "probability_b", "probability_c"]].to_numpy()
    assert np.allclose(numbers.sum(axis=1), 1) and of_paths["predicted"].isin(["a", "b", "c"]).all()
    pd.testing.assert_frame_equal(model.predict(str(paths[0])), of_paths[:1])
    assert len(model.predict(saved / "sounds")) == 30
    table = model.predict(saved / "sounds" / "clips.parquet")
    assert table["file"].tolist() == [f"clip_{number:02}" for number in range(30)]


def test_sound_of_another_rate_is_resampled(saved, model) -> None:
    path = saved / "sounds" / "03.wav"
    [whole] = model.respond(path)
    [other] = model.respond(audio.load(path, sample_rate=32000), sample_rate=32000)
    assert np.allclose(
        whole.answers["classes"].probabilities, other.answers["classes"].probabilities, atol=0.02
    )


def test_spans_are_rows(saved, model) -> None:
    rows = model.spans(saved / "sounds")
    assert list(rows.columns) == ["file", "answer", "start_seconds", "end_seconds", "label", "score"]
    assert set(rows["answer"]) <= {"segments"} and (rows["end_seconds"] > rows["start_seconds"]).all()


def test_scores_on_other_data(saved, model) -> None:
    found = model.evaluate(saved / "sounds" / "clips.parquet")
    assert found.clips == 30 and "accuracy" in found.scores["score"].tolist()


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda model: model.predict(np.zeros(100)), "array 0: sample_rate is missing"),
        (lambda model: model.predict([np.zeros((2, 100))], sample_rate=16000), r"must be a float array of shape"),
        (lambda model: model.predict([np.zeros(9, np.int16)], sample_rate=16000), r"divide 16-bit integers by 32768"),
        (lambda model: model.predict(np.full(9, 3.0), sample_rate=16000), r"must lie in \[-1, 1\], but reach 3"),
        (lambda model: model.predict(np.full(9, np.nan), sample_rate=16000), r"must lie in \[-1, 1\]"),
        (lambda model: model.predict("none.wav"), "none.wav: no such file"),
        (lambda model: model.transcribe("none.wav"), "gives classes, segments, but no phones"),
        (lambda model: model.align("none.wav", "Mond"), "no model of the family mil aligns a text"),
        (lambda model: model.embed("none.wav"), "no model of the family mil has embeddings"),
        (lambda model: audiomtl.load("nothing"), r"experiments/nothing.toml: no such file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(model, call, reason) -> None:
    with pytest.raises(UserError, match=reason) as error:
        call(model)
    assert "\n" not in str(error.value)


@pytest.mark.long
def test_loading_prints_nothing(saved, here) -> None:
    code = f"import audiomtl; audiomtl.load({str(saved / 'baseline')!r})"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def test_folders_without_a_model_are_refused(here) -> None:
    with pytest.raises(UserError, match="no saved model there"):
        audiomtl.load(here)
    with pytest.raises(UserError, match=r"--seed 3: .* is one model"):
        audiomtl.load(here, seed=3)
    (here / "use.json").write_text("{}")
    with pytest.raises(UserError, match="is not a saved model"):
        audiomtl.load(here)


@pytest.fixture
def early(tmp_path) -> Path:
    """Models that 0.1.0 saved, of every family, by folder."""
    with zipfile.ZipFile(Path(__file__).parents[2] / "golden" / "saved_models.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["ctc", "multitask harmonic"])
def test_phones_are_aligned_in_order_within_the_recording(early, name) -> None:
    model = audiomtl.load(early / name)
    symbols = [one for one in getattr(model.loaded.fitted.known, "vocabulary", ()) if one != "_"] or [
        one for one in model.loaded.fitted.known.symbols if one != "_"
    ]
    y = np.random.default_rng(0).uniform(-0.1, 0.1, 3 * model.sample_rate).astype(np.float32)
    wanted = [symbols[0], symbols[-1], symbols[0]]
    found = model.align(y, " ".join(wanted), phones=True, sample_rate=model.sample_rate)
    assert found["phone"].tolist() == wanted and (found["word"] == "").all()
    assert found["confidence"].between(0, 1).all() and found["word_confidence"].isna().all()
    times = found[["start_seconds", "end_seconds"]].to_numpy().ravel()
    assert (np.diff(times) >= 0).all() and times[0] >= 0 and times[-1] <= 3.0 and len(set(times)) > 3
    with pytest.raises(UserError, match="unknown symbols"):
        model.align(y, "qqq", phones=True, sample_rate=model.sample_rate)
