"""Measures of sounds that anyone can picture."""

import numpy as np
import pytest
import scipy.signal
import soundfile

from audiomtl.data.audit import measures

RATE = 16000
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE)
LOW = scipy.signal.sosfiltfilt(scipy.signal.butter(10, 4000, fs=RATE, output="sos"), NOISE)


@pytest.mark.parametrize(
    ("y", "measure", "value", "near"),
    [
        (NOISE, "seconds", 1.0, 0),
        (NOISE, "rms_db", -20.0, 0.3),
        (0.1 * NOISE, "rms_db", -40.0, 0.3),
        (NOISE, "bandwidth_hz", 8000, 50),
        (LOW, "bandwidth_hz", 5000, 800),
        (np.pad(NOISE, (8000, 4000)), "start_seconds", 0.5, 0.011),
        (np.pad(NOISE, (8000, 4000)), "end_seconds", 0.25, 0.011),
        (np.pad(NOISE, (8000, 4000)), "silent", 12 / 28, 0.02),
        (np.zeros(RATE), "silent", 1.0, 0),
        (NOISE + 0.2, "offset", 0.2, 0.003),
        (np.stack([NOISE, NOISE], axis=1), "channels", 2, 0),
        (NOISE[:10], "seconds", 10 / RATE, 0),
    ],
)  # fmt: skip
def test_a_measure(tmp_path, y, measure, value, near):
    soundfile.write(tmp_path / "y.wav", y, RATE)
    seen = measures.of_file(str(tmp_path / "y.wav"))
    assert getattr(seen, measure) == pytest.approx(value, abs=near)
    assert seen.row.shape == (80,) and np.isfinite(seen.row).all()


def test_a_silent_channel_is_odd(tmp_path):
    soundfile.write(tmp_path / "y.wav", np.stack([NOISE, 0 * NOISE], axis=1), RATE)
    assert [finding.kind for finding in measures.of_file(str(tmp_path / "y.wav")).odd] == ["silent_channel"]


def test_what_cannot_be_read_is_told_and_the_others_are_measured(tmp_path):
    soundfile.write(tmp_path / "y.flac", NOISE, RATE)
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    told = []
    seen = measures.measured(
        [str(tmp_path / "x.wav"), str(tmp_path / "y.flac")], lambda *done: told.append(done)
    )
    assert seen.rows.tolist() == [1] and len(seen.faults) == 1 and told == [(1, 2), (2, 2)]
    assert seen.of("coding").tolist() == ["FLAC PCM_16"]
