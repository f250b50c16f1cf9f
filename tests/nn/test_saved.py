"""Models that Keras alone does not read again."""

from pathlib import Path

import keras
import numpy as np
import pytest

from audiomtl.families.fusion.encoders import Masked
from audiomtl.nn import masking, saved


def _model() -> keras.Model:
    """With two classes of layers that are called Masked, one of which does not save its name."""
    x, lengths = keras.Input((None, 2)), keras.Input((), dtype="int32")
    mask = keras.Input((None,), dtype="bool")
    first = Masked(name="masked_1")([keras.layers.Dense(3, name="first")(x), mask])
    second = masking.Masked(1, name="masked")([keras.layers.Dense(2, name="second")(first), lengths])
    return keras.Model([x, lengths, mask], second)


def test_layers_keep_their_names_and_weights(tmp_path: Path) -> None:
    model = _model()
    model.save(tmp_path / "model.keras")
    keras.utils.clear_session()  # names are given anew, as in the process that reads
    with pytest.raises(ValueError, match="used 2 times"):  # else `saved` is not needed any more
        keras.saving.load_model(tmp_path / "model.keras", compile=False)
    again = saved.load(tmp_path / "model.keras")
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    given = [
        np.random.default_rng(0).normal(size=(2, 5, 2)),
        np.array([5, 3], np.int32),
        np.ones((2, 5), bool),
    ]
    np.testing.assert_array_equal(model(given), again(given))


def test_a_model_whose_layers_save_their_names_is_read_as_it_is(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        saved.load(tmp_path / "model.keras")(np.ones((1, 2))), model(np.ones((1, 2)))
    )
