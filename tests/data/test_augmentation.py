"""`audiomtl.data.augmentation`: each change is what its name says, and a pure function of (seed, epoch, clip)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from audiomtl.data import audio, augmentation, features
from audiomtl.data.augmentation import Variant, vtlp
from audiomtl.data.store import FeatureStore
from audiomtl.settings.augmentation import ClipAugmentation, check_bands
from audiomtl.settings.named import modules, names
from audiomtl.settings.shared import Features

FEATURES = Features(
    kind="log_mel",
    sample_rate=16000,
    window_seconds=0.025,
    hop_seconds=0.01,
    n_fft=512,
    bands=24,
    low_hz=60.0,
    high_hz=7600.0,
    floor_db=-80.0,
    scaling="none",
)
OWN: dict[str, dict[str, Any]] = {
    "spec_augment": {
        "frequency_masks": 2,
        "frequency_share": 0.3,
        "time_masks": 2,
        "time_seconds": 0.2,
        "time_share": 0.3,
    },
    "vtlp": {"warp": 0.2},
    "gain": {"decibels": 12.0},
    "noise": {"lowest_db": 0.0, "highest_db": 10.0},
    "time_roll": {},
    "speed": {"factors": [0.8, 1.25]},
    "room": {"rooms": 2, "longest_seconds": 0.5},
    "mixup": {"alpha": 0.4},
}
ON_FRAMES = ["gain", "noise", "spec_augment", "time_roll", "vtlp"]


def settings(*chosen: str, probability: float = 1.0, **others: Any) -> ClipAugmentation:
    return ClipAugmentation.model_validate(
        {name: {"probability": probability, **OWN[name]} for name in chosen} | others
    )


def changed(frames: np.ndarray, *chosen: str, **where: Any) -> np.ndarray:
    where = {"seed": 1, "epoch": 2, "clip": "a"} | where
    probability = where.pop("probability", 1.0)
    return augmentation.augmented(frames, settings(*chosen, probability=probability), FEATURES, **where)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    random = np.random.default_rng(0)
    found = (random.normal(-50, 8, (120, 24)) - np.arange(24)).clip(-80).astype(np.float32)
    found.flags.writeable = False  # as those of the store
    return found


def test_each_has_a_file_and_a_table():
    tables = {name for name in ClipAugmentation.model_fields if name != "label_smoothing"}
    assert tables == {*names("audiomtl.data.augmentation")} == {*OWN}


@pytest.mark.parametrize("name", ON_FRAMES)
def test_draws_are_a_function_of_seed_epoch_and_clip(name, frames):
    once = changed(frames, name)
    assert once.shape == frames.shape and once.dtype == np.float32 and np.isfinite(once).all()
    assert not np.array_equal(once, frames) and once.min() >= FEATURES.floor_db
    assert np.array_equal(once, changed(frames, name))
    for other in ({"seed": 2}, {"epoch": 3}, {"clip": "b"}):
        assert not np.array_equal(once, changed(frames, name, **other)), other
    assert changed(frames, name, probability=0.0) is frames


def test_one_augmentation_changes_no_draw_of_another(frames):
    loud = frames + np.float32(40)  # far from the floor, so that a gain is a constant
    gain = (changed(loud, "gain") - loud)[0, 0]
    for name in ("time_roll", "vtlp"):
        both = changed(loud, name, "gain")
        assert np.allclose(both, changed(loud, name) + gain, atol=1e-3)


def test_half_of_the_clips_are_changed_with_probability_a_half(frames):
    kept = sum(changed(frames, "gain", probability=0.5, clip=str(n)) is frames for n in range(200))
    assert 75 < kept < 125


def test_masks_hold_the_mean_of_each_band(frames):
    masked = changed(frames, "spec_augment")
    differs, mean = masked != frames, frames.mean(axis=0)
    assert 0 < differs.mean() < 0.8
    assert np.array_equal(masked[differs], np.broadcast_to(mean, frames.shape)[differs])
    bands, times = differs.all(axis=0), differs.all(axis=1)
    assert np.array_equal(differs, bands | times[:, None])
    assert bands.sum() <= 2 * 0.3 * 24 and times.sum() <= 2 * 20


def test_gain_is_one_number_and_noise_raises_the_quiet(frames):
    louder = changed(frames, "gain")
    assert np.unique(np.round(louder - frames, 3)[louder > FEATURES.floor_db]).size == 1
    noisy = changed(frames, "noise")
    quiet = frames < -65
    assert (noisy - frames)[quiet].mean() > 3 and abs((noisy - frames)[frames > -40].mean()) < 3


def test_a_roll_keeps_every_frame(frames):
    rolled = changed(frames, "time_roll")
    first = next(shift for shift in range(120) if np.array_equal(np.roll(frames, shift, axis=0), rolled))
    assert first > 0


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_a_warp_moves_frequencies_and_keeps_the_ends(factor):
    hertz = np.linspace(0, 8000, 200)
    warped = vtlp.warped(hertz, factor, 8000.0)
    assert warped[0] == 0 and warped[-1] == pytest.approx(8000) and (np.diff(warped) > 0).all()
    assert warped[50] == pytest.approx(hertz[50] * factor)


def test_mfcc_have_a_level_but_no_bands():
    cepstra = FEATURES.model_copy(update={"kind": "mfcc", "coefficients": 13})
    y = (0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32)
    where = {"seed": 1, "epoch": 0, "clip": "a"}
    before = features.extract(y, cepstra)
    after = augmentation.augmented(before, settings("gain"), cepstra, **where)
    decibels = float((after - before)[0, 0]) / np.sqrt(24)
    assert np.allclose(after, features.extract(y * np.float32(10 ** (decibels / 20)), cepstra), atol=0.05)
    for name in ("vtlp", "noise"):
        with pytest.raises(ValueError, match=f'augmentation.{name} .* "log_stft"'):
            check_bands(settings(name), cepstra)


# ---------------------------------------------------------------- sounds


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    audio.save(path, 0.3 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000), sample_rate=16000)
    return str(path)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_faster_sound_is_shorter_and_higher(factor, tone):
    y = Variant(factor).load(tone, 16000)
    hertz = np.abs(np.fft.rfft(y)).argmax() * 16000 / len(y)
    assert len(y) == pytest.approx(16000 / factor, abs=2) and hertz == pytest.approx(1000 * factor, abs=2)


def test_a_room_adds_a_tail_and_is_the_same_each_time(tone):
    own = settings("room").room
    y, wet = audio.load(tone, sample_rate=16000), Variant(1.0, 1, own).load(tone, 16000)
    assert len(wet) == len(y) and np.abs(wet).max() == pytest.approx(np.abs(y).max(), abs=1e-4)
    assert np.array_equal(wet, Variant(1.0, 1, own).load(tone, 16000))
    assert not np.array_equal(wet, Variant(1.0, 2, own).load(tone, 16000))
    silent = np.zeros(100, np.float32)
    assert np.array_equal(augmentation.room.reverberated(silent, 1, own, 16000), silent)


def test_variants_are_stored_apart_and_drawn_among_what_was_made(tone, tmp_path):
    chosen = settings("speed", "room")
    made = augmentation.variants(chosen)
    assert len(made) == 3 * 3 - 1 and len(set(made)) == len(made)
    found = [
        augmentation.drawn(chosen, seed=1, epoch=epoch, clip=clip) for epoch in range(20) for clip in "abc"
    ]
    assert {*found} <= {*made} and len({*found}) > 2  # of probability 1: always changed
    assert found != [
        augmentation.drawn(chosen, seed=2, epoch=epoch, clip=clip) for epoch in range(20) for clip in "abc"
    ]
    assert augmentation.variants(settings("speed", probability=0.0)) == []
    assert augmentation.drawn(settings("speed", probability=0.0), seed=1, epoch=1, clip="a") is None
    assert augmentation.variants(None) == [] and augmentation.drawn(None, seed=1, epoch=1, clip="a") is None
    store = FeatureStore(tmp_path)
    lengths = [len(store.features([tone], FEATURES, changed=one)[0]) for one in [None, *made]]
    assert store.extracted == len(made) + 1 and len(set(lengths)) == 3
    assert FeatureStore(tmp_path).features([tone], FEATURES)[0].shape == (101, 24)


# ---------------------------------------------------------------- labels


def test_mixup_keeps_the_larger_share_of_a_clip(frames):
    names_, chosen = [f"clip_{n}" for n in range(40)], settings("mixup")
    shares, others = augmentation.mix(chosen, names_, seed=1, epoch=1)
    assert (shares >= 0.5).all() and (shares < 1).any() and sorted(others) == list(range(40))
    again = augmentation.mix(chosen, names_, seed=1, epoch=1)
    assert np.array_equal(shares, again[0]) and np.array_equal(others, again[1])
    assert not np.array_equal(shares, augmentation.mix(chosen, names_, seed=1, epoch=2)[0])
    assert augmentation.mix(settings(), names_, seed=1, epoch=1) is None
    targets = augmentation.soft(np.eye(40)[:, :3], (shares, others), 0.1, 3)
    assert targets[0] == pytest.approx(
        0.9 * (shares[0] * np.eye(40)[0, :3] + (1 - shares[0]) * np.eye(40)[others[0], :3]) + 0.1 / 3
    )
    short = frames[:50]
    both = augmentation.blended(frames, short, 0.75)
    assert both[60] == pytest.approx(0.75 * frames[60] + 0.25 * short[10])


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({"speed": {"probability": 1.0, "factors": [1.0]}}, "none may be 1"),
        ({"speed": {"probability": 1.0, "factors": []}}, "at least 1 item"),
        ({"gain": {"probability": 1.1, "decibels": 3.0}}, "less than or equal to 1"),
        ({"noise": {"probability": 1.0, "lowest_db": 9.0, "highest_db": 3.0}}, "lowest_db <= highest_db"),
        ({"specaugment": {}}, "Extra inputs"),
        ({"vtlp": {"probability": 1.0}}, "Field required"),
    ],
)
def test_settings_are_refused(own, text):
    with pytest.raises(ValidationError, match=text):
        ClipAugmentation.model_validate(own)


def test_a_training_depends_on_the_files_that_it_names():
    from audiomtl.families.ctc.settings import Settings

    raw = {"augmentation": {"gain": {}, "speed": {}, "label_smoothing": 0.1}}
    assert modules(Settings, raw) == ["audiomtl.data.augmentation.gain", "audiomtl.data.augmentation.speed"]


def test_no_path_but_training_reaches_the_draws(monkeypatch, tone, tmp_path: Path):
    """Features of a sound as it is never ask for a random number."""
    monkeypatch.setattr(augmentation, "generator", lambda *_: pytest.fail("a draw"))
    FeatureStore(tmp_path).features([tone], FEATURES)
