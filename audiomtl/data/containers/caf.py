"""Apple's Core Audio Format (CAF): chunks, of which the last may be sound to the end of the file.

Contents: `layout`.
"""

import struct

from audiomtl.data.containers.parts import Content, Layout, Part, cut_off

EDITS = 4  # bytes before the sound


def layout(path: str, content: Content, first: int) -> Layout:
    """The recordings of the file; one alone that is as its header says needs no parts."""
    parts: list[Part] = []
    size, at, begin, mended = len(content), first + 8, first, first > 0
    per_second = 0.0
    while at + 12 <= size:
        if content[at : at + 4] == b"caff":
            parts.append(Part(begin, at))
            begin, at = at, at + 8
            continue
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 12], signed=True)
        body = at + 12
        if name == b"desc":
            rate, _, _, packet, packet_samples = struct.unpack_from(">d4sIII", content, body)
            per_second = rate * packet / max(packet_samples, 1)
        if name == b"data" and (length < 0 or (length == 0 and body < size)):
            head = bytearray(content[begin:body])
            head[-8:] = (size - body).to_bytes(8)
            parts.append(Part(body, size, bytes(head)))
            return Layout(tuple(parts))
        if name == b"data" and length > size - body:
            seconds = max(per_second, 1.0)
            raise cut_off(path, (length - EDITS) / seconds, max(0, size - body - EDITS) / seconds)
        at = body + max(length, 0)
    parts.append(Part(begin, size))
    return Layout(tuple(parts)) if mended or len(parts) > 1 else Layout()
