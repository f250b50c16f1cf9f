"""audacity: label tracks of Audacity, ``.txt``: lines ``start<TAB>end<TAB>label`` in seconds; a line that
begins with a backslash has the frequencies of the label before it and is not read.
"""

import re
from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound, lines, number, ordered

SUFFIXES = (".txt",)
RANK = 5
LABEL = re.compile(r"\s*-?\d+([.,]\d*)?\t-?\d+([.,]\d*)?(\t|$)")


def fits(path: Path) -> bool:
    written = [text for _, text in lines(path) if not text.startswith("\\")]
    return bool(written) and bool(LABEL.match(written[0]))


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    rows = []
    for line, text in lines(path):
        if text.startswith("\\"):
            continue
        start, end, label = [*text.split("\t", maxsplit=2), "", "", ""][:3]
        place = f"{path} line {line}"
        rows.append((line, number(start, place), number(end, place), label))
    part = options.spans or "events"
    return Annotation({part: ordered(path, rows, overlaps=part != "phones")})
