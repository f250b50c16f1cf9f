"""The mean of several models in one file: one YAMNet, and all heads or fine-tuned ends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from audiomtl import config
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.contract import Fitted
from audiomtl.families.transfer import export, model, serving, use
from tests.surroundings.families import raw_settings, sounds, untrained

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")


def refused(*_: Any) -> bytes:
    raise UserError("not here")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds(tmp_path_factory.mktemp("export") / "sounds")


def pair(clips: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[Fitted]:
    """Two models whose weights differ."""
    monkeypatch.setenv("AUDIOMTL_CACHE", str(clips.parent / "cache"))
    monkeypatch.setattr(export, "CHECKED_SECONDS", (0.4, 1.3))
    settings = config.settings_of(raw_settings("transfer", clips, **changes), "transfer")
    prepared = model.prepare(settings, 1)
    members = []
    for seed in (1, 2):
        fitted = untrained(model, settings, prepared)
        random = np.random.default_rng(seed)
        for weights in fitted.model.trainable_variables:
            weights.assign(weights + random.normal(0, 0.01, weights.shape))
        members.append(fitted)
    return members


@pytest.mark.parametrize("blocks", [0, 1])
def test_one_file_answers_with_the_mean_of_its_heads(
    blocks: int, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = pair(clips, monkeypatch, fine_tune__blocks=blocks)
    monkeypatch.setattr(serving, "tflite", refused)  # a conversion takes long: see test_predict
    written = export.write_average(members, tmp_path)
    assert written.files == ("saved_model", "classes.txt") and written.reason == "no TFLite file: not here"
    assert "the mean of 2 models on one YAMNet" in written.interface
    y = np.random.default_rng(5).uniform(-0.5, 0.5, 16000).astype(np.float32)
    each = [use.respond(member, [Recording("", y)])[0].answers for member in members]
    loaded = tf.saved_model.load(str(tmp_path / "saved_model")).signatures
    first, second = (answers["classes"].probabilities for answers in each)  # type: ignore[union-attr]
    assert np.abs(first - second).max() > 1e-3
    found = loaded["serving_default"](waveform=tf.constant(y))["classifier"]
    np.testing.assert_allclose(found, (first + second) / 2, rtol=0, atol=1e-6)
    parts = loaded["embed"](waveform=tf.constant(y))
    first, second = (answers["segments"].scores for answers in each)  # type: ignore[union-attr]
    np.testing.assert_allclose(parts["scores"], (first + second) / 2, rtol=0, atol=1e-6)
    vectors = [use.embed(member, [Recording("", y)])[0] for member in members]
    expected = np.concatenate(vectors, axis=1) if blocks else vectors[0]
    np.testing.assert_allclose(parts["embeddings"], expected, rtol=0, atol=1e-5)


def test_a_file_that_does_not_say_the_mean_is_refused(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = pair(clips, monkeypatch)
    alone = serving.waveform_model
    monkeypatch.setattr(
        serving, "waveform_model", lambda networks, body, **options: alone(networks[:1], body)
    )
    with pytest.raises(UserError, match="from the mean of the single models' outputs; please report this"):
        export.write_average(members, tmp_path)
