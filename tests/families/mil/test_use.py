"""Windows of a file in constant memory are those of the whole."""

from dataclasses import replace

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data import audio, fetch, scaling
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.mil import export, use
from audiomtl.families.mil import model as mil
from audiomtl.families.mil.examples import _length
from audiomtl.families.mil.network import mil_network
from audiomtl.nn.yamnet_store import EmbeddingStore
from tests.nn.yamnet_weights import write
from tests.surroundings.families import raw_settings


def fitted(clips, kind: str, **changes):
    """A model that has learned nothing."""
    settings = config.settings_of(raw_settings("mil", clips, **changes), "test")
    bands = settings.features.n_bands
    sizes = {"bands": bands, "frames": _length(settings), "classes": 3}
    random = np.random.default_rng(0)
    scaler = scaling.fit([random.normal(-50, 20, (90, bands)).astype(np.float32)], kind)
    network = mil_network(settings.network, settings.pooling, **sizes)
    return mil._fitted(network, settings, mil.Known(("a", "b", "c"), scaler))


@pytest.mark.parametrize("kind", ["per_band_train", "minmax", "standard_clip", "per_band_clip"])
@pytest.mark.parametrize("tail", ["pad", "shift", "drop"])
def test_a_stream_has_the_windows_of_the_whole(kind, tail, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(use, "BLOCK_SAMPLES", 7000)
    monkeypatch.setattr(use, "BLOCK", 3)
    model = fitted(tmp_path, kind, windows__tail=tail, windows__hop_share=0.4)
    random = np.random.default_rng(1)
    for seconds in (0.31, 1.0, 7.77, 16.2):
        y = (0.1 * random.standard_normal(round(seconds * 16000))).clip(-1, 1)
        y *= np.linspace(0.05, 1, len(y))
        audio.save(tmp_path / "y.wav", y, sample_rate=16000)
        [whole] = use.respond(model, [Recording("y", audio.load(tmp_path / "y.wav", sample_rate=16000))])
        expected, found = whole.answers["segments"], use.stream(model, tmp_path / "y.wav")
        starts, rows = zip(*found.scores, strict=True)
        assert found.names == expected.names and found.seconds == expected.seconds
        np.testing.assert_allclose(starts, expected.starts)
        np.testing.assert_allclose(rows, expected.scores, atol=2e-6)


def test_what_has_no_window_is_refused(tmp_path) -> None:
    model = fitted(tmp_path, "none", windows__tail="drop")
    audio.save(tmp_path / "y.wav", np.zeros(1600), sample_rate=16000)
    with pytest.raises(UserError, match=r"shorter than a window.*give a longer recording"):
        list(use.stream(model, tmp_path / "y.wav").scores)
    with pytest.raises(UserError, match=r"y: 0.1 s are shorter than a window"):
        use.respond(model, [Recording("y", np.zeros(1600, np.float32))])
    stored = replace(
        model, settings=config.settings_of(raw_settings("mil", tmp_path, network__window="embedding"), "")
    )
    with pytest.raises(UserError, match="reads stored embeddings"):
        use.stream(stored, tmp_path / "y.wav")


def test_recordings_of_a_speaker_are_normalised_together(tmp_path) -> None:
    by_speaker = {
        "data__groups": ["speaker"],
        "features__normalize_by": "speaker",
        "features__also": ["pitch", "voicing"],
    }
    model = fitted(tmp_path, "none", **by_speaker)
    random = np.random.default_rng(2)
    given = [
        Recording(name, random.normal(0, level, 16000).astype(np.float32), {"speaker": name[0]})
        for name, level in (("a1", 0.01), ("a2", 0.1), ("b1", 0.2))
    ]
    together = use.adapted(model, given)
    assert sorted(together.known.normals) == ["a", "b"] and not model.known.normals
    answers = [one.answers["classes"].probabilities for one in use.respond(together, given)]
    alone = use.respond(model, given)
    assert np.abs(answers[0] - alone[0].answers["classes"].probabilities).max() > 1e-4
    np.testing.assert_allclose(answers[2], alone[2].answers["classes"].probabilities, atol=1e-6)
    assert "this one alone" in alone[0].remarks[-1] and not use.respond(together, given)[0].remarks
    audio.save(tmp_path / "y.wav", given[0].y, sample_rate=16000)
    with pytest.raises(UserError, match="need the whole recording"):
        list(use.stream(model, tmp_path / "y.wav").scores)


def test_windows_are_yamnets_patches(tmp_path) -> None:
    """A recording's embeddings are those of the training's store; other weights are refused."""
    weights = write(tmp_path / "yamnet.h5")
    changes = {"network__window": "yamnet", "network__weights": str(weights)}
    settings = config.settings_of(raw_settings("mil", tmp_path, **changes), "test")
    network = mil_network(settings.network, settings.pooling, bands=1024, frames=1, classes=3)
    scaler = scaling.fit([], "none")
    model = mil._fitted(network, settings, mil.Known(("a", "b", "c"), scaler, fetch.digest(weights)))
    y = np.random.default_rng(3).normal(0, 0.1, 32000).astype(np.float32)
    audio.save(tmp_path / "y.wav", y, sample_rate=16000)
    y = audio.load(tmp_path / "y.wav", sample_rate=16000)
    [response] = use.respond(model, [Recording("y", y)])
    [stored] = EmbeddingStore(tmp_path / "features", weights).activations([str(tmp_path / "y.wav")])
    expected = model.forward([stored[:, :, None, None].astype(np.float32), np.array([len(stored)], np.int32)])
    np.testing.assert_allclose(response.answers["segments"].scores, expected["windows"], atol=1e-6)
    np.testing.assert_allclose(response.answers["segments"].starts, 0.48 * np.arange(len(stored)))
    other = replace(model, known=replace(model.known, weights_digest="other"))
    with pytest.raises(UserError, match="trained with different weights"):
        use.check_model(other, "here")
    for stopped in (lambda: use.stream(model, "y.wav"), lambda: export.write(model, tmp_path)):
        with pytest.raises(UserError, match=r'network\.window = "yamnet"'):
            stopped()
