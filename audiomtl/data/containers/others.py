"""Rarer containers that state their length: AVR, MPC 2000, Psion WVE, Creative VOC. Contents: `layout`."""

from typing import NamedTuple

from audiomtl.data.containers.parts import Content, Layout, Part, cut_off, refuse_rest

AVR, MPC, WVE, VOC = b"2BIT", b"\x01\x04", b"ALaw", b"Crea"
VOC_SOUND, VOC_MORE, VOC_NEW = 1, 2, 9  # types of the blocks that hold sound
VOC_HEADERS = {VOC_SOUND: 2, VOC_MORE: 0, VOC_NEW: 12}  # bytes before the sound in them


class Stated(NamedTuple):
    """What a header says."""

    end: int  # of the sound
    step: int  # bytes of one sample in all channels
    per_second: float  # bytes
    start: int  # of the sound


def layout(path: str, content: Content, first: int) -> Layout:
    """The recording, without what follows it; one that is longer or shorter than it says is refused."""
    stated, size = _stated(content, first), len(content)
    if stated is None or stated.per_second <= 0:
        return Layout()
    seconds = (stated.end - stated.start) / stated.per_second
    if stated.end - size >= stated.step:
        raise cut_off(path, seconds, max(0, size - stated.start) / stated.per_second)
    refuse_rest(path, content, stated.end, seconds)
    # libsndfile would read what follows as sound
    return Layout((Part(first, stated.end),)) if stated.end < size else Layout()


def _stated(content: Content, at: int) -> Stated | None:
    if len(content) < at + 42:
        return None
    if content[at : at + 4] == AVR:
        step = (1 + bool(_number(content, at + 12, 2))) * (_number(content, at + 14, 2) // 8)
        rate, start = _number(content, at + 22, 4) & 0xFFFFFF, at + 128
        return Stated(start + step * _number(content, at + 26, 4), max(step, 1), rate * step, start)
    if content[at : at + 2] == MPC:
        step, start = 2 * (1 + bool(content[at + 21])), at + 42
        frames, rate = _little(content, at + 26, 4), _little(content, at + 40, 2)
        return Stated(start + step * frames, step, rate * step, start)
    if content[at : at + 4] == WVE:
        start = at + 32
        return Stated(start + _number(content, at + 18, 4), 1, 8000, start)
    if content[at : at + 4] == VOC:
        return _voc(content, at)
    return None


def _voc(content: Content, at: int) -> Stated | None:
    """The blocks of a VOC file up to the last."""
    block, start, end, step, per_second = at + _little(content, at + 20, 2), 0, 0, 1, 0.0
    while block + 4 <= len(content) and content[block]:
        kind, length = content[block], _little(content, block + 1, 3)
        if kind == VOC_NEW:
            step = max(1, content[block + 8] // 8 * content[block + 9])
            per_second = _little(content, block + 4, 4) * step
        elif kind == VOC_SOUND:
            per_second = 1e6 / (256 - content[block + 4])
        if kind in VOC_HEADERS:
            start = start or block + 4 + VOC_HEADERS[kind]
            end = block + 4 + length
        block += 4 + length
    end += block == end and block < len(content)  # the 0 that ends the blocks
    return Stated(end, step, per_second, start) if start else None


def _number(content: Content, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size])


def _little(content: Content, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
