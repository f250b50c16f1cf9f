"""`audiomtl.data.scaling`: what each kind does, fitted on train only, exact after saving."""

import warnings

import numpy as np
import pytest

from audiomtl.data import scaling
from audiomtl.errors import UserError
from audiomtl.settings.named import names
from audiomtl.settings.shared import Scaling

KINDS = names("audiomtl.data.scaling")


@pytest.fixture
def clips() -> list[np.ndarray]:
    """Five clips of 30 to 70 frames and 6 bands, in dB, each band and clip with a level of its own."""
    random = np.random.default_rng(0)
    return [
        (random.normal(-70 + 5 * i, 3 + i, (30 + 10 * i, 6)) + 10 * np.arange(6)).astype(np.float32)
        for i in range(5)
    ]


def _all(clips: list[np.ndarray], kind: Scaling) -> np.ndarray:
    scaler = scaling.fit(clips, kind)
    return np.concatenate([scaling.apply(clip, scaler) for clip in clips]).astype(np.float64)


@pytest.mark.parametrize(("kind", "low", "high"), [("minmax", -1.0, 1.0), ("minmax_01", 0.0, 1.0)])
def test_minmax_takes_each_clip_to_the_whole_range(
    clips: list[np.ndarray], kind: Scaling, low: float, high: float
) -> None:
    scaler = scaling.fit(clips, kind)
    for clip in clips:
        scaled = scaling.apply(clip, scaler)
        assert scaled.min() == low and scaled.max() == high and scaled.dtype == np.float32
        assert np.corrcoef(scaled.ravel(), clip.ravel())[0, 1] == pytest.approx(1)


def test_standard_clip_takes_each_clip_to_mean_0_deviation_1(clips: list[np.ndarray]) -> None:
    scaler = scaling.fit(clips, "standard_clip")
    for clip in clips:
        scaled = scaling.apply(clip, scaler).astype(np.float64)
        assert abs(scaled.mean()) < 1e-5 and scaled.std() == pytest.approx(1, abs=1e-5)
        assert abs(scaled[:, 0].mean()) > 0.1  # bands keep their differences


def test_standard_train_has_mean_0_deviation_1_over_all_of_train(clips: list[np.ndarray]) -> None:
    scaled = _all(clips, "standard_train")
    assert abs(scaled.mean()) < 1e-5 and scaled.std() == pytest.approx(1, abs=1e-5)
    assert abs(scaled[:, 0].mean()) > 0.1


def test_per_band_train_has_mean_0_deviation_1_in_each_band(clips: list[np.ndarray]) -> None:
    scaled = _all(clips, "per_band_train")
    assert np.abs(scaled.mean(axis=0)).max() < 1e-5 and np.abs(scaled.std(axis=0) - 1).max() < 1e-5


@pytest.mark.parametrize(("kind", "axis"), [("standard_train", None), ("per_band_train", 0)])
def test_one_pass_gives_the_statistics_of_the_whole(
    clips: list[np.ndarray], kind: Scaling, axis: int | None
) -> None:
    whole = np.concatenate(clips).astype(np.float64)
    scaler = scaling.fit((clip for clip in clips), kind)  # a generator: read once, never gathered
    assert np.allclose(scaler.mean, whole.mean(axis=axis), rtol=1e-12)
    assert np.allclose(scaler.deviation, whole.std(axis=axis), rtol=1e-12)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    clips = [np.array([[4096.0], [4096.0 + 2**-9]], dtype=np.float32) for _ in range(1000)]
    assert scaling.fit(clips, "standard_train").deviation[0] == pytest.approx(2**-10, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.0, -100.0, 0.1, 1e-30])
def test_constant_clips_give_zeros_and_never_nan(kind: Scaling, level: float) -> None:
    silence = np.full((13, 4), level, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaled = scaling.apply(silence, scaling.fit([silence, silence], kind))
    assert np.array_equal(scaled, silence if kind == "none" else np.zeros((13, 4)))


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"none"}))
def test_rounding_is_no_signal(kind: Scaling) -> None:
    silence = np.full((13, 4), -100.0, dtype=np.float32)
    silence[::2] = np.nextafter(silence[::2], np.float32(0))
    assert (scaling.apply(silence, scaling.fit([silence], kind)) == 0).all()


