"""ctm: NIST's time-marked words, ``.ctm``: lines ``recording channel start duration word [confidence]``;
``;;`` begins a comment. One file may have the words of many recordings: those are read whose name is the
recording's.
"""

from functools import lru_cache
from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound, lines, number, ordered
from audiomtl.errors import UserError

SUFFIXES = (".ctm",)
RANK = 4


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    state = path.stat()
    rows = _rows(path, (state.st_size, state.st_mtime_ns))
    own = rows.get(sound.path.stem) or (next(iter(rows.values())) if len(rows) == 1 else None)
    if own is None:
        if path.stem != sound.path.stem:
            return Annotation()  # it has the words of other recordings of the folder
        raise UserError(
            f"{path}: has no words of {sound.path.stem}; it has those of"
            f" {', '.join(list(rows)[:5]) or 'none'}"
        )
    part = options.spans or "words"
    return Annotation({part: ordered(path, own, overlaps=part != "phones")})


@lru_cache(maxsize=8)
def _rows(path: Path, state: tuple[int, int]) -> dict[str, list[tuple[int, float, float, str]]]:
    """Lines (number, start, end, word) by recording; ``state`` tells one content of the file from another."""
    found: dict[str, list[tuple[int, float, float, str]]] = {}
    for line, text in lines(path):
        if text.lstrip().startswith(";;"):
            continue
        fields = text.split()
        place = f"{path} line {line}"
        if len(fields) not in (5, 6):
            raise UserError(
                f'{place}: "{text.strip()[:60]}" must be recording, channel, start, duration, word and'
                " perhaps a confidence"
            )
        start, lasts = number(fields[2], place), number(fields[3], place)
        if lasts <= 0:
            raise UserError(f"{place}: the duration {fields[3]} must be above 0 s")
        found.setdefault(fields[0], []).append((line, start, start + lasts, fields[4]))
    return dict(sorted(found.items()))
