"""midi: notes of MIDI files, ``.mid`` and ``.midi``; all tracks but drums as one."""

from pathlib import Path

from audiomtl.data import scores
from audiomtl.data.annotations import Annotation, Options, Sound

SUFFIXES = (".mid", ".midi")
RANK = 7


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    return Annotation({"notes": list(scores.read_notes(path))})
