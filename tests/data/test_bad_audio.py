"""Odd and bad sound files: each is read to its end, to the sample, or refused in one line.

The files are made here: libsndfile writes them, and their bytes are edited. What is expected of one that is
read is what libsndfile decodes of the files it was made from.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import audio, odd, stream
from audiomtl.errors import UserError
from tests.data.sound_files import (
    OPEN,
    OPENED,
    RATE,
    READ,
    STEREO,
    Made,
    Y,
    decoded,
    frames,
    id3,
    mp3,
    pages,
    patched,
    twice,
    uncounted,
    without_last_page,
    written,
)


@pytest.mark.parametrize(("name", "make"), READ, ids=[name for name, _ in READ])
@pytest.mark.filterwarnings("error")
def test_an_odd_file_is_read_to_its_end(tmp_path: Path, name: str, make: Callable[[], Made]) -> None:
    content, expected = make()
    path = tmp_path / "odd.wav"  # the name tells nothing
    path.write_bytes(content)
    found = audio.info(path)
    y = audio.load(path, sample_rate=None)
    assert found.seconds == len(expected) / found.sample_rate
    assert y.shape == expected.shape
    assert np.nanmax(np.abs(y - np.clip(expected, -1, 1))) < 1e-6
    for start, count in ((1, 7000), (len(y) // 2 - 100, 7000), (len(y) - 333, 333), (len(y) - 5000, 99)):
        if 0 < start < len(y):
            times = {
                "offset_seconds": start / found.sample_rate,
                "duration_seconds": count / found.sample_rate,
            }
            part = audio.load(path, sample_rate=None, **times)
            assert part.shape == y[start : start + count].shape
            assert np.abs(part - y[start : start + count]).max() < 1e-6
    some = list(stream.blocks(path, sample_rate=found.sample_rate, samples=5000))
    assert np.abs(np.concatenate(some) - y).max() < 1e-6


CUT = [  # kind, subtype, seconds of the whole
    *((kind, "PCM_16") for kind in ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "SVX")),
    *((kind, "PCM_16") for kind in ("VOC", "AVR", "MPC2K", "FLAC")),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "ULAW"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
SILENT = [  # waveforms, samples of 8 kHz
    ("zeros", np.zeros(9000)),
    ("one value", np.full(9000, 0.25)),
    ("a silent start", np.concatenate([np.zeros(9000), Y[-4000:]])),
    ("a silent end", np.concatenate([Y[-4000:], np.zeros(9000)])),
    ("a silent end in stereo", np.concatenate([STEREO[-4000:], np.zeros((4096 * 2 + 3, 2))])),
    ("a silent sample at the end", np.concatenate([Y[-4095:], np.zeros(2)])),
    ("one sample", Y[-1:]),
    ("two samples", Y[-2:]),
    ("a silent sample", np.zeros(1)),
]


@pytest.mark.parametrize("kind", sorted({pair[0] for pair in CUT} - {"SVX"}))
@pytest.mark.parametrize("open_length", [False, True])
def test_silence_is_sound(tmp_path: Path, kind: str, *, open_length: bool) -> None:
    for name, y in SILENT:
        path = tmp_path / f"{name}.x"
        content = bytearray(written(y, kind, None if kind in ("OGG", "MP3") else "PCM_16", 8000))
        expected = decoded(bytes(content))
        if open_length and kind not in OPENED:
            continue
        if open_length:
            for word, distance, new in OPENED[kind]:
                at = content.index(word) + distance
                new = bytes((content[at] & 0xF0,)) + new[1:] if kind == "FLAC" else new
                content[at : at + len(new)] = new
        path.write_bytes(content)
        loaded = audio.load(path, sample_rate=None)
        assert audio.info(path).seconds == len(expected) / 8000, name
        assert np.abs(loaded - expected).max() < 1e-6, name


def bad(content: bytes | Made) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content[0]) and None


def cut(content: bytes | Made, share: float) -> Callable[[Path], None]:
    content = content if isinstance(content, bytes) else content[0]
    return bad(content[: int(len(content) * share)])


def looped(path: Path) -> None:
    path.symlink_to(path)


def unreadable(path: Path) -> None:
    path.write_bytes(written(Y, "WAV"))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the superuser may read every file")


SHORTENED = written(Y, "NIST").replace(
    b"sample_coding -s3 pcm", b"sample_coding -s26 pcm,embedded-shorten-v2.00"
)
TRUNCATED = "the file is truncated"
REFUSED: list[tuple[str, Callable[[Path], object], str, str]] = [  # name, make, value or rule, remedy
    ("missing", lambda path: None, "no such file", ""),
    ("a folder", lambda path: path.mkdir(), "is a folder, not a sound file", ""),
    ("a link to nothing", lambda path: path.symlink_to("gone"), "a link to a file that does not exist", ""),
    ("a link to itself", looped, "a link to a file that does not exist", ""),
    ("a pipe", lambda path: os.mkfifo(path), "is no regular file", ""),
    ("no permission", unreadable, "Permission denied", ""),
    ("no bytes", bad(b""), "cannot be read as sound", "WAV, FLAC, OGG and MP3 can: convert it"),
    ("text", bad(b"no sound\n" * 100), "cannot be read as sound", "WAV, FLAC, OGG and MP3 can: convert it"),
    ("zeros", bad(bytes(5000)), "cannot be read as sound", "convert it"),
    ("noise", bad(np.random.default_rng(3).bytes(20000)), "cannot be read as sound", "convert it"),
    ("M4A", bad(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(500)), "cannot be read as sound", "convert it"),
    ("a picture", bad(b"\x89PNG\r\n\x1a\n" + bytes(500)), "cannot be read as sound", "convert it"),
    ("a page", bad(b"<!DOCTYPE html><html>not found</html>"), "cannot be read as sound", "convert it"),
    ("a tag alone", bad(id3(b"")), "cannot be read as sound", "convert it"),
    ("no samples", bad(written(Y[:0], "WAV")), "the file is empty (no samples)", "record it again"),
    ("AIFF without samples", bad(written(Y[:0], "AIFF")), "the file is empty (no samples)", "record it again"),
    ("NaN", bad(written(np.full(999, np.nan), "WAV", "FLOAT")), "not finite (NaN or infinity)", "write the file"),
    ("infinity", bad(written(np.full(999, np.inf), "WAV", "DOUBLE")), "not finite (NaN or infinity)", "write"),
    ("16 bits as floats", bad(written(np.tile([3000.0, -3000.0], 500), "WAV", "FLOAT")), "full scale is 1.0", "scale them"),
    ("header alone", cut(written(Y, "WAV"), 44 / (2 * len(Y) + 44)), "states 1.500 s, but it ends after 0.000 s", "restore"),
    ("half a header", bad(written(Y, "WAV")[:30]), "cannot be read as sound", "convert it"),
    ("WAV in half", cut(written(Y, "WAV"), 0.5), "states 1.500 s, but it ends after 0.749 s", "restore the file"),
    ("float WAV in half", cut(written(STEREO, "WAV", "FLOAT"), 0.5), TRUNCATED, "restore the file"),
    ("two WAV, the second in half", cut(twice("WAV")(), 0.8), TRUNCATED, "restore the file"),
    ("MP3 in half", cut(mp3(), 0.5), TRUNCATED, "restore the file"),
    ("MP3 without a header in half", cut(uncounted(mp3()), 0.505), "ends inside a frame", "restore the file"),
    ("two MP3, the second in half", cut(twice("MP3")(), 0.8), TRUNCATED, "restore the file"),
    ("OGG in half", cut(written(Y, "OGG"), 0.5), "ends inside a page", "restore the file"),
    ("FLAC in half", cut(written(Y, "FLAC"), 0.5), TRUNCATED, "restore the file"),
    ("two rates of OGG", bad(written(Y, "OGG") + written(Y, "OGG", rate=8000)), "2 recordings of 8000 and 16000 Hz", "save each"),
    ("two rates of MP3", bad(mp3() + written(Y, "MP3", rate=22050)), "2 recordings of 16000 and 22050 Hz", "save each"),
    ("two rates of WAV", bad(written(Y, "WAV") + written(Y, "WAV", rate=8000)), "2 recordings of 8000 and 16000 Hz", "save each"),
    ("WAV with more behind", bad(written(Y, "WAV") + written(Y, "WAV")[44:]), "states 1.500 s of sound, but 48000 bytes", "repair"),
    ("WAV with more behind, silent at first", bad(written(Y, "WAV") + bytes(9000) + b"\1" * 9), "but 9009 bytes", "repair"),
    ("AU with more behind", bad(written(Y, "AU") + written(Y, "AU")[24:]), "states 1.500 s of sound, but 48000 bytes", "repair"),
    ("NIST with more behind", bad(written(Y, "NIST") + b"\1" * 9000), "states 1.500 s of sound, but 9000 bytes", "repair"),
    ("WAV and MP3", bad(written(Y, "WAV") + mp3()), "states 1.500 s of sound, but", "repair the header"),
    ("OGG and WAV", bad(written(Y, "OGG") + written(Y, "WAV")), "states 1.500 s of sound, but", "repair the header"),
    ("MP3 and WAV", bad(mp3() + written(Y, "WAV")), "s of sound, but 48044 bytes", "repair the header"),
    ("FLAC and WAV", bad(written(Y, "FLAC") + written(Y, "WAV")), TRUNCATED, "restore the file"),
    ("OGG cut inside of the header of a page", bad(written(Y, "OGG")[: pages(written(Y, "OGG"))[-1] + 9]), "inside a page", "restore"),
    ("MP3 without a header cut in that of a frame", bad(uncounted(mp3())[0][: frames(uncounted(mp3())[0])[20] + 2]), "inside a frame", "restore"),
    ("two AVR", bad(written(Y, "AVR") * 2), "states 1.500 s of sound, but 48128 bytes", "repair the header"),
    ("compressed NIST SPHERE", bad(SHORTENED), "sample_coding pcm,embedded-shorten-v2.00", "w_decode -o pcm IN OUT"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "value", "remedy"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], object], value: str, remedy: str
) -> None:
    path = tmp_path / "bad.wav"
    make(path)
    told = []
    for read in (
        lambda: audio.load(path, sample_rate=RATE),
        lambda: audio.load(path, sample_rate=None, offset_seconds=0.0001, duration_seconds=0.0001),
        lambda: list(stream.blocks(path, sample_rate=RATE, samples=1000)),
    ):
        with pytest.raises(UserError) as error:
            read()
        told.append(str(error.value))
    for text in told:
        assert text.startswith(f"{path}: ") and value in text and remedy in text
        assert "\n" not in text and len(text) < 400
    (finding,) = odd.of_file(str(path))
    assert finding.kind == "unreadable" and "\n" not in finding.text


@pytest.mark.parametrize(("kind", "subtype"), CUT, ids=["-".join(pair) for pair in CUT])
def test_a_file_cut_at_any_tenth_is_refused(tmp_path: Path, kind: str, subtype: str) -> None:
    whole = written(Y, kind, subtype)
    for tenth in range(1, 10):
        path = tmp_path / f"{tenth}.wav"
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(UserError, match=r"truncated|cannot be read as sound"):
            audio.load(path, sample_rate=None)
        with pytest.raises(UserError, match=r"truncated|cannot be read as sound"):
            audio.info(path)


def test_an_mp3_cut_between_frames_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    content, _ = uncounted(mp3())
    (tmp_path / "whole.mp3").write_bytes(content)
    whole = audio.load(tmp_path / "whole.mp3", sample_rate=None)
    for frame in (3, 10, 30):
        path = tmp_path / f"{frame}.mp3"
        path.write_bytes(content[: frames(content)[frame]])
        part = audio.load(path, sample_rate=None)
        assert len(part) == frame * 576 and np.abs(part - whole[: len(part)]).max() < 1e-6


@pytest.mark.parametrize("kind", ["WAV", "AIFF"])
def test_an_open_length_beyond_4_gb(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "long.wav"
    edits = [(b"data", 4, OPEN)] if kind == "WAV" else [(b"SSND", 4, OPEN), (b"COMM", 10, OPEN)]
    content = patched(Y, kind, *edits)[0]
    path.write_bytes(content)
    os.truncate(path, 2**32 + 2 * RATE + len(content) - 2 * len(Y))  # a hole of zeros
    if kind == "AIFF":
        with pytest.raises(UserError, match=r"4\.0 GB are more than the format can state; save it as FLAC"):
            audio.info(path)
        return
    assert audio.info(path).seconds == 2**31 / RATE + 1
    y = audio.load(path, sample_rate=None, offset_seconds=2**31 / RATE - 1)
    assert len(y) == 2 * RATE and not y.any()
    assert np.abs(audio.load(path, sample_rate=None, duration_seconds=1.5) - Y).max() < 2**-15


@pytest.mark.parametrize("kind", ["PAF", "PVF", "IRCAM", "MAT4", "MAT5", "XI"])
def test_a_format_that_states_no_length_is_said_to(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.x"
    path.write_bytes(written(Y, kind, "DPCM_16" if kind == "XI" else "PCM_16"))
    (finding,) = odd.of_file(str(path))
    assert finding == (
        "end",
        f"a {kind} file does not say how long it is: a missing end would not be noticed",
    )


def test_a_stream_without_its_last_page_is_said_to(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(without_last_page("VORBIS")[0])
    (finding,) = odd.of_file(str(path))
    assert finding == ("end", "its last page is missing, so its end may be missing as well")


@pytest.mark.parametrize(
    "name",
    ["a\nb.wav", "a\tb.wav", "x" * 251 + ".wav", "\udcff.wav", "Zoë.wav", "Zoe\u0308.wav", " .wav", "-.wav"],
    ids=["newline", "tab", "255 bytes", "not UTF-8", "NFC", "NFD", "blank", "dash"],
)
def test_any_name_is_read_and_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(written(Y, "WAV"))
    assert len(audio.load(path, sample_rate=RATE)) == len(Y)
    path.write_bytes(written(Y, "WAV")[:1000])
    with pytest.raises(UserError, match=TRUNCATED) as error:
        audio.load(path, sample_rate=RATE)
    str(error.value).encode()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["x" * 256, "a\0b", "x" * 5000], ids=["256 bytes", "null", "5000 bytes"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no such file"):
        audio.load(tmp_path / name, sample_rate=RATE)


MIXED = sorted({pair[0] for pair in CUT} | {"PAF", "PVF", "IRCAM", "MAT4", "MAT5", "HTK"})


@pytest.mark.parametrize("kind", MIXED)
def test_whatever_stands_in_a_header_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(MIXED.index(kind))
    whole = written(Y[-8000:], kind, None if kind in ("OGG", "MP3") else "PCM_16")
    for number in range(60):
        content = bytearray(whole[: random.integers(1, len(whole))] if number % 4 == 0 else whole)
        for at in random.integers(0, min(len(content), 120 if number % 2 else 1000), random.integers(1, 9)):
            content[at] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
        path = tmp_path / f"{number}.x"
        path.write_bytes(content)
        try:
            found = audio.info(path)
            y = audio.load(path, sample_rate=None)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert len(y) == round(found.seconds * found.sample_rate)
