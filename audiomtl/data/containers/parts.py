"""Parts of a sound file, and what is said of one that was cut off.

Contents: `Part`, `Layout`, `Content`, `cut_off`, `cut_inside`, `refuse_rest`,
`is_blank`, `after_tags`.
"""

import mmap
from typing import NamedTuple

from audiomtl.errors import UserError

Content = mmap.mmap | bytes
ID3V1 = 128  # bytes of a tag at the end
BLOCK = 2**20  # bytes that are looked at at once
TAGS = 4096  # bytes after the sound that may be padding or a tag of any kind
OPEN_LENGTH = 0x7FFF0000  # from here on a 32-bit length that the file does not have means "not known yet"


class Part(NamedTuple):
    """Bytes of a file that libsndfile reads to the end, behind a header of ours."""

    start: int
    end: int  # after the last byte
    head: bytes = b""  # stands before them
    samples: int = -1  # that are in it, where libsndfile can only guess; it is told of an endless file then


class Layout(NamedTuple):
    """What is known of a file."""

    parts: tuple[Part, ...] = ()  # none: the file as it is
    remarks: tuple[str, ...] = ()  # such as "its last page is missing"


def cut_off(path: str, stated: float, there: float) -> UserError:
    """The error of a file that holds fewer seconds than its header states."""
    return UserError(
        f"{path}: the file is truncated: its header states {stated:.3f} s, but it ends after {there:.3f} s;"
        " restore the file, or save what is left as a new file"
    )


def cut_inside(path: str, unit: str, there: float) -> UserError:
    """The error of a file without a length in its header that ends inside of a unit."""
    return UserError(
        f"{path}: the file is truncated: it ends inside a {unit}, after {there:.3f} s; restore the file, or"
        " save what is left as a new file"
    )


def refuse_rest(path: str, content: Content, end: int, seconds: float) -> None:
    """Refuse a file with more in it than its header states, which may be sound.

    Tags, padding, and up to 4096 bytes of any kind are passed over.

    Raises
    ------
    UserError
    """
    at = after_tags(content, end)
    if len(content) - at > TAGS and not is_blank(content, at):
        raise UserError(
            f"{path}: its header states {seconds:.3f} s of sound, but {len(content) - end} bytes that are no"
            " part of it follow; if they are sound, repair the header, else cut them off"
        )


def is_blank(content: Content, at: int) -> bool:
    """Whether only zeros stand from a byte on."""
    return not any(content[begin : begin + BLOCK].strip(b"\0") for begin in range(at, len(content), BLOCK))


def after_tags(content: Content, at: int) -> int:
    """The first byte at or after ``at`` that is in no tag: ID3 or APE."""
    while True:
        if content[at : at + 3] == b"ID3" and len(content) >= at + 10:
            size = 0
            for byte in content[at + 6 : at + 10]:
                size = size << 7 | byte & 0x7F
            at += 10 + size + (10 if content[at + 5] & 0x10 else 0)
        elif content[at : at + 8] == b"APETAGEX" and len(content) >= at + 32:
            at += 32 + int.from_bytes(content[at + 12 : at + 16], "little")
        elif content[at : at + 3] == b"TAG":
            at += ID3V1
        else:
            return min(at, len(content))
