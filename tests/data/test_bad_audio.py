"""Odd and bad sound files: each is read to its end, to the sample, or refused in one line.

The files are made here: libsndfile writes them, and their bytes are edited. What is expected of one that is
read is what libsndfile decodes of the files it was made from.
"""

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomtl.data import audio, odd, stream
from audiomtl.data.containers import mpeg
from audiomtl.errors import UserError

RATE = 16000
TIMES = np.arange(RATE * 3 // 2) / RATE
# the start is quiet, so a variable bit rate is low there: who guesses the length from it is far off
NOISE = np.random.default_rng(0).normal(scale=0.1, size=len(TIMES)) * (TIMES > 0.7)
Y = (0.3 * np.sin(2 * np.pi * 300 * TIMES * (1 + TIMES)) * np.minimum(1, TIMES) + NOISE).astype(np.float32)
STEREO = np.stack([Y, Y[::-1]], axis=1)
Made = tuple[bytes, np.ndarray]  # bytes of a file, and its samples (n_samples,)


def written(y: np.ndarray, kind: str, subtype: str | None = None, rate: int = RATE, **more: object) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, y, rate, format=kind, subtype=subtype, **more)
    return content.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].mean(axis=1)


def plain(*arguments: object, **more: object) -> Callable[[], Made]:
    def make() -> Made:
        content = written(*arguments, **more)  # type: ignore[arg-type]
        return content, decoded(content)

    return make


def twice(*arguments: object, **more: object) -> Callable[[], Made]:
    """Two recordings in one file, of which the second is longer."""

    def make() -> Made:
        first = written(Y, *arguments, **more)  # type: ignore[arg-type]
        second = written(np.concatenate([Y[::-1], Y]), *arguments, **more)  # type: ignore[arg-type]
        return first + second, np.concatenate([decoded(first), decoded(second)])

    return make


def patched(y: np.ndarray, kind: str, *edits: tuple[bytes, int, bytes], subtype: str = "PCM_16") -> Made:
    """A file with other bytes at some distance from a word of its header."""
    content = bytearray(written(y, kind, subtype))
    for word, distance, new in edits:
        at = content.index(word) + distance if word else distance
        content[at : at + len(new)] = new
    return bytes(content), decoded(written(y, kind, subtype))


def frames(content: bytes) -> list[int]:
    """Where the frames of an MP3 begin."""
    starts, at = [], 0
    while frame := mpeg._frame(content[at : at + 4]):
        starts.append(at)
        at += frame.length
    return starts


def mp3(mode: str = "VARIABLE", y: np.ndarray = Y) -> bytes:
    return written(y, "MP3", bitrate_mode=mode, compression_level=0.5)


def uncounted(content: bytes) -> Made:
    """An MP3 without its first frame, which counts the others: the delay of encoder and decoder is kept."""
    starts = frames(content)
    y = np.full((len(starts) - 1) * 576, np.nan, np.float32)  # not known at both ends
    trimmed = decoded(content)
    y[1105 : 1105 + len(trimmed)] = trimmed[: len(y) - 1105]
    return content[starts[1] :], y


def counted(content: bytes, more: int) -> Made:
    """An MP3 whose first frame states another count, and no padding."""
    starts = frames(content)
    head = bytearray(content[: starts[1]])
    at = max(head.find(b"Xing"), head.find(b"Info"))
    head[at:] = (b"Xing" + struct.pack(">II", 1, len(starts) - 1 + more)).ljust(len(head) - at, b"\0")
    return bytes(head) + content[starts[1] :], uncounted(content)[1]


def pages(content: bytes) -> list[int]:
    return [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]


def without_last_page(kind: str) -> Made:
    content = written(np.concatenate([STEREO] * 4), "OGG", kind)
    content = content[: pages(content)[-1]]
    return content, decoded(content)


def joined(*some: Made) -> Made:
    return b"".join(content for content, _ in some), np.concatenate([y for _, y in some])


def id3(content: bytes) -> bytes:
    """A tag with a picture in it that looks like MP3 frames."""
    picture = b"APIC" + struct.pack(">I", 20000) + b"\0\0" + b"\xff\xfb\x90\x64" * 5000
    size = len(picture)
    tag = b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return tag + picture + content


def tagged(kind: str) -> Callable[[], Made]:
    """A file with an ID3v1 tag at its end."""

    def make() -> Made:
        content = written(Y, kind, "PCM_16")
        return content + b"TAG".ljust(128, b"x"), decoded(content)

    return make


