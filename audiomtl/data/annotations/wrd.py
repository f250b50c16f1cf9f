"""wrd: words of TIMIT and its like, ``.wrd``: lines ``first_sample last_sample word``."""

from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound
from audiomtl.data.annotations._columns import spans

SUFFIXES = (".wrd",)
RANK = 3


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    found, unit = spans(path, sound, units=("samples", "100 ns"), overlaps=True)
    return Annotation({"words": found}, (f"times are in {unit}",))
