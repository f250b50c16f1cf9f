"""Where the sound stands in a sound file, found without decoding.

libsndfile believes the length that a header states: of two recordings in one file it reads the first, of a
stream whose recorder left the length open it reads nothing or crashes, and of a file that was cut off it
reads what is left. Here the units that a file is made of (chunks, frames, pages) are walked through instead.
A file that is as its header says is left alone; of another one the *parts* are found that libsndfile reads to
the end, each with a mended header where it needs one; one that was cut off is refused with what is known.

Conventions: positions and sizes are bytes, lengths are samples per channel.

Contents: `Layout`, `Part`, `layout`, `Window`, `UNCHECKED`.
"""

import io
import mmap
import struct
from pathlib import Path

from audiomtl.data.containers import au, caf, flac, iff, mpeg, nist, ogg, others, wave64
from audiomtl.data.containers.parts import Layout, Part, after_tags

MAGIC = {  # first bytes of a file -> who knows the container
    b"RIFF": iff,
    b"RIFX": iff,
    b"RF64": iff,
    b"BW64": iff,
    b"FORM": iff,
    b"riff": wave64,
    b"OggS": ogg,
    b"fLaC": flac,
    b"caff": caf,
    b".snd": au,
    b"dns.": au,
    b"NIST": nist,
    b"2BIT": others,
    b"ALaw": others,
    b"Crea": others,
}
ENDLESS = 2**40  # bytes
# formats (as libsndfile names them) that state no length, or in which it is not looked for
UNCHECKED = ("HTK", "IRCAM", "MAT4", "MAT5", "PAF", "PVF", "RAW", "SD2", "SDS", "XI")


def layout(path: str | Path, place: str) -> Layout:
    """The parts of a file, which errors call ``place``.

    Returns
    -------
    Layout without parts where libsndfile can be trusted with the file, or nothing is known of its kind.

    Raises
    ------
    UserError : the file was cut off, or has sound that cannot be told from other data.
    OSError : it cannot be read.
    """
    with open(path, "rb") as file:
        if not file.seek(0, io.SEEK_END):
            return Layout()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            first = after_tags(content, 0)
            known = MAGIC.get(content[first : first + 4])
            if known is None:
                known = others if content[first : first + 2] == others.MPC else mpeg
            try:
                return known.layout(place, content, first)
            except (struct.error, IndexError, OverflowError):  # a header that is none: libsndfile says so
                return Layout()


class Window(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, path: str | Path, part: Part) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 (closed with the window)
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        part = self._part
        length = len(part.head) + part.end - part.start if part.samples < 0 else ENDLESS
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: length}[whence]
        return self._at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        part, view = self._part, memoryview(buffer)
        if self._at > ENDLESS // 2:  # who looks for a tag at the end finds none
            view[:] = bytes(len(view))
            self._at += len(view)
            return len(view)
        done = 0
        if self._at < len(part.head):
            some = part.head[self._at : self._at + len(view)]
            view[: len(some)] = some
            done = len(some)
        place = part.start + self._at + done - len(part.head)
        wanted = min(len(view) - done, part.end - place)
        if wanted > 0:
            self._file.seek(place)
            done += self._file.readinto(view[done : done + wanted])
        self._at += done
        return done

    def close(self) -> None:
        self._file.close()
        super().close()
