"""Sun and NeXT AU: one header, then the sound. Contents: `layout`."""

from audiomtl.data.containers.parts import Content, Layout, Part, cut_off, refuse_rest

UNKNOWN = 0xFFFFFFFF
BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # of a sample by encoding; others are packed
MAGIC = (b".snd", b"dns.")


def layout(path: str, content: Content, first: int) -> Layout:
    """The recordings of the file; one alone that is as its header says needs no parts."""
    parts: list[Part] = []
    size, at, mended = len(content), first, first > 0
    while at < size:
        order = "big" if content[at : at + 4] == MAGIC[0] else "little"
        fields = [int.from_bytes(content[at + 4 * n : at + 4 * n + 4], order) for n in range(1, 6)]  # type: ignore[arg-type]
        header, stated, encoding, rate, channels = fields
        step = BYTES.get(encoding, 1) * max(channels, 1)
        start, per_second = at + header, max(step * rate, 1)
        there = size - start
        if start > size:
            return Layout()
        if stated in (0, UNKNOWN):
            head = content[at : at + 8] + b"\xff" * 4 + content[at + 12 : start]
            parts.append(Part(start, size, head))
            mended = mended or (not stated and there > 0)
            break
        if stated - there >= step:
            raise cut_off(path, stated / per_second, max(there, 0) / per_second)
        end = min(start + stated, size)
        if content[end : end + 4] not in MAGIC:
            refuse_rest(path, content, end, stated / per_second)
            end = size
        parts.append(Part(at, end))
        at = end
    return Layout(tuple(parts)) if mended or len(parts) > 1 else Layout()
