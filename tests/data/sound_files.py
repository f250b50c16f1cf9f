"""Sound files as recorders, pipes and people leave them: what libsndfile writes, with edited bytes.

Contents: `READ`, `OPENED`, and what makes the files.
"""

import io
import struct
from collections.abc import Callable

import numpy as np
import soundfile

from audiomtl.data.containers import mpeg

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
