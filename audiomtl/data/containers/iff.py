"""RIFF (WAV, RF64) and IFF (AIFF, 8SVX): chunks, each with its name and length.

Sources: Microsoft and IBM, "Multimedia programming interface and data specifications", 1991; EBU Tech 3306
(RF64); Apple, "Audio Interchange File Format", 1989. A recorder writes the lengths last: where it was
stopped, or wrote into a pipe, they are 0 or the largest number. Contents: `layout`.
"""

from typing import NamedTuple

from audiomtl.data.containers.parts import (
    OPEN_LENGTH,
    Content,
    Layout,
    Part,
    cut_off,
    refuse_rest,
)
from audiomtl.errors import UserError

LARGEST = 0xFFFFFFFF
SOUND = {b"WAVE": b"data", b"AIFF": b"SSND", b"AIFC": b"SSND", b"8SVX": b"BODY", b"16SV": b"BODY"}
TO_THE_END = (b"8SVX", b"16SV")  # of which libsndfile reads all that follows as sound
MAGIC = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM")
PLAIN_AIFC = (b"NONE", b"sowt", b"twos", b"raw ", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32")


class Found(NamedTuple):
    """The sound of one RIFF or IFF, and what its header says of it."""

    big: bool  # byte order
    start: int  # of the sound's bytes
    stated: int  # bytes; -1: not known
    step: int  # bytes of one sample in all channels; 0: not known
    rate: float  # Hz
    sizes: tuple[int, ...]  # where the chunk's length stands, and the number of samples (AIFF)
    end: int  # of the whole, as its header says


def layout(path: str, content: Content, first: int) -> Layout:
    """The recordings of the file; one alone that is as its header says needs no parts."""
    parts: list[Part] = []
    at, size, mended = first, len(content), first > 0
    while at < size:
        found = _found(content, at)
        if found is None:
            return Layout() if not parts else Layout(tuple(parts))
        there = size - found.start
        step, per_second = max(found.step, 1), max(found.step * found.rate, 1)
        is_open = found.stated < 0 or (found.stated == 0 and _is_no_chunk(content, found.start, found.big))
        if is_open:
            parts.append(_to_the_end(path, content, at, found, size))
            mended = True
            break
        if found.stated - there >= step and found.end != size:
            raise cut_off(path, found.stated / per_second, there / per_second)
        end = _end(content, found)
        if content[end : end + 4] in MAGIC:
            parts.append(Part(at, end))
            at = end
            continue
        refuse_rest(path, content, end, found.stated / per_second)
        if content[at + 8 : at + 12] in TO_THE_END and found.start + found.stated < size:
            end, mended = found.start + found.stated, True
        parts.append(Part(at, end))
        break
    return Layout(tuple(parts)) if mended or len(parts) > 1 else Layout()


def _found(content: Content, at: int) -> Found | None:
    """The sound in the RIFF or IFF at a byte; None where it is of another kind or has none."""
    magic, kind = content[at : at + 4], content[at + 8 : at + 12]
    if magic not in MAGIC or kind not in SOUND:
        return None
    big = magic in (b"RIFX", b"FORM")
    whole, at_chunk = _number(content, at + 4, big), at + 12
    step, rate, long, counted = 0, 0.0, -1, 0
    sound = None
    while at_chunk + 8 <= len(content):
        name, size = content[at_chunk : at_chunk + 4], _number(content, at_chunk + 4, big)
        body = at_chunk + 8
        if name == b"fmt ":
            rate, step = _number(content, body + 4, big), _number(content, body + 12, big, 2)
        elif name == b"ds64":
            whole, long = _number(content, body, big, 8), _number(content, body + 8, big, 8)
        elif name == b"COMM":
            step, rate, counted = *_comm(content, body, kind), body + 2
        elif name == b"VHDR":
            rate, step = _number(content, body + 12, big, 2), 1 + (kind == b"16SV")
        elif name == SOUND[kind]:
            sound = (body, size)
            if step:  # else the format stands behind the sound
                break
        at_chunk = body + size + size % 2
    if sound is None or not step:
        return None
    start, stated = sound
    sizes = (start - 4, *([counted] if counted else []))
    skipped = 8 + _number(content, start, big) if kind in (b"AIFF", b"AIFC") else 0
    there = len(content) - start
    if magic in (b"RF64", b"BW64") and stated == LARGEST:
        stated, sizes = long, ()
        if not 0 < long < 2**62:
            stated = -1
    elif stated == LARGEST or (stated >= OPEN_LENGTH and stated > there):
        stated = -1
    if stated >= 0:
        stated = max(0, stated - skipped)
    return Found(big, start + skipped, stated, step, rate, sizes, at + 8 + whole + whole % 2)


def _comm(content: Content, body: int, kind: bytes) -> tuple[int, float]:
    """Bytes of a sample in all channels (0: they are packed), and the rate."""
    channels, bits = _number(content, body, True, 2), _number(content, body + 6, True, 2)
    exponent, mantissa = _number(content, body + 8, True, 2) & 0x7FFF, _number(content, body + 10, True, 8)
    rate = mantissa * 2.0 ** (exponent - 16383 - 63) if 16383 <= exponent < 16383 + 32 else 0.0
    plain = kind == b"AIFF" or content[body + 18 : body + 22] in PLAIN_AIFC
    return channels * -(-bits // 8) if plain else channels, rate


def _end(content: Content, found: Found) -> int:
    """Behind the last chunk that follows the sound."""
    size = len(content)
    at = min(size, found.start + found.stated + (found.start + found.stated) % 2)
    while at + 8 <= size and content[at : at + 4] not in MAGIC and _is_name(content[at : at + 4]):
        after = at + 8 + _number(content, at + 4, found.big)
        after += after % 2
        if after > size + 1:
            break
        at = after
    return min(at, size)


def _is_no_chunk(content: Content, at: int, big: bool) -> bool:
    """Whether there is something at a byte, and it is no row of chunks to the end of the file."""
    size = len(content)
    while at + 8 <= size and _is_name(content[at : at + 4]):
        at += 8 + _number(content, at + 4, big)
        at += at % 2
    return at < size


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name)


def _to_the_end(path: str, content: Content, at: int, found: Found, size: int) -> Part:
    """The sound up to the end of the file, behind a header that says so."""
    head = bytearray(content[at : found.start])
    there = size - found.start
    there -= there % max(found.step, 1)
    order = "big" if found.big else "little"
    if not found.sizes:  # RF64
        ds64 = head.index(b"ds64") + 8
        head[ds64 : ds64 + 8] = (len(head) - 8 + there).to_bytes(8, "little")
        head[ds64 + 8 : ds64 + 16] = there.to_bytes(8, "little")
        return Part(found.start, found.start + there, bytes(head))
    whole = len(head) - 8 + there
    if whole > LARGEST and found.big:
        raise UserError(
            f"{path}: its header leaves the length open, and its {there / 2**30:.1f} GB are more than the"
            " format can state; save it as FLAC, W64 or RF64"
        )
    if whole > LARGEST:
        lengths = (whole + 36).to_bytes(8, "little") + there.to_bytes(8, "little")
        long = b"ds64" + (28).to_bytes(4, "little") + lengths + bytes(12)
        head = bytearray(b"RF64" + b"\xff" * 4 + b"WAVE" + long + head[12:-4] + b"\xff" * 4)
        return Part(found.start, found.start + there, bytes(head))
    head[4:8] = whole.to_bytes(4, order)  # type: ignore[arg-type]
    place = found.sizes[0] - at
    sound = there + found.start - found.sizes[0] - 4  # with the eight bytes that AIFF puts before it
    head[place : place + 4] = sound.to_bytes(4, order)  # type: ignore[arg-type]
    for count in found.sizes[1:]:
        head[count - at : count - at + 4] = (there // max(found.step, 1)).to_bytes(4, "big")
    return Part(found.start, found.start + there, bytes(head))


def _number(content: Content, at: int, big: bool, size: int = 4) -> int:
    return int.from_bytes(content[at : at + size], "big" if big else "little")
