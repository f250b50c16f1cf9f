"""phn: phones of TIMIT and its like, ``.phn``: lines ``first_sample last_sample phone``."""

from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound
from audiomtl.data.annotations._columns import spans

SUFFIXES = (".phn",)
RANK = 1


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    found, unit = spans(path, sound, units=("samples", "100 ns"))
    return Annotation({"phones": found}, (f"times are in {unit}",))
