"""espeak-ng's binding: phones and times come, and nothing depends on what was spoken before."""

import time
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data.corpora import espeak
from audiomtl.data.corpora.espeak import SAMPLE_RATE, Voice, speak
from audiomtl.errors import UserError

# f2 has breath, which is random in espeak-ng
MAN, WOMAN = (
    Voice("de+m3", 40, 50, 150),
    Voice("de+f2", 50, 60, 180),
)


def test_phones_have_increasing_samples_inside_the_sound():
    (utterance,) = speak([(MAN, "Der Hund schläft.")])
    assert [name.strip("ˈˌ") for name in utterance.phones if name] == [
        "d",
        "ɛ",
        "ɾ",
        "h",
        "ʊ",
        "n",
        "t",
        "ʃ",
        "l",
        "ɛ",
        "f",
        "t",
    ]
    assert (np.diff(utterance.starts) >= 0).all()
    assert 0.5 * SAMPLE_RATE < utterance.starts[-1] <= len(utterance.samples) < 3 * SAMPLE_RATE
    assert utterance.samples.dtype == np.int16 and np.abs(utterance.samples.astype(int)).max() > 1000


def test_an_utterance_is_the_same_whatever_was_spoken_before():
    wanted = (WOMAN, "Das Kind lacht leise.")
    alone = next(speak([wanted]))
    others = list(
        speak([(MAN, "Der Mann singt."), wanted, (Voice("de+Andy", 90, 9, 300), "Morgen!"), wanted])
    )
    for utterance in (others[1], others[3]):
        assert np.array_equal(utterance.samples, alone.samples)
        assert (utterance.phones, utterance.starts) == (alone.phones, alone.starts)


def test_an_utterance_is_the_same_in_another_second_and_process():
    """espeak-ng seeds its noise with the clock's second."""
    wanted = [(WOMAN, "Das Kind lacht leise."), (Voice("de+Alicia", 50, 50, 150), "Das Kind lacht leise.")]
    before = [utterance.samples for utterance in speak(wanted)]
    time.sleep(1.1)
    for first, second in zip(before, speak(wanted), strict=True):
        assert np.array_equal(first, second.samples)


def test_rate_and_pitch_are_heard():
    slow, fast = speak([(MAN, "Der Hund schläft."), (Voice("de+m3", 40, 50, 220), "Der Hund schläft.")])
    assert len(slow.samples) > 1.2 * len(fast.samples)
    low, high = speak([(Voice("de+m3", 5, 0, 150), "Aaa"), (Voice("de+m3", 95, 0, 150), "Aaa")])
    assert not np.array_equal(low.samples, high.samples)


@pytest.mark.parametrize("voice", ["de+nobody", "nowhere+m3"])
def test_unknown_voice_is_named(voice):
    with pytest.raises(RuntimeError, match=voice.split("+")[0 if voice.startswith("no") else 1]):
        list(speak([(MAN, "Ja."), (Voice(voice, 50, 50, 150), "Nein.")]))


def test_works_from_any_directory_and_can_be_left_early(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(next(speak([(MAN, "Ja.")] * 3)).samples)


def test_nothing_is_printed(capfd):
    list(speak([(MAN, "Ja.")]))
    assert capfd.readouterr() == ("", "")


def test_missing_loader_names_the_extra(monkeypatch):
    monkeypatch.setattr(espeak, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'audiomtl\[corpora\]'"):
        next(speak([(MAN, "Ja.")]))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's /proc")
def test_the_library_stays_out_of_this_process():
    list(speak([(MAN, "Ja.")]))
    assert "libespeak" not in Path("/proc/self/maps").read_text()
