"""MPEG audio (MP3): frames, one after the other, each with a header of its own.

Source: ISO/IEC 11172-3 and 13818-3. No field tells the length of such a file. Encoders put a first frame
without sound before the others (``Xing``, ``Info`` or ``VBRI``) that tells the number of frames, and of the
samples at both ends that are padding. Without it decoders guess from the first frame's bit rate, which is
wrong where the bit rate varies. So the frames are counted.

Contents: `layout`.
"""

from typing import NamedTuple

from audiomtl.data.containers.parts import Content, Layout, Part, after_tags, cut_inside, cut_off, refuse_rest

KBPS = {  # (MPEG 1, layer) -> bit rates by index, kbit/s
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
KBPS[False, 3] = KBPS[False, 2]
RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version, Hz
SEARCHED = 2**16  # bytes in which the first frame must begin
FEWEST = 3  # frames in a row that are no accident, if they do not end the file
VBRI_AT = 36  # bytes from a frame's beginning
FRAMES_FLAG = 1


class Frame(NamedTuple):
    """What a frame's header says."""

    length: int  # bytes
    samples: int
    rate: int  # Hz
    kind: int  # what may not change within a stream: version, layer, rate, mono or not
    info_at: int  # bytes from the frame's beginning to "Xing"


def layout(path: str, content: Content, first: int) -> Layout:
    """The streams of the file; none where the only one begins with a count that is true."""
    if (start := _first_frame(content, first, first + SEARCHED)) < 0:
        return Layout()
    streams, last, rest = _streams(content, start)
    parts, true = [], len(streams) == 1 and start == first
    for number, (start, end, frames, frame, marked) in enumerate(streams):
        seconds = frame.samples / frame.rate
        stated = _stated(content, start, frame) if marked else 0
        count = frames - marked  # the frame with the count is no sound
        is_last = number == len(streams) - 1
        if count < stated - 1 or (count < stated and _gapless(content, start, frame)):
            raise cut_off(path, stated * seconds, count * seconds)
        if is_last and rest and not stated:
            raise cut_inside(path, "frame", count * seconds)
        if not count:
            continue
        if stated == count:
            parts.append(Part(start, end))
            continue
        true = False
        begin = start + (frame.length if marked else 0)
        parts.append(Part(begin, end, samples=count * frame.samples))
    if not rest:
        refuse_rest(
            path, content, last, sum(frames * one.samples / one.rate for _, _, frames, one, _ in streams)
        )
    return Layout() if true else Layout(tuple(parts))


def _first_frame(content: Content, at: int, end: int) -> int:
    """Where the first frame begins that others follow, before a byte; -1 where none does."""
    while (at := content.find(b"\xff", at, end)) >= 0:
        if _begins(content, at):
            return at
        at += 1
    return -1


def _begins(content: Content, at: int) -> bool:
    """Whether there is a frame, and others of its kind follow."""
    begin, kinds = at, set[int]()
    for _ in range(FEWEST):
        frame = _frame(content[begin : begin + 4])
        if frame is None:
            return begin == len(content) and len(kinds) == 1
        kinds.add(frame.kind)
        begin += frame.length
    return len(kinds) == 1


# (first byte, byte after the last, frames, the first frame, whether it is the count of the others)
Stream = tuple[int, int, int, Frame, bool]


def _streams(content: Content, first: int) -> tuple[list[Stream], int, bool]:
    """The streams from a byte on, where the last ends, and whether the file ends inside of a frame."""
    size, marks = len(content), _marks(content)
    known: dict[bytes, Frame | None] = {}  # by the bytes 1 to 3 of a header
    streams: list[Stream] = []
    at, begin, count, head, due = first, first, 0, None, -1

    def close(end: int) -> None:
        if head is not None and count:
            streams.append((begin, end, count, head, begin in marks))

    while at + 4 <= size:
        code = content[at + 1 : at + 4]
        frame = known.get(code)
        if frame is None and code not in known:
            frame = known[code] = _frame(b"\xff" + code)
        if content[at] != 0xFF or frame is None:
            end, at = at, _next(content, at, size)
            if at < 0:
                close(end)
                return streams, end, False
            if at - end > 1000 or _independent(content, at):  # libsndfile gives up after 1024 bytes
                close(end)
                begin, count, head, due = at, 0, None, -1
            continue
        if at + frame.length > size:
            close(at)
            return streams, at, True
        if (
            head is None
            or frame.kind != head.kind
            or at in marks
            or (count == due and _independent(content, at))
        ):
            close(at)
            begin, count, head = at, 0, frame
            stated = _stated(content, at, frame) if at in marks else 0
            due = stated + 1 if stated else -1
        count += 1
        at += frame.length
    close(at)
    return streams, at, at < size and content[at] == 0xFF


def _next(content: Content, at: int, size: int) -> int:
    """The frame after something that is none: a tag, padding; -1 where nothing follows."""
    after = after_tags(content, at)
    if after > at and _begins(content, after):
        return after
    return _first_frame(content, max(at + 1, after), size)


def _marks(content: Content) -> set[int]:
    """Where frames begin that count the others, if frames begin there."""
    found = set()
    for word, places in ((b"Xing", (13, 21, 36)), (b"Info", (13, 21, 36)), (b"VBRI", (VBRI_AT,))):
        at = content.find(word)
        while at >= 0:
            for place in places:
                begin = at - place
                if begin >= 0 and content[begin] == 0xFF:
                    frame = _frame(content[begin : begin + 4])
                    if frame and place == (VBRI_AT if word == b"VBRI" else frame.info_at):
                        found.add(begin)
            at = content.find(word, at + 1)
    return found


def _stated(content: Content, at: int, frame: Frame) -> int:
    """How many frames follow, by a frame that counts them; 0 where it does not say."""
    if content[at + VBRI_AT : at + VBRI_AT + 4] == b"VBRI":
        return int.from_bytes(content[at + VBRI_AT + 14 : at + VBRI_AT + 18])
    place = at + frame.info_at
    has = int.from_bytes(content[place + 4 : place + 8]) & FRAMES_FLAG
    return int.from_bytes(content[place + 8 : place + 12]) if has else 0


def _gapless(content: Content, at: int, frame: Frame) -> bool:
    """Whether a counting frame tells the padding too, as LAME's does: then its count is exact."""
    place = at + frame.info_at
    flags = int.from_bytes(content[place + 4 : place + 8])
    fields = (
        place + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    )
    return content[at + VBRI_AT : at + VBRI_AT + 4] != b"VBRI" and bool(content[fields])


def _independent(content: Content, at: int) -> bool:
    """Whether a frame takes no bits from those before it: a stream may begin with it."""
    side = at + (4 if content[at + 1] & 1 else 6)
    if content[at + 1] >> 3 & 1:  # MPEG 1: 9 bits
        return not content[side] and not content[side + 1] >> 7
    return not content[side]


def _frame(header: bytes) -> Frame | None:
    """What four bytes say if they are the header of a frame (of a free bit rate: they are not)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    index, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate == 3 or header[3] & 3 == 2:
        return None
    hertz, bits = RATES[version][rate], KBPS[version == 3, layer][index] * 1000
    padding, mono = header[2] >> 1 & 1, header[3] >> 6 == 3
    samples = 384 if layer == 1 else 1152 if layer == 2 or version == 3 else 576
    length = (12 * bits // hertz + padding) * 4 if layer == 1 else samples // 8 * bits // hertz + padding
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    kind = version << 6 | layer << 4 | rate << 1 | mono
    return Frame(length, samples, hertz, kind, 4 + side)
