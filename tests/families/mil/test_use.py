"""Windows of a file in constant memory are those of the whole."""

from dataclasses import replace

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data import audio, scaling
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.mil import model as mil
from audiomtl.families.mil import use
from audiomtl.families.mil.examples import _length
from audiomtl.families.mil.network import mil_network
from tests.surroundings.families import raw_settings


def fitted(clips, kind: str, **changes):
    """A model that has learned nothing."""
    settings = config.settings_of(raw_settings("mil", clips, **changes), "test")
    sizes = {"bands": 16, "frames": _length(settings), "classes": 3}
    random = np.random.default_rng(0)
    scaler = scaling.fit([random.normal(-50, 20, (90, 16)).astype(np.float32)], kind)
    network = mil_network(settings.network, settings.pooling, **sizes)
    return mil._fitted(network, settings, mil.Known(("a", "b", "c"), scaler))


@pytest.mark.parametrize("kind", ["per_band_train", "minmax", "standard_clip"])
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
