"""`audiomtl.data.normalization`: every group by its own clips, in one pass; new recordings by theirs."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import features, normalization
from audiomtl.data.answers import Recording
from audiomtl.errors import UserError
from audiomtl.settings.shared import GroupFeatures

RANDOM = np.random.default_rng(0)
FRAMES = [RANDOM.normal(10 * i, 1 + i, (20 + i, 3)).astype(np.float32) for i in range(4)]
TABLE = pd.DataFrame({"clip_id": list("abcd"), "speaker": ["x", "y", "x", "y"], "number": [1, 1, 2, np.nan]})


def test_each_group_gets_mean_0_and_deviation_1() -> None:
    found = normalization.by_column(TABLE, FRAMES, "speaker")
    for rows in ([0, 2], [1, 3]):
        together = np.concatenate([found[row] for row in rows])
        assert np.abs(together.mean(axis=0)).max() < 1e-5 and np.abs(together.std(axis=0) - 1).max() < 1e-5
    assert abs(found[0].mean()) > 0.5  # a clip keeps its place in its group


def test_without_a_column_frames_stay() -> None:
    assert all(a is b for a, b in zip(normalization.by_column(TABLE, FRAMES, ""), FRAMES, strict=True))


def test_what_does_not_vary_becomes_0() -> None:
    constant = [np.full((5, 2), -100.0, np.float32)]
    assert not normalization.by_column(TABLE[:1], constant, "speaker")[0].any()


@pytest.mark.parametrize(
    ("column", "text"),
    [("speeker", "no such column; did you mean speaker"), ("number", "1 clips have no value")],
)
def test_a_table_that_lacks_groups_is_refused(column: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        normalization.by_column(TABLE, FRAMES, column)


def test_clips_of_a_trained_model_without_groups_are_one() -> None:
    found = normalization.by_column(TABLE, FRAMES, "singer", needed=False)
    assert np.abs(np.concatenate(found).mean(axis=0)).max() < 1e-5


def test_recordings_that_are_given_together_are_normalised_together() -> None:
    settings = GroupFeatures(
        kind="log_mel", sample_rate=8000, window_seconds=0.032, hop_seconds=0.016, n_fft=256, bands=10,
        low_hz=60.0, high_hz=4000.0, floor_db=-100.0, scaling="none", normalize_by="speaker",
    )  # fmt: skip
    sounds = [RANDOM.normal(0, 0.01 * (1 + i), 4000).astype(np.float32) for i in range(3)]
    given = [Recording(str(i), y, {"speaker": "xxy"[i]}) for i, y in enumerate(sounds)]
    known = normalization.of_recordings(given, settings)
    assert sorted(known) == ["x", "y"]
    frames = [features.extract(y, settings) for y in sounds]
    expected = normalization.by_column(TABLE.iloc[[0, 2, 1]], frames, "speaker")
    for one, own, wanted in zip(given, frames, expected, strict=True):
        found = normalization.of_recording(own, one.columns, "speaker", known)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        remarks = normalization.remarks(one, "speaker", known)
        assert ("this one alone" in remarks[0]) if one.name == "2" else remarks == ()
    alone = normalization.of_recording(frames[0], {}, "speaker", known)
    assert np.abs(alone.mean(axis=0)).max() < 1e-5
    assert "this one alone" in normalization.remarks(Recording("z", sounds[0]), "speaker", known)[0]
    nameless = [Recording(str(i), y) for i, y in enumerate(sounds)]
    known = normalization.of_recordings(nameless, settings)
    assert "over the 3 recordings without one" in normalization.remarks(nameless[0], "speaker", known)[0]
    assert normalization.remarks(nameless[0], "", known) == ()


def test_no_recording_is_read_where_nothing_is_normalised() -> None:
    settings = GroupFeatures.model_construct(normalize_by="")

    def unread():
        raise AssertionError("read")
        yield

    assert normalization.of_recordings(unread(), settings) == {}
