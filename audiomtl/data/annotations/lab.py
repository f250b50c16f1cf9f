"""lab: labels with times, ``.lab``: of HTK and others (``start end label``: 100 ns, samples or seconds), and
of ESPS xwaves and EMU (a line ``#``, then ``end color label``). A ``.lab`` of words alone is a transcript
(`txt`).
"""

import re
from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound, Spans, lines, number, ordered
from audiomtl.data.annotations._columns import spans
from audiomtl.errors import UserError

SUFFIXES = (".lab",)
RANK = 2
TIMED = re.compile(r"\s*-?[\d.]+\s+-?[\d.]+(\s|$)")


def fits(path: Path) -> bool:
    written = [text for _, text in lines(path)]
    return bool(written) and (any(text.strip() == "#" for text in written) or bool(TIMED.match(written[0])))


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    part = options.spans or "phones"
    if any(text.strip() == "#" for _, text in lines(path)):
        return Annotation({part: _xwaves(path)}, ("times are the ends of segments (ESPS)",))
    found, unit = spans(path, sound, units=("samples", "100 ns", "seconds"), overlaps=part != "phones")
    return Annotation({part: found}, (f"times are in {unit}",))


def _xwaves(path: Path) -> Spans:
    found: list[tuple[int, float, float, str]] = []
    begun, before = False, 0.0
    for line, text in lines(path):
        if not begun:
            begun = text.strip() == "#"
            continue
        time, *rest = text.split(maxsplit=2)
        place = f"{path} line {line}"
        end = number(time, place)
        if len(rest) < 2:
            raise UserError(
                f'{place}: "{text.strip()[:60]}" must be the end of a segment, a color and a label'
            )
        found.append((line, before, end, rest[1].partition(";")[0]))
        before = end
    if not found:
        raise UserError(f"{path}: has no labels after its line #; write them, or remove the file")
    return ordered(path, found)
