"""Wave64 (W64) by Sonic Foundry: chunks as in RIFF, with names and lengths of 16 and 8 bytes.

A length counts its own 24 bytes of header; chunks begin at multiples of 8. Contents: `layout`.
"""

import struct

from audiomtl.data.containers.parts import Content, Layout, Part, cut_off, refuse_rest

HEADER = 24
FORMAT, SOUND = b"fmt ", b"data"  # the first four of a name's 16 bytes
UNKNOWN = 2**62  # from here on a length means "not known yet"


def layout(path: str, content: Content, first: int) -> Layout:
    """The recordings of the file; one alone that is as its header says needs no parts."""
    parts: list[Part] = []
    size, begin, mended = len(content), first, False
    while begin < size:
        at, step, per_second = begin + HEADER + 16, 1, 1
        while at + HEADER <= size and content[at : at + 4] != SOUND:
            if content[at : at + 4] == FORMAT:
                per_second, step = struct.unpack_from("<IH", content, at + HEADER + 8)
            length = int.from_bytes(content[at + 16 : at + 24], "little")
            at += max(HEADER, length + -length % 8)
        if at + HEADER > size:
            return Layout(tuple(parts)) if len(parts) > 1 else Layout()
        start, length = at + HEADER, int.from_bytes(content[at + 16 : at + 24], "little")
        stated, there = length - HEADER, size - start
        if there and (stated <= 0 or length >= UNKNOWN):
            head = bytearray(content[begin:start])
            there -= there % max(step, 1)
            head[16:24] = (len(head) + there).to_bytes(8, "little")
            head[-8:] = (HEADER + there).to_bytes(8, "little")
            parts.append(Part(start, start + there, bytes(head)))
            mended = True
            break
        if stated - there >= max(step, 1):
            raise cut_off(path, stated / max(per_second, 1), there / max(per_second, 1))
        end = start + stated + -stated % 8
        while end + HEADER <= size and content[end : end + 4] != b"riff":
            length = int.from_bytes(content[end + 16 : end + 24], "little")
            if not HEADER <= length <= size - end:
                break
            end += length + -length % 8
        if content[end : end + 4] != b"riff":
            refuse_rest(path, content, end, stated / max(per_second, 1))
            end = size
            mended = mended or start + stated < size
        # libsndfile would read other chunks and padding as sound
        parts.append(Part(begin, min(start + stated, size)))
        begin = end
    return Layout(tuple(parts)) if mended or len(parts) > 1 else Layout()
