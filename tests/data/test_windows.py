"""Windows as views: the answer's numbers, tails, any length, and one extraction for every hop."""

import math

import numpy as np
import pytest

from audiomtl.data import audio, windows
from audiomtl.data.store import FeatureStore
from audiomtl.settings.shared import Features
from audiomtl.settings.windows import Windows

ANSWER = Features(
    kind="mfcc",
    sample_rate=22050,
    window_seconds=1024 / 22050,
    hop_seconds=512 / 22050,
    n_fft=1024,
    bands=128,
    coefficients=13,
    low_hz=0.0,
    high_hz=11025.0,
    floor_db=-100.0,
    scaling="none",
)


def settings(seconds: float = 5.0, hop_share: float = 0.5, tail: str = "drop") -> Windows:
    return Windows(seconds=seconds, hop_share=hop_share, tail=tail, bag_windows=0)


def frames_of(seconds: float) -> int:
    return 1 + int(seconds * 22050) // 512


def test_a_minute_has_the_windows_of_the_answer():
    assert windows.window_frames(settings(), ANSWER) == 216
    first = windows.starts(frames_of(60), settings(), ANSWER)
    assert len(first) == 23
    assert first.tolist() == [math.floor(k * 2.5 * 22050 / 512 + 1e-6) for k in range(23)]


@pytest.mark.parametrize("tail", ["pad", "drop", "shift"])
@pytest.mark.parametrize("hop_share", [0.05, 0.25, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("n_frames", [1, 2, 215, 216, 217, 300, 323, 324, 431, 432, 433, 2584, 9999])
def test_windows_lie_on_the_grid_and_cover_what_the_tail_says(n_frames, hop_share, tail):
    length, hop = 216, 5 * hop_share * 22050 / 512
    first = windows.starts(n_frames, settings(hop_share=hop_share, tail=tail), ANSWER)
    assert np.all(np.diff(first) > 0) and np.all(first >= 0)
    if n_frames < length:
        assert first.tolist() == ([] if tail == "drop" else [0])
        return
    whole = [
        math.floor(k * hop + 1e-6) for k in range(n_frames) if math.floor(k * hop + 1e-6) + length <= n_frames
    ]
    assert first[: len(whole)].tolist() == whole
    if tail != "pad":
        assert first[-1] + length <= n_frames
    if tail == "shift":
        assert first[-1] + length == n_frames or math.floor(len(whole) * hop + 1e-6) >= n_frames
    if tail == "pad" and hop_share <= 1 and whole[-1] + length < n_frames:
        assert first[-1] + length >= n_frames - hop  # nothing longer than a hop is left over
    assert len(first) <= len(whole) + (tail != "drop")


@pytest.mark.parametrize(
    ("n_frames", "hop_share", "tail", "wanted"),
    [
        (29, 0.5, "drop", [0]),  # windows of 20 frames, a hop of exactly 10
        (30, 0.5, "drop", [0, 10]),
        (39, 0.5, "drop", [0, 10]),  # one frame short of the next window
        (40, 0.5, "drop", [0, 10, 20]),
        (39, 0.5, "pad", [0, 10, 20]),
        (39, 0.5, "shift", [0, 10, 19]),
        (40, 0.5, "pad", [0, 10, 20]),  # nothing is left over
        (26, 0.075, "drop", [0, 1, 3, 4, 6]),  # a hop of 1.5 frames
        (23, 0.001, "drop", [0, 1, 2, 3]),  # of one frame at least
    ],
)
def test_starts_by_hand_where_windows_and_hops_are_whole_frames(n_frames, hop_share, tail, wanted):
    some = settings(20 * 512 / 22050, hop_share, tail)
    assert windows.window_frames(some, ANSWER) == 20
    assert windows.starts(n_frames, some, ANSWER).tolist() == wanted


def test_cut_gives_the_frames_and_fills_with_the_least_value_of_each_band():
    frames = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    made = windows.cut(frames, np.array([0, 4, 8]), 4)
    assert made.shape == (3, 4, 3)
    np.testing.assert_array_equal(made[1], frames[4:8])
    np.testing.assert_array_equal(made[2, :2], frames[8:])
    np.testing.assert_array_equal(made[2, 2:], np.stack([frames.min(axis=0)] * 2))


def test_a_window_of_a_clip_shorter_than_it_is_filled_up():
    frames = np.arange(6, dtype=np.float32).reshape(3, 2)
    made = windows.cut(frames, windows.starts(3, settings(tail="pad"), ANSWER), 216)
    assert made.shape == (1, 216, 2)
    np.testing.assert_array_equal(made[0, :3], frames)
    assert np.all(made[0, 3:] == frames[0])


def test_five_hops_cost_one_extraction(tmp_path):
    path = str(tmp_path / "song.wav")
    audio.save(path, 0.1 * np.random.default_rng(0).standard_normal(22050 * 21), sample_rate=22050)
    store, seen = FeatureStore(tmp_path / "features"), set()
    for hop_share in (0.1, 0.25, 0.5, 0.75, 1.0):
        [frames] = store.features([path], ANSWER)
        seen.add(len(windows.starts(len(frames), settings(hop_share=hop_share), ANSWER)))
    assert store.extracted == 1
    assert len(seen) == 5


def test_a_window_of_stored_frames_is_what_its_sound_would_have_given():
    y = (0.1 * np.random.default_rng(1).standard_normal(22050 * 12)).astype(np.float32)
    from audiomtl.data import features

    whole = features.extract(y, ANSWER)
    first = windows.starts(len(whole), settings(), ANSWER)[2]
    alone = features.extract(y[first * 512 : first * 512 + 5 * 22050], ANSWER)
    inside = slice(2, -2)  # the frames at a window's edges see its ends
    np.testing.assert_allclose(
        windows.cut(whole, np.array([first]), 216)[0][inside], alone[inside], atol=1e-3
    )
