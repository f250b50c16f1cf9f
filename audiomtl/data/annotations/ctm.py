"""ctm: NIST's time-marked words, ``.ctm``: lines ``recording channel start duration word [confidence]``;
``;;`` begins a comment. One file may have the words of many recordings: those are read whose name is the
recording's.
"""

from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound, lines, number, ordered
from audiomtl.errors import UserError

SUFFIXES = (".ctm",)
RANK = 4


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    rows = []
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
        start = number(fields[2], place)
        lasts = number(fields[3], place)
        if lasts <= 0:
            raise UserError(f"{place}: the duration {fields[3]} must be above 0 s")
        rows.append((fields[0], (line, start, start + lasts, fields[4])))
    names = sorted({name for name, _ in rows})
    own = (
        [row for name, row in rows if name == sound.path.stem] if len(names) > 1 else [row for _, row in rows]
    )
    if not own:
        raise UserError(
            f"{path}: has no words of {sound.path.stem}; it has those of {', '.join(names[:5]) or 'none'}"
        )
    part = options.spans or "words"
    return Annotation({part: ordered(path, own, overlaps=part != "phones")})
