"""A clip's sound and its spectrogram."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiomtl.data import audio
from audiomtl.harness.report.html import sound


def content(address: str, kind: str) -> io.BytesIO:
    head, _, rest = address.partition(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(rest))


@pytest.mark.parametrize("hertz", [200.0, 440.0, 1500.0, 3000.0])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_tone_is_bright_where_the_axis_has_its_frequency(tmp_path: Path, hertz: float, rate: int) -> None:
    y = 0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    audio.save(tmp_path / "tone.wav", y.astype(np.float32), sample_rate=rate)
    heard = sound.heard(str(tmp_path / "tone.wav"), 0.5)
    assert heard.rate == min(rate, 16000) and heard.length == pytest.approx(0.5)
    assert heard.seconds == pytest.approx(1.0)
    picture = Image.open(content(sound.spectrogram(heard), "image/png"))
    assert picture.height == sound.BANDS and picture.width > 20
    rows = np.asarray(picture.convert("L"))[:, 5:-5].mean(axis=1)  # top to bottom
    found = 1 - (rows.argmax() + 0.5) / len(rows)
    assert found == pytest.approx(sound.place_of(hertz, heard.rate), abs=1.5 / sound.BANDS)


def test_the_sound_of_the_page_is_that_of_the_file(tmp_path: Path, chirp: np.ndarray) -> None:
    audio.save(tmp_path / "chirp.wav", chirp, sample_rate=16000)
    heard = sound.heard(str(tmp_path / "chirp.wav"), 10.0)
    y, rate = soundfile.read(content(heard.address, "audio/flac"), dtype="float32")
    assert rate == 16000 and np.array_equal(y, audio.load(tmp_path / "chirp.wav", sample_rate=None))
    assert heard.address == sound.heard(str(tmp_path / "chirp.wav"), 10.0).address
