"""What the heads share: padding without influence, keys at their frequencies, a text's shares."""

import keras
import librosa
import numpy as np
import pytest

from audiomtl.families.fusion import encoders as modalities
from audiomtl.families.multitask import encoder as trunk
from audiomtl.families.multitask.settings import Encoder
from audiomtl.nn.fit import seed_everything
from audiomtl.nn.harmonics import HARMONICS
from audiomtl.nn.masking import MeanOverSteps

HERTZ = librosa.mel_frequencies(50, fmin=50, fmax=4000)[1:-1].tolist()
KEYS = trunk.KEYS


def made(kind: str, pools=(2, 2), noise=0.0, shift_bands=0, seed=0, **options) -> keras.Model:
    """An encoder with weights and biases at random, so that no path is silent."""
    seed_everything(0)
    chosen = {"filters": (3, 4), "pool_frames": pools, "pool_bands": (2, 2), "units": 8, "dropout": 0.0}
    chosen = Encoder(kind=kind, noise=noise, shift_bands=shift_bands, **chosen)
    model, random = trunk.encoder(chosen, HERTZ, seed=seed, **options), np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(0.2 * random.normal(size=variable.shape))
    return model


@pytest.mark.parametrize("pools", [(1, 1), (2, 2), (1, 4)])
@pytest.mark.parametrize(
    ("kind", "count"),
    [("article", 21), ("recurrent", 21), ("transformer", 21), ("recurrent", 24), ("harmonic", 24)],
)
def test_padding_has_no_influence(kind, count, pools) -> None:
    model, random = made(kind, pools), np.random.default_rng(1)
    frames = random.normal(size=(2, 50, len(HERTZ))).astype(np.float32)
    frames[0, count:] = 0  # as `pad` leaves it
    one, both = (
        model([frames[:1, :count], np.array([count], np.int32)]),
        model([frames, np.array([count, 50], np.int32)]),
    )
    for alone, together in zip(*(([x] if kind != "harmonic" else x) for x in (one, both)), strict=True):
        own, padded = alone[0].numpy(), together[0].numpy()
        assert np.allclose(own, padded[: len(own)], atol=1e-4) and np.abs(own).max() > 0.1
        assert not padded[len(own) :].any()


@pytest.mark.parametrize("kind", ["article", "recurrent", "transformer", "harmonic"])
def test_a_step_for_every_stride_begun(kind) -> None:
    model = made(kind)
    for frames, steps in ((1, 1), (4, 1), (5, 2), (16, 4)):
        found = model([np.ones((1, frames, len(HERTZ)), np.float32), np.array([frames], np.int32)])
        assert [one.shape[1] for one in (found if kind == "harmonic" else [found])] == [steps] * (
            1 + (kind == "harmonic")
        )
        if kind == "harmonic":
            assert found[1].shape == (1, steps, KEYS, 4)  # of each key


def test_a_score_is_read_beside_the_audio_or_alone() -> None:
    frames, lengths, random = (
        np.ones((1, 16, len(HERTZ)), np.float32),
        np.array([16], np.int32),
        np.random.default_rng(0),
    )
    roll, other = (random.integers(0, 2, (1, 4, KEYS)).astype(np.float32) for _ in range(2))
    for audio in (True, False):
        model = made("recurrent", audio=audio, score=True)
        before = model([frames, lengths, roll]).numpy()
        assert (
            before.shape == (1, 4, 16)
            and np.abs(model([frames, lengths, other]).numpy() - before).max() > 1e-3
        )
        assert np.array_equal(model([2 * frames, lengths, roll]), before) is not audio


def test_masks_and_means_count_a_clip_s_own_steps() -> None:
    x, lengths = np.arange(1.0, 7.0, dtype=np.float32).reshape(1, 6, 1), np.array([5], np.int32)
    assert trunk.Masked(2)([x, lengths]).numpy()[0, :, 0].tolist() == [1, 2, 3, 0, 0, 0]
    assert trunk.Valid(2)([x, lengths]).numpy()[0].tolist() == [True] * 3 + [False] * 3
    assert MeanOverSteps(2)([x, lengths]).numpy().tolist() == [[2.0]]
    assert trunk.Masked(1)([np.ones((1, 6, 2, 3), np.float32), lengths]).numpy().sum() == 5 * 2 * 3
    assert trunk.WholeSteps(4)(x).shape == (1, 8, 1) and trunk.WholeSteps(3)(x).shape == (1, 6, 1)


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("key", [24, 45, 60])
def test_a_pure_tone_lights_its_key_and_the_octave_below(key) -> None:
    """Linear bands of 4 Hz: harmonic 1 of key k, 2 of k - 12, 4 of k - 24, one half of k + 12."""
    bands = np.arange(1000) * 4.0
    tone = np.exp(-0.5 * ((bands - 440 * 2 ** ((21 + key - 69) / 12)) / 4) ** 2).astype(np.float32)
    found = trunk.Harmonics(bands)(tone[None, None])[0, 0].numpy()  # (88, harmonics)
    assert found.shape == (KEYS, len(HARMONICS)) and HARMONICS[:3] == (0.5, 1, 2)
    for place, harmonic in enumerate(HARMONICS):
        off = round(12 * np.log2(harmonic))
        if harmonic in (0.5, 1, 2, 4) and 0 <= key - off < KEYS:
            assert found[:, place].argmax() == key - off
    assert found[key - 12, 1] < 0.01 * found[key, 1] and found[key, 2] < 0.01 * found[key, 1]
    assert (np.delete(found[:, 1], [key - 1, key, key + 1]) < 0.2 * found[key, 1]).all()


