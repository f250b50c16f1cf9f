"""Blocks of a file joined are the file, whatever its format, and no more of it is held than a block."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomtl.data import audio
from audiomtl.data.stream import blocks
from audiomtl.errors import UserError

FORMATS = [
    ("mono.wav", 16000, 1, "PCM_16"),
    ("stereo.wav", 44100, 2, "PCM_16"),
    ("eight_bits.wav", 8000, 1, "PCM_U8"),
]
FORMATS += [
    ("fast.flac", 96000, 2, "PCM_24"),
    ("lossy.ogg", 22050, 1, "VORBIS"),
    ("lossy.mp3", 44100, 2, "MPEG_LAYER_III"),
]


def written(folder: Path, name: str, rate: int, channels: int, subtype: str, seconds: float = 3.3) -> Path:
    times = np.arange(round(seconds * rate)) / rate
    y = 0.4 * np.sin(2 * np.pi * 700 * times * (1 + 0.1 * times))
    soundfile.write(folder / name, np.stack([y] * channels, axis=1), rate, subtype=subtype)
    return folder / name


@pytest.mark.parametrize(("name", "rate", "channels", "subtype"), FORMATS)
@pytest.mark.parametrize("samples", [1000, 7680, 1_000_000])
def test_blocks_joined_are_what_is_loaded_at_once(tmp_path, name, rate, channels, subtype, samples) -> None:
    path = written(tmp_path, name, rate, channels, subtype)
    some = list(blocks(path, sample_rate=16000, samples=samples))
    whole = audio.load(path, sample_rate=16000)
    assert all(len(block) == samples for block in some[:-1]) and 0 < len(some[-1]) <= samples
    joined = np.concatenate(some)
    assert joined.dtype == np.float32 and len(joined) == len(whole)
    assert np.abs(joined - whole).max() < 1e-5


def test_files_that_are_none_are_refused(tmp_path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    soundfile.write(tmp_path / "empty.wav", np.empty(0), 16000)
    soundfile.write(tmp_path / "loud.wav", np.full(16000, 3.0), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    for name, reason in (
        ("text.wav", "cannot be read as sound"),
        ("empty.wav", "the file is empty"),
        ("loud.wav", "samples reach 3"),
        ("nan.wav", "not finite"),
        ("gone.wav", "no such file"),
    ):
        with pytest.raises(UserError, match=f"{name}: .*{reason}|{name}: {reason}"):
            list(blocks(tmp_path / name, sample_rate=16000, samples=100))
