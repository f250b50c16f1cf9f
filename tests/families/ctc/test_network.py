"""The recurrent network: padding has no influence, and the article's sizes."""

import keras
import numpy as np
import pytest

from audiomtl.families.ctc.network import frame_centres, recurrent_network, reduced

VARIANTS = [
    {"units": (6,)},
    {"units": (6, 5), "cell": "gru", "layer_normalization": True},
    {"units": (6,), "convolution_filters": 4, "convolution_frames": 5, "time_reduction": 2},
    {"units": (6,), "convolution_filters": 4, "convolution_frames": 4, "time_reduction": 3},
]


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("padding", [1, 2, 7])
def test_padding_has_no_influence(options: dict, padding: int) -> None:
    keras.utils.set_random_seed(0)
    model = recurrent_network(8, 5, **options)
    reduction = options.get("time_reduction", 1)
    random = np.random.default_rng(0)
    # biases start at zero, and zero frames would then leave a zero state as it is: padding must be able to do
    # harm
    model.set_weights([0.3 * random.standard_normal(weight.shape) for weight in model.get_weights()])
    for length in (9, 10, 11):
        frames = random.standard_normal((1, length, 8)).astype(np.float32)
        alone = np.asarray(model([frames, np.array([length])]))
        longer = np.pad(frames, ((0, 0), (0, padding), (0, 0)))
        padded = np.asarray(model([longer, np.array([length])]))
        assert alone.shape[1] == reduced(length, reduction) == len(frame_centres(length, reduction))
        np.testing.assert_allclose(padded[:, : alone.shape[1]], alone, atol=1e-6)
        # without its length padding does matter
        wrong = np.asarray(model([longer, np.array([length + padding])]))
        if reduced(length + padding, reduction) > reduced(length, reduction):
            assert np.abs(wrong[:, : alone.shape[1]] - alone).max() > 1e-4


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_a_reduced_frame_is_centred_where_it_says(reduction: int) -> None:
    model = recurrent_network(
        1, 2, units=(1,), convolution_filters=1, convolution_frames=3, time_reduction=reduction
    )
    convolution = keras.Model(model.inputs, model.get_layer("convolution").output)
    kernel = np.zeros((3, 1, 1))
    kernel[1] = 1.0  # the middle tap alone: what comes out is the frame it is centred on
    model.get_layer("convolution").set_weights([kernel, np.zeros(1)])
    frames = np.arange(10, dtype=np.float32)[None, :, None]
    np.testing.assert_array_equal(
        np.asarray(convolution([frames, np.array([10])]))[0, :, 0], frame_centres(10, reduction)
    )


def test_the_articles_network_has_its_size() -> None:
    model = recurrent_network(257, 44, units=(100, 100, 150), dropout=0.1)
    inputs, expected = 257, 0
    for units in (100, 100, 150):
        # two directions, four gates: input, recurrent and bias weights
        expected += 2 * 4 * units * (inputs + units + 1)
        inputs = 2 * units
    assert model.count_params() == expected + (inputs + 1) * 44


def test_normalized_bands_are_those_of_what_is_heard() -> None:
    """In training, scale and level of a band have no influence, and neither has padding."""
    keras.utils.set_random_seed(0)
    model = recurrent_network(3, 4, units=(5,), batch_normalization=True)
    random = np.random.default_rng(0)
    frames = random.standard_normal((4, 20, 3)).astype(np.float32)
    lengths = np.array([20, 12, 17, 9])
    frames *= (np.arange(20)[None, :] < lengths[:, None])[:, :, None]
    once = np.asarray(model([frames, lengths], training=True))
    louder = frames * np.float32([3, 1, 0.5]) + np.float32([-70, 0, 5])
    assert np.asarray(model([louder, lengths], training=True)) == pytest.approx(once, abs=2e-3)
    padded = np.pad(louder, ((0, 0), (0, 9), (0, 0)), constant_values=50.0)
    assert np.asarray(model([padded, lengths], training=True))[:, :20] == pytest.approx(once, abs=2e-3)
