"""YAMNet's weights: the published files against one another, and files that are not its weights."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from audiomtl.errors import UserError
from audiomtl.nn import yamnet_weights
from tests.nn.yamnet_weights import PUBLISHED, needs_published, write


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("weights") / "yamnet.h5")


def test_files_that_are_no_weights_are_refused(file, tmp_path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(file.read_bytes()[:1_000_000])
    with pytest.raises(UserError, match=r"cut\.h5: cannot be read as weights"):
        yamnet_weights.read_weights(cut)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as empty:
        empty["dense/dense/kernel:0"] = np.zeros((1024, 50), np.float32)
    with pytest.raises(UserError, match="not YAMNet's weights"):
        yamnet_weights.read_weights(other)
    text = tmp_path / "text.tflite"
    text.write_text("not found")
    with pytest.raises(UserError, match=r"text\.tflite: cannot be read as weights"):
        yamnet_weights.read_weights(text)


def test_a_weight_of_another_shape_is_named(file, tmp_path) -> None:
    other = tmp_path / "narrow.h5"
    other.write_bytes(file.read_bytes())
    with h5py.File(other, "a") as changed:
        del changed["dense/dense/kernel:0"]
        changed["dense/dense/kernel:0"] = np.zeros((1024, 50), np.float32)
    with pytest.raises(
        UserError, match=r"scores/kernel has the shape \(1024, 50\), but YAMNet's is \(1024, 521\)"
    ):
        yamnet_weights.read_weights(other)


@needs_published
def test_the_published_files_agree_where_both_are_in_floats() -> None:
    """Layers 1 to 6 of the float HDF5 file, batch normalisation multiplied in, are the TFLite file's to
    within its 8 bits.
    """
    found = yamnet_weights._read_h5(PUBLISHED.with_name("yamnet_256_f32.h5"))
    folded = yamnet_weights.read_weights(PUBLISHED)
    kernels = sorted(name for name in found if name.endswith("/kernel"))
    assert len(kernels) == 11
    for name in kernels:
        of = name.removesuffix("/kernel")
        scale = 1 / np.sqrt(found[f"{of}_bn/moving_variance"] + 1e-4)
        mine = found[name] * (scale[None, None, :, None] if "depthwise" in of else scale)
        step = np.abs(folded[name]).max(axis=(0, 1) if "depthwise" in of else (0, 1, 2), keepdims=True) / 127
        assert (np.abs(mine - folded[name]) <= 0.51 * step + 1e-6).all(), name
        shift = found[f"{of}_bn/beta"] - found[f"{of}_bn/moving_mean"] * scale
        assert np.allclose(shift, folded[f"{of}_bn/beta"], atol=1e-5), name


@needs_published
def test_classes_have_names(tmp_path) -> None:
    names = yamnet_weights.class_names(PUBLISHED.with_name("yamnet_class_map.csv"))
    assert names[0] == "Speech" and names[494] == "Silence" and len(names) == 521
    (tmp_path / "short.csv").write_text("index,mid,display_name\n0,/m/1,Speech\n")
    with pytest.raises(UserError, match="has 1 classes, but YAMNet has 521"):
        yamnet_weights.class_names(tmp_path / "short.csv")
