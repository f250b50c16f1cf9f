"""Ogg: a chain of streams, each a row of pages.

Source: RFC 3533. A page: ``OggS``, version, flags (2: the first page of a stream, 4: the last), the position
of the last sample that ends in it (8 bytes), serial and page number and checksum (4 each), number of
segments, their sizes, the segments. Contents: `layout`.
"""

import struct

from audiomtl.data.containers.parts import Content, Layout, Part, cut_inside, refuse_rest

HEADER = struct.Struct("<4sBBqIIIB")
FIRST, LAST = 2, 4
NOTHING_ENDS = -1  # position of a page in which no packet ends
OPUS_RATE = 48000


def layout(path: str, content: Content, first: int) -> Layout:
    """The streams of the chain; one alone needs no parts."""
    size = len(content)
    links: list[int] = []  # first bytes of the streams of the chain
    begun = False  # whether the pages before this one are those that begin streams
    at, samples, ended = first, 0, False
    while at + HEADER.size <= size:
        magic, _, flags, position, _, _, _, segments = HEADER.unpack_from(content, at)
        if magic != b"OggS":
            found = content.find(b"OggS", at + 1)
            if found < 0:
                break
            at = found
            continue
        end = at + HEADER.size + segments
        end += sum(content[at + HEADER.size : end])
        if end > size:
            raise cut_inside(path, "page", samples / _rate(content, links[-1] if links else first))
        if flags & FIRST and not begun:
            links.append(at)
        begun = bool(flags & FIRST)
        ended = bool(flags & LAST)
        samples = position if position != NOTHING_ENDS else samples
        at = end
    seconds = samples / _rate(content, links[-1] if links else first)
    if at < size and b"OggS".startswith(content[at : at + 4]):
        raise cut_inside(path, "page", seconds)
    refuse_rest(path, content, at, seconds)
    remarks = () if ended else ("its last page is missing, so its end may be missing as well",)
    if len(links) < 2:
        return Layout(remarks=remarks)
    return Layout(
        tuple(Part(start, end) for start, end in zip(links, [*links[1:], size], strict=True)), remarks
    )


def _rate(content: Content, start: int) -> int:
    """Steps per second of the positions of a stream."""
    packet = start + HEADER.size + content[start + HEADER.size - 1]
    if content[packet : packet + 7] == b"\1vorbis":
        return int(struct.unpack_from("<I", content, packet + 12)[0]) or 1
    return OPUS_RATE