def test_outside_the_bands_nothing_is_heard_and_inside_a_flat_sound_is_flat() -> None:
    layer = trunk.Harmonics(HERTZ)
    found = layer(np.ones((1, 1, len(HERTZ)), np.float32))[0, 0].numpy()
    wanted = 440 * 2 ** ((21 + np.arange(KEYS)[:, None] - 69) / 12) * np.array(HARMONICS)
    inside = (wanted >= HERTZ[0]) & (wanted <= HERTZ[-1])
    assert inside.any() and not inside.all() and np.allclose(found, inside, atol=1e-5)
    assert not layer.trainable_variables


def test_all_keys_share_one_network() -> None:
    """Another key's numbers at a key give its output there, but for the keys' own bias, 0 here."""
    layer, random = trunk.PerKey(2), np.random.default_rng(0)
    own, steps = random.normal(size=(2, 5, KEYS, 3)), random.normal(size=(2, 5, 7))
    found = layer([own, steps]).numpy()
    assert found.shape == (2, 5, KEYS, 2) and found.std() > 0.05
    assert np.allclose(layer([np.roll(own, 4, axis=2), steps]), np.roll(found, 4, axis=2), atol=1e-5)
    assert np.abs(layer([own, steps[:, ::-1]]).numpy() - found).max() > 0.01  # the step is heard too
    layer.bias.assign(np.arange(2.0 * KEYS).reshape(KEYS, 2))
    assert np.allclose(layer([own, steps]) - found, layer.bias.numpy(), atol=1e-4)
    assert np.allclose(trunk.PerKey(2, start=-3.0)([np.zeros((1, 1, KEYS, 3)), np.zeros((1, 1, 7))]), -3.0)


def test_bands_are_shifted_clip_by_clip_and_in_training_only() -> None:
    x = np.tile(np.arange(10.0, dtype=np.float32), (40, 3, 1))
    layer = trunk.ShiftBands(2, seed=0)
    assert np.array_equal(layer(x), x) and np.array_equal(trunk.ShiftBands(0, seed=0)(x, training=True), x)
    found = layer(x, training=True).numpy()
    assert (found == found[:, :1]).all()  # all frames of a clip alike
    moved = found[:, 0, 5] - 5
    assert set(moved) == {-2, -1, 0, 1, 2}
    assert all(
        np.array_equal(one, np.clip(np.arange(10) + by, 0, 9))
        for one, by in zip(found[:, 0], moved, strict=True)
    )


def test_every_seed_and_every_layer_draws_its_own_numbers(tmp_path) -> None:
    frames, lengths = np.ones((4, 16, len(HERTZ)), np.float32), np.full(4, 16, np.int32)
    for changes in ({"noise": 0.5}, {"shift_bands": 6}):
        own, same, other = (made("harmonic", seed=seed, **changes) for seed in (1, 1, 2))
        ramp = frames * np.arange(len(HERTZ), dtype=np.float32)
        drawn = [model([ramp, lengths], training=True)[0].numpy() for model in (own, same, other)]
        assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2])
    model = made("harmonic", noise=0.5, shift_bands=6)
    states = [variable.numpy().tolist() for variable in model.variables if "seed_generator" in variable.path]
    # noise, shift, two LSTM: all are in every checkpoint
    assert len({tuple(state) for state in states}) == len(states) == 4
    model.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras", safe_mode=True, compile=False)
    assert [variable.numpy().tolist() for variable in again.variables if "seed_generator" in variable.path][
        :2
    ] == states[:2]


def test_a_model_saved_with_a_fixed_seed_loads() -> None:
    """As before the layers drew from the training's seed."""
    assert trunk.ShiftBands.from_config({"most": 2, "seed": 0}).seed == 0
    assert modalities.ModalityDropout.from_config({"share": 0.1}).share == 0.1


# ---------------------------------------------------------------- text


def test_shares_of_a_text_sum_to_1_and_padding_gets_none() -> None:
    random = np.random.default_rng(0)
    steps, keys = (
        random.normal(size=(2, 6, 8)).astype(np.float32),
        random.normal(size=(2, 5, 8)).astype(np.float32),
    )
    lengths, tokens = np.array([12, 7], np.int32), np.array([[2, 3, 2, 4, 2], [2, 3, 2, 0, 0]], np.int32)
    layer = trunk.Attend(2)
    found = layer([steps, lengths, keys, tokens]).numpy()
    assert np.allclose(found.sum(axis=2), 1, atol=1e-6) and not found[1, :, 3:].any() and (found[0] > 0).all()
    alone = layer([steps[1:, :4], lengths[1:], keys[1:, :3], tokens[1:, :3]]).numpy()
    assert np.allclose(alone[0], found[1, :4, :3], atol=1e-6)


def test_a_text_is_first_sought_in_its_order() -> None:
    """With nothing to go by, a step looks at its own relative place."""
    layer = trunk.Attend(1)
    found = layer([np.zeros((1, 10, 4)), np.array([10]), np.zeros((1, 5, 4)), np.full((1, 5), 2)]).numpy()[0]
    assert (np.diff(found.argmax(axis=1)) >= 0).all() and found[0].argmax() == 0 and found[-1].argmax() == 4
    place = np.exp(-trunk.NARROW * (0.3 - np.arange(5) / 5) ** 2)
    assert np.allclose(found[3], place / place.sum(), atol=1e-5)


def test_padding_of_a_text_has_no_influence() -> None:
    seed_everything(0)
    model = trunk.text_encoder(6, 8)
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    tokens = np.array([[2, 3, 2]], np.int32)
    alone, padded = model(tokens).numpy(), model(np.pad(tokens, ((0, 0), (0, 5)))).numpy()
    assert np.allclose(alone[0], padded[0, :3], atol=1e-5) and not padded[0, 3:].any()