OPEN = b"\xff\xff\xff\xff"
ZERO = bytes(4)
OPENED = {  # kind -> edits that leave its length open
    "WAV": [(b"data", 4, ZERO)],
    "WAVEX": [(b"data", 4, OPEN)],
    "RF64": [(b"ds64", 8, OPEN * 4)],
    "W64": [(b"data", 16, bytes(8))],
    "AIFF": [(b"SSND", 4, ZERO), (b"COMM", 10, ZERO)],
    "AU": [(b".snd", 8, ZERO)],
    "CAF": [(b"data", 4, OPEN * 2)],
    "FLAC": [(b"fLaC", 21, bytes(5))],
}
READ: list[tuple[str, Callable[[], Made]]] = [
    ("8 bits", plain(Y, "WAV", "PCM_U8")),
    ("24 bits", plain(Y, "WAV", "PCM_24")),
    ("32 bits", plain(Y, "WAV", "PCM_32")),
    ("float64", plain(Y, "WAV", "DOUBLE")),
    ("mu-law", plain(Y, "WAV", "ULAW")),
    ("A-law", plain(Y, "AIFF", "ALAW")),
    ("IMA ADPCM", plain(Y, "WAV", "IMA_ADPCM")),
    ("MS ADPCM", plain(Y, "WAV", "MS_ADPCM")),
    ("GSM 6.10", plain(Y, "WAV", "GSM610")),
    ("six channels", plain(np.stack([Y] * 5 + [0 * Y], axis=1), "WAV", "PCM_16")),
    ("1 Hz", plain(Y[:50], "WAV", "PCM_16", 1)),
    ("768 kHz", plain(Y, "WAV", "PCM_16", 768000)),
    ("one sample", plain(Y[-1:], "WAV", "PCM_16")),
    *((f"{kind} of one recording", plain(Y, kind)) for kind in ("RF64", "W64", "AIFF", "AU", "CAF", "NIST")),
    *((f"{kind} of one", plain(Y, kind)) for kind in ("WAVEX", "SVX", "VOC", "AVR", "MPC2K", "OGG", "FLAC")),
    ("big endian WAV", lambda: (written(Y, "WAV", endian="BIG"), decoded(written(Y, "WAV")))),
    ("MP3 of variable rate without a header", lambda: uncounted(mp3())),
    ("MP3 of constant rate without a header", lambda: uncounted(mp3("CONSTANT"))),
    ("MP3 without a header, behind a tag with a picture", lambda: joined((id3(b""), Y[:0]), uncounted(mp3()))),
    ("MP3 with a tag at its end", lambda: joined(uncounted(mp3()), (b"TAG".ljust(128, b"\0"), Y[:0]))),
    ("MP3 behind a tag", lambda: (id3(mp3()), decoded(mp3()))),
    ("MP3 behind zeros", lambda: (bytes(3000) + mp3(), decoded(mp3()))),
    ("MP3 behind noise", lambda: joined((np.random.default_rng(1).bytes(999), Y[:0]), uncounted(mp3()))),
    ("MP3 with an APE tag at its end", lambda: (mp3() + b"APETAGEX" + bytes(200), decoded(mp3()))),
    ("MP3 whose count counts itself", lambda: counted(mp3(), 1)),
    ("MP3 whose count is too small", lambda: counted(mp3(), -20)),
    ("OGG with a tag at its end", lambda: (written(Y, "OGG") + b"TAG".ljust(128, b"\0"), decoded(written(Y, "OGG")))),
    ("FLAC with a tag at its end", lambda: (written(Y, "FLAC") + b"TAG".ljust(128, b"\0"), decoded(written(Y, "FLAC")))),
    ("two MP3, a picture of 100 kB between", lambda: joined((mp3(), decoded(mp3())), (bytes(100000), Y[:0]), uncounted(mp3()))),
    ("two MP3", twice("MP3")),
    ("two MP3 of variable rate", twice("MP3", bitrate_mode="VARIABLE", compression_level=0.5)),
    ("two MP3, tags between", lambda: joined(*[(id3(mp3()), decoded(mp3()))] * 2)),
    ("two MP3, the second without a header", lambda: joined((mp3(), decoded(mp3())), uncounted(mp3()))),
    ("two MP3, the first without a header", lambda: joined(uncounted(mp3()), (mp3(), decoded(mp3())))),
    ("two MP3, mono and stereo", lambda: joined((mp3(), decoded(mp3())), (mp3(y=STEREO), decoded(mp3(y=STEREO))))),
    ("two OGG", twice("OGG")),
    ("two OGG Opus", twice("OGG", "OPUS")),
    ("three OGG", lambda: joined(*[(written(Y, "OGG"), decoded(written(Y, "OGG")))] * 3)),
    ("two OGG, mono and stereo", lambda: joined(*((written(y, "OGG"), decoded(written(y, "OGG"))) for y in (Y, STEREO)))),
    ("OGG without its last page", lambda: without_last_page("VORBIS")),
    ("OGG Opus without its last page", lambda: without_last_page("OPUS")),
    ("FLAC of unknown length", lambda: patched(Y, "FLAC", (b"fLaC", 21, bytes((written(Y, "FLAC")[21] & 0xF0,)) + ZERO))),
    ("FLAC of 24 bits of unknown length", lambda: patched(STEREO, "FLAC", (b"fLaC", 21, bytes((written(STEREO, "FLAC", "PCM_24")[21] & 0xF0,)) + ZERO), subtype="PCM_24")),
    ("FLAC that states too few samples", lambda: patched(Y, "FLAC", (b"fLaC", 22, struct.pack(">I", 4096)))),
    ("FLAC behind a tag", lambda: (id3(written(Y, "FLAC")), decoded(written(Y, "FLAC")))),
    ("FLAC with an ID3 tag at its end", lambda: (written(Y, "FLAC") + id3(b""), decoded(written(Y, "FLAC")))),
    ("FLAC with zeros at its end", lambda: (written(Y, "FLAC") + bytes(9000), decoded(written(Y, "FLAC")))),
    ("OGG with an ID3 tag at its end", lambda: (written(Y, "OGG") + id3(b""), decoded(written(Y, "OGG")))),
    ("WAV with an ID3 tag at its end", lambda: (written(Y, "WAV") + id3(b""), decoded(written(Y, "WAV")))),
    ("two FLAC", twice("FLAC")),
    ("WAV of size 0", lambda: patched(Y, "WAV", (b"data", 4, ZERO))),
    ("WAV of all sizes 0", lambda: patched(Y, "WAV", (b"data", 4, ZERO), (b"RIFF", 4, ZERO))),
    ("WAV of the largest size", lambda: patched(Y, "WAV", (b"data", 4, OPEN), (b"RIFF", 4, OPEN))),
    ("stereo WAV of the largest size", lambda: patched(STEREO, "WAV", (b"data", 4, OPEN))),
    ("float WAV of size 0", lambda: patched(STEREO, "WAV", (b"data", 4, ZERO), subtype="FLOAT")),
    ("WAV of 2 GB that a pipe states", lambda: patched(Y, "WAV", (b"data", 4, b"\0\xf0\xff\x7f"))),
    ("WAV whose size counts the header", lambda: patched(Y, "WAV", (b"data", 4, struct.pack("<I", 2 * len(Y) + 36)))),
    ("WAV with a list behind the sound", lambda: (written(Y, "WAV") + b"LIST\4\0\0\0INFO", decoded(written(Y, "WAV")))),
    ("WAV with a tag behind the sound", lambda: (written(Y, "WAV") + b"TAG".ljust(128, b"\0"), decoded(written(Y, "WAV")))),
    ("two WAV", twice("WAV")),
    ("two WAV of 24 bits", twice("WAV", "PCM_24")),
    ("RF64 of unknown length", lambda: patched(Y, "RF64", (b"ds64", 8, b"\xff" * 16))),
    ("two RF64", twice("RF64")),
    ("W64 of length 0", lambda: patched(Y, "W64", (b"data", 16, bytes(8)))),
    ("two W64", twice("W64")),
    ("W64 of odd bytes", plain(Y[:777], "W64", "PCM_U8")),
    ("VOC with its end", lambda: (written(Y, "VOC", "PCM_16") + b"\0", decoded(written(Y, "VOC", "PCM_16")))),
    ("VOC of 8 bits", plain(Y, "VOC", "PCM_U8")),
    ("AIFF of length 0", lambda: patched(Y, "AIFF", (b"SSND", 4, ZERO), (b"COMM", 10, ZERO))),
    ("AIFF of the largest length", lambda: patched(Y, "AIFF", (b"SSND", 4, OPEN), (b"COMM", 10, OPEN))),
    ("two AIFF", twice("AIFF")),
    ("AU of the largest length", lambda: patched(Y, "AU", (b".snd", 8, OPEN))),
    ("AU of length 0", lambda: patched(Y, "AU", (b".snd", 8, ZERO))),
    ("two AU", twice("AU")),
    ("CAF of length -1", lambda: patched(Y, "CAF", (b"data", 4, b"\xff" * 8))),
    ("two CAF", twice("CAF")),
    *((f"{kind} with a tag behind it", tagged(kind)) for kind in ("WAVEX", "RF64", "W64", "AIFF", "SVX", "AU")),
    *((f"{kind} with a tag behind it", tagged(kind)) for kind in ("CAF", "NIST", "VOC", "AVR", "MPC2K")),
    ("two NIST SPHERE", twice("NIST")),
    ("NIST SPHERE with padding", lambda: (written(Y, "NIST") + bytes(512), decoded(written(Y, "NIST")))),
]  # fmt: skip


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
