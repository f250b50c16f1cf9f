"""NIST SPHERE: a header of lines ``name -type value``, then the sound. Contents: `layout`."""

from audiomtl.data.containers.parts import Content, Layout, Part, cut_off, refuse_rest
from audiomtl.errors import UserError

MAGIC = b"NIST_1A"
PLAIN = ("pcm", "ulaw", "mu-law", "alaw")


def layout(path: str, content: Content, first: int) -> Layout:
    """The recordings of the file; one alone that is as its header says needs no parts.

    Raises
    ------
    UserError : the sound is compressed, which libsndfile would read as noise.
    """
    parts: list[Part] = []
    size, at = len(content), first
    while at < size:
        header, fields = _header(content, at)
        coding = fields.get("sample_coding", "pcm")
        if coding not in PLAIN:
            raise UserError(
                f"{path}: NIST SPHERE with sample_coding {coding}, but pcm is needed; uncompress it: w_decode"
                " -o pcm IN OUT"
            )
        count, width, channels, rate = (
            int(fields[name]) if fields.get(name, "").isdecimal() else 0
            for name in ("sample_count", "sample_n_bytes", "channel_count", "sample_rate")
        )
        step = max(1, width) * max(1, channels)
        start = at + header
        if not count or not rate or not header:
            return Layout()
        if count * step - (size - start) >= step:
            raise cut_off(path, count / rate, max(0, size - start) / step / rate)
        end = start + count * step
        if content[end : end + len(MAGIC)] != MAGIC:
            refuse_rest(path, content, end, count / rate)
            # libsndfile reads to the end of the file, padding included
            parts.append(Part(at, end))
            break
        parts.append(Part(at, end))
        at = end
    return Layout(tuple(parts)) if len(parts) > 1 or (parts and parts[0].end < size) else Layout()


def _header(content: Content, at: int) -> tuple[int, dict[str, str]]:
    """Length of a header, and its fields."""
    size = content[at + 8 : at + 16].strip()
    length = int(size) if size.isdigit() else 0
    lines = content[at : at + length].decode("latin-1").splitlines()
    pairs = (line.split(maxsplit=2) for line in lines)
    return length, {pair[0]: pair[2].strip() for pair in pairs if len(pair) == 3}
