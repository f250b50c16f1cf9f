"""New recordings are read as the clips of the training."""

from dataclasses import replace

import numpy as np
import pytest

from audiomtl import config
from audiomtl.data import audio, fetch, scaling
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.families.fusion import model as fusion
from audiomtl.families.fusion import use
from audiomtl.nn.fit import seed_everything
from audiomtl.nn.yamnet_store import EmbeddingStore
from tests.nn.yamnet_weights import write
from tests.surroundings.families import raw_settings


def fitted(folder, random: np.random.Generator):
    """A model of a sound, read as YAMNet's patches, and of words, that has learned nothing."""
    changes = {
        f"modalities__sound__{name}": value for name, value in {"encoder": "yamnet", "size": 8}.items()
    }
    changes["modalities__sound__weights"] = str(write(folder / "yamnet.h5"))
    settings = config.settings_of(
        raw_settings("fusion", folder, join__leave_out=["picture"], join__by="words", **changes), "test"
    )
    scalers = {"sound": scaling.fit([random.normal(0.1, 0.2, (30, 1024))], "per_band_train")}
    known = fusion.Known(
        ("a", "b", "c"),
        {"words": ("say",)},
        scaling.fit([], "none"),
        {},
        {"sound": (None, 1024), "words": (None,)},
        scalers,
        {"sound": fetch.digest(folder / "yamnet.h5")},
    )
    seed_everything(1)
    return fusion._fitted(fusion.network(settings, known), settings, known)


def test_a_recordings_patches_are_those_of_the_store(tmp_path) -> None:
    random = np.random.default_rng(3)
    model = fitted(tmp_path, random)
    assert use.sample_rate(model.settings) == 16000 and use.columns(model.settings) == ("words",)
    audio.save(tmp_path / "y.wav", random.normal(0, 0.1, 32000).clip(-1, 1), sample_rate=16000)
    y = audio.load(tmp_path / "y.wav", sample_rate=16000)
    with_words, alone = use.respond(
        model, [Recording("y", y, {"words": "say"}), Recording("alone", y, {"words": None})]
    )
    [stored] = EmbeddingStore(tmp_path / "features", tmp_path / "yamnet.h5").activations(
        [str(tmp_path / "y.wav")]
    )
    said = np.array([2], np.int32)
    for response, words in ((with_words, said), (alone, None)):
        example = fusion.Example(response.name, -1, {"sound": stored, "words": words})
        [(_, expected)] = fusion.outputs(model, [example])
        np.testing.assert_allclose(response.answers["classes"].probabilities, expected["clip"], atol=1e-6)
    assert with_words.seconds == 2 and alone.remarks == ("without words",)
    other = Recording("other", 0.5 * y, {"words": "say"})
    [changed] = use.respond(model, [other])
    assert not np.allclose(
        changed.answers["classes"].probabilities, with_words.answers["classes"].probabilities, atol=1e-6
    )


def test_other_weights_of_yamnet_are_refused(tmp_path) -> None:
    model = fitted(tmp_path, np.random.default_rng(3))
    use.check_model(model, "here")
    write(tmp_path / "yamnet.h5", seed=5)
    with pytest.raises(UserError, match=r"modalities\.sound\.weights: .* trained with different weights"):
        use.check_model(model, "here")
    plain = replace(model, known=replace(model.known, weights={}))
    use.check_model(plain, "here")  # a model that reads no embeddings


def test_a_sound_without_samples_is_absent(tmp_path) -> None:
    model = fitted(tmp_path, np.random.default_rng(3))
    empty = Recording("empty", np.zeros(0, np.float32), {"words": "say"})
    [response] = use.respond(model, [empty])
    assert response.remarks == ("without sound",)
    with pytest.raises(UserError, match="has none of the modalities sound, words"):
        use.respond(model, [replace(empty, columns={})])
