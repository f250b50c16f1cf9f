"""`audiomtl.data.audio`: every format, parts of files, rates, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomtl.data import audio
from audiomtl.errors import UserError

RATE = 16000

FORMATS = [  # suffix, subtype, largest error
    ("wav", "PCM_U8", 2**-7),
    ("wav", "PCM_16", 2**-15),
    ("wav", "PCM_24", 2**-23),
    ("wav", "PCM_32", 1e-7),
    ("wav", "FLOAT", 0.0),
    ("wav", "DOUBLE", 0.0),
    ("flac", "PCM_16", 2**-15),
    ("flac", "PCM_24", 2**-23),
    ("ogg", "VORBIS", 0.1),
    ("mp3", "MPEG_LAYER_III", 0.1),
]


@pytest.mark.parametrize(("suffix", "subtype", "error"), FORMATS)
def test_load_reads_every_format(
    tmp_path: Path, sine_440: np.ndarray, suffix: str, subtype: str, error: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sine_440, RATE, subtype=subtype)
    y = audio.load(path, sample_rate=RATE)
    assert y.dtype == np.float32 and y.shape == sine_440.shape
    assert np.abs(y - sine_440).max() <= error
    assert audio.info(path) == (1.0, RATE, 1)


@pytest.mark.parametrize(("suffix", "subtype"), [row[:2] for row in FORMATS])
# at 60000 plain seeking gives wrong samples in OGG and in MP3
@pytest.mark.parametrize("start", [1, 4800, 60000])
def test_part_of_a_file_is_the_slice_of_the_whole(
    tmp_path: Path, chirp: np.ndarray, suffix: str, subtype: str, start: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.tile(chirp, 5), RATE, subtype=subtype)
    whole = audio.load(path, sample_rate=None)
    part = audio.load(path, sample_rate=None, offset_seconds=start / RATE, duration_seconds=0.25)
    assert part.shape == (4000,)
    assert np.abs(part - whole[start : start + 4000]).max() <= 1e-6
    assert np.array_equal(audio.load(path, sample_rate=None, duration_seconds=9.0), whole)


def test_part_of_a_file_decodes_no_more_than_the_part(
    tmp_path: Path, chirp: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    class Counting(soundfile.SoundFile):
        def read(self, *arguments, **keywords):
            samples = super().read(*arguments, **keywords)
            decoded.append(len(samples))
            return samples

    audio.save(tmp_path / "a.wav", chirp, sample_rate=RATE)
    monkeypatch.setattr(soundfile, "SoundFile", Counting)
    audio.load(tmp_path / "a.wav", sample_rate=RATE, offset_seconds=0.5, duration_seconds=0.1)
    assert decoded == [1600]


def test_channels_are_averaged(tmp_path: Path, sine_440: np.ndarray, noise: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([sine_440, noise], axis=1), RATE, subtype="FLOAT")
    assert np.abs(audio.load(tmp_path / "a.wav", sample_rate=RATE) - (sine_440 + noise) / 2).max() < 1e-7


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampled_sine_is_the_sine_at_the_new_rate(tmp_path: Path, rate: int) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", sine, rate, subtype="FLOAT")
    y = audio.load(tmp_path / "a.wav", sample_rate=RATE)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert y.dtype == np.float32 and y.shape == (RATE,)
    assert np.abs(y - expected)[1000:-1000].max() < 1e-3


@pytest.mark.parametrize(
    ("samples", "rate", "new_rate", "expected"),
    [
        (44101, 44100, 16000, 16000),
        (44102, 44100, 16000, 16001),
        (5, 16000, 44100, 14),
        (3, 16000, 8000, 2),
        (1, 44100, 16000, 1),
    ],
)
def test_length_after_resampling_is_rounded_half_up(
    tmp_path: Path, samples: int, rate: int, new_rate: int, expected: int
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(samples), rate)
    assert len(audio.load(tmp_path / "a.wav", sample_rate=new_rate)) == expected


def test_full_scale_is_kept_and_overshoot_clipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([1.5, -1.5, 0.25]), RATE, subtype="FLOAT")
    assert audio.load(tmp_path / "a.wav", sample_rate=RATE).tolist() == [1.0, -1.0, 0.25]
    square = np.sign(np.sin(np.arange(4000) / 20.0))
    soundfile.write(tmp_path / "b.wav", square, 44100, subtype="FLOAT")
    assert np.abs(audio.load(tmp_path / "b.wav", sample_rate=RATE)).max() == 1.0


def test_save_and_load_return_the_nearest_16_bit_value_and_the_same_bytes(
    tmp_path: Path, noise: np.ndarray
) -> None:
    y = np.concatenate([noise, np.array([1.0, -1.0, 0.0], dtype=np.float32)])
    audio.save(tmp_path / "a.wav", y, sample_rate=RATE)
    audio.save(tmp_path / "b.wav", y, sample_rate=RATE)
    loaded = audio.load(tmp_path / "a.wav", sample_rate=RATE)
    assert np.abs(loaded[:-3] - noise).max() <= 2**-16
    assert loaded[-3:].tolist() == [32767 / 32768, -1.0, 0.0]
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"
    audio.save(tmp_path / "b.wav", loaded, sample_rate=RATE)  # what was read is written back bit by bit
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def _damaged(folder: Path, what: str) -> Path:
    path = folder / "bad.wav"
    if what == "text":
        path.write_text("no sound")
    elif what == "no bytes":
        path.write_bytes(b"")
    elif what == "folder":
        path.mkdir()
    elif what == "no samples":
        soundfile.write(path, np.zeros(0), RATE)
    elif what in ("nan", "inf", "integers"):
        value = {"nan": np.nan, "inf": np.inf, "integers": 20000.0}[what]
        soundfile.write(path, np.array([0.0, value, 0.0]), RATE, subtype="FLOAT")
    elif what == "cut":
        soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE, format="FLAC")
        path.write_bytes(path.read_bytes()[:-8000])
    elif what == "second":
        soundfile.write(path, np.zeros(RATE), RATE)
    return path


@pytest.mark.parametrize(
    ("what", "arguments", "text"),
    [
        ("missing", {}, "no such file"),
        ("folder", {}, "is a folder"),
        ("text", {}, "cannot be read as sound"),
        ("no bytes", {}, "cannot be read as sound"),
        ("no samples", {}, "empty"),
        ("nan", {}, "not finite"),
        ("inf", {}, "not finite"),
        ("integers", {}, "samples reach 20000"),
        ("cut", {}, "bad.wav"),
        ("second", {"offset_seconds": 1.0}, "before the end at 1.000 s, but got 1.0"),
        ("second", {"offset_seconds": -0.1}, "at least 0, but got -0.1"),
        ("second", {"offset_seconds": float("nan")}, "at least 0, but got nan"),
        ("second", {"duration_seconds": 0.0}, "above 0"),
        ("second", {"duration_seconds": float("nan")}, "above 0"),
        ("second", {"sample_rate": 0}, "at least 1 Hz"),
    ],
)
def test_load_refuses_in_one_line_that_names_the_file(
    tmp_path: Path, what: str, arguments: dict, text: str
) -> None:
    path = _damaged(tmp_path, what)
    with pytest.raises(UserError) as error:
        audio.load(path, **{"sample_rate": RATE, **arguments})
    assert str(path) in str(error.value) and text in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "y",
    [np.zeros(0), np.zeros((2, 2)), np.array([1.01]), np.array([np.nan]), np.array([1, 2])],
    ids=["empty", "two channels", "too loud", "nan", "integers"],
)
def test_save_refuses(tmp_path: Path, y: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"a\.wav"):
        audio.save(tmp_path / "a.wav", y, sample_rate=RATE)
    assert not (tmp_path / "a.wav").exists()