def test_a_band_constant_in_train_is_zero_others_are_scaled(clips: list[np.ndarray]) -> None:
    clips = [clip.copy() for clip in clips]
    for clip in clips:
        clip[:, 2] = -80.1
    scaled = _all(clips, "per_band_train")
    assert (scaled[:, 2] == 0).all() and np.abs(np.delete(scaled, 2, axis=1).std(axis=0) - 1).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_apply_leaves_its_input_and_takes_read_only_frames(clips: list[np.ndarray], kind: Scaling) -> None:
    clip = clips[0].copy()
    clip.flags.writeable = False
    scaled = scaling.apply(clip, scaling.fit(clips, kind))
    assert np.array_equal(clip, clips[0]) and scaled.flags.writeable and scaled.dtype == np.float32
    assert not np.shares_memory(scaled, clip)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_scaler_scales_to_the_same_bits(clips: list[np.ndarray], kind: Scaling) -> None:
    scaler = scaling.fit(clips, kind)
    again = scaling.from_json(scaling.to_json(scaler))
    assert (
        again.kind == kind
        and np.array_equal(again.mean, scaler.mean)
        and np.array_equal(again.deviation, scaler.deviation)
    )
    assert np.array_equal(scaling.apply(clips[1], again), scaling.apply(clips[1], scaler))


@pytest.mark.parametrize("kind", ["none", "minmax", "minmax_01", "standard_clip", "per_band_clip"])
def test_clip_wise_kinds_read_no_clip(kind: Scaling) -> None:
    def unread():
        raise AssertionError("read")
        yield

    assert scaling.fit(unread(), kind).mean.size == 0


def test_a_scaler_cannot_be_changed(clips: list[np.ndarray]) -> None:
    scaler = scaling.fit(clips, "per_band_train")
    with pytest.raises(ValueError, match="read-only"):
        scaler.mean[0] = 0
    with pytest.raises(AttributeError):
        scaler.kind = "none"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("clips", "kind", "text"),
    [
        ([], "standard_train", "needs at least one train clip"),
        (
            [np.zeros((3, 2)), np.zeros((3, 4))],
            "per_band_train",
            "train clip 1 has 4 bands, earlier clips have 2",
        ),
        ([np.full((3, 2), np.nan)], "standard_train", "train clip 0 has features that are not finite"),
        ([np.zeros((3, 2))], "max", "must be one of .*minmax.*none.*but got max"),
    ],
)
def test_fit_refuses(clips: list[np.ndarray], kind: Scaling, text: str) -> None:
    with pytest.raises(UserError, match=text):
        scaling.fit(clips, kind)


def test_apply_refuses_other_bands(clips: list[np.ndarray]) -> None:
    with pytest.raises(UserError, match="fitted on 6 bands, but the features have 5"):
        scaling.apply(clips[0][:, :5], scaling.fit(clips, "per_band_train"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"kind": "max", "mean": [], "deviation": []}',
        '{"kind": "standard_train", "mean": [], "deviation": []}',
        '{"kind": "standard_train", "mean": [1.0], "deviation": [1.0, 2.0]}',
    ],
)
def test_from_json_refuses_what_is_no_scaler(text: str) -> None:
    with pytest.raises(UserError, match="not a saved scaler"):
        scaling.from_json(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_in_parts_is_scaled_as_the_whole(clips: list[np.ndarray], kind: Scaling) -> None:
    """A long recording, whose frames are never held at once; parts of any length, one of them empty."""
    scaler, clip, statistics = scaling.fit(clips, kind), clips[4], scaling.Statistics()
    parts = np.split(clip, [3, 3, 20, 61])
    for part in parts:
        statistics.add(part)
    assert statistics.count == clip.size and statistics.mean == pytest.approx(clip.mean(), rel=1e-6)
    assert (statistics.low, statistics.high) == (clip.min(), clip.max())
    assert statistics.squares == pytest.approx(clip.size * clip.var(dtype=np.float64), rel=1e-6)
    together = np.concatenate([scaling.apply_part(part, scaler, statistics) for part in parts])
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, scaling.apply(clip, scaler), rtol=1e-5, atol=1e-5)


def test_per_band_clip_takes_each_band_of_a_clip_to_mean_0_deviation_1(clips: list[np.ndarray]) -> None:
    scaler = scaling.fit(clips, "per_band_clip")
    for clip in clips:
        scaled = scaling.apply(clip, scaler).astype(np.float64)
        assert np.abs(scaled.mean(axis=0)).max() < 1e-5 and np.abs(scaled.std(axis=0) - 1).max() < 1e-5
