"""FLAC: a header, metadata, and frames, each with its number.

Source: RFC 9639. The length stands in the first metadata block (36 bits; 0: not known). The frame that the
file ends with says by its own header which samples it holds. Contents: `layout`.
"""

from audiomtl.data.containers.parts import (
    Content,
    Layout,
    Part,
    after_tags,
    cut_inside,
    cut_off,
    is_blank,
)

MAGIC = b"fLaC"
BEGINNINGS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")  # and a block of stream information
HEAD = 42  # bytes: magic, block header, stream information
LAST_FRAME = 2**17  # bytes of the end in which the last frame is looked for first, then in all
LONGEST_HEADER = 16
SHORTEST_FRAME = 10  # bytes: of a silent one
BLOCKS = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}


def layout(path: str, content: Content, first: int) -> Layout:
    """The streams of the file; one alone that is as its header says needs no parts."""
    starts, at = [first], content.find(MAGIC, first + 1)
    while at >= 0:
        if content[at : at + 8] in BEGINNINGS:
            starts.append(at)
        at = content.find(MAGIC, at + 1)
    ends = [*starts[1:], len(content)]
    parts, mended = [], first > 0  # libsndfile does not find its way behind a tag
    for start, end in zip(starts, ends, strict=True):
        if end - start < HEAD or content[start : start + 8] not in BEGINNINGS:
            return Layout()
        fields = int.from_bytes(content[start + 18 : start + 26])
        rate, stated = fields >> 44, fields & (2**36 - 1)
        there, whole = _samples(content, start + HEAD, end, stated)
        if not whole and not stated:
            raise cut_inside(path, "frame", there / max(rate, 1))
        if not whole:
            raise cut_off(path, stated / max(rate, 1), there / max(rate, 1))
        head = b""
        if there > stated:
            mended = True
            head = content[start : start + 18] + (fields - stated + there).to_bytes(8)
        parts.append(Part(start + len(head), end, head))
    return Layout(tuple(parts)) if mended or len(parts) > 1 else Layout()


def _samples(content: Content, first: int, end: int, stated: int) -> tuple[int, bool]:
    """Where the last frame ends by its header, and whether the frame is whole."""
    block = int.from_bytes(content[first - HEAD + 8 : first - HEAD + 10])  # of all frames but the last
    for begin in (max(first, end - LAST_FRAME), first):
        last = 0
        at = content.rfind(b"\xff", begin, end)
        while at >= 0:
            samples = _end_of_frame(content[at : at + LONGEST_HEADER], block)
            if samples and samples >= stated and end - at < LAST_FRAME and _whole(content[at:end]):
                return samples, True
            last = max(last, min(samples, stated - block) if stated else samples)
            at = content.rfind(b"\xff", begin, at)
        if last:
            return last, False
    return 0, not stated


def _end_of_frame(header: bytes, block: int) -> int:
    """The sample after the last of a frame; 0 for bytes that are no header of a frame."""
    if len(header) < 6 or header[1] not in (0xF8, 0xF9) or header[3] & 1:
        return 0
    code, rate = header[2] >> 4, header[2] & 15
    if not code or rate == 15 or header[3] >> 4 > 10:
        return 0
    number, at = header[4], 5
    if number >= 0x80:
        following = 8 - (number ^ 0xFF).bit_length() - 1  # bytes: one less than its leading ones
        if following < 1 or any(byte >> 6 != 2 for byte in header[5 : 5 + following]):
            return 0
        number &= (1 << max(0, 6 - following)) - 1
        for byte in header[5 : 5 + following]:
            number = number << 6 | byte & 63
        at += following
    if code in (6, 7):
        size = int.from_bytes(header[at : at + code - 5]) + 1
        at += code - 5
    else:
        size = BLOCKS[code]
    at += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if at >= len(header) or _checksum(header[:at]) != header[at]:
        return 0
    return number + size if header[1] & 1 else number * block + size


def _checksum(header: bytes) -> int:
    """CRC-8 of x^8 + x^2 + x + 1."""
    value = 0
    for byte in header:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 7 if value & 0x80 else value << 1) & 0xFF
    return value


def _whole(frame: bytes) -> bool:
    """Whether a frame ends with its CRC-16 (x^16 + x^15 + x^2 + 1), and nothing but tags or zeros follow."""
    value = 0
    for at, byte in enumerate(frame, 1):
        value = (value << 8 & 0xFFFF) ^ CRC16[value >> 8 ^ byte]
        if not value and at >= SHORTEST_FRAME and is_blank(frame, after_tags(frame, at)):
            return True
    return False


def _row(value: int) -> int:
    for _ in range(8):
        value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
    return value


CRC16 = tuple(_row(byte << 8) for byte in range(256))
