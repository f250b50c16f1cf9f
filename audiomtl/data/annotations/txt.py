"""txt: transcripts, ``.txt`` or ``.lab``: the words that are spoken or sung, on one line or several. TIMIT's
transcripts begin with the first and last sample, which are left out.
"""

import re
from pathlib import Path

from audiomtl.data.annotations import Annotation, Options, Sound, text_of
from audiomtl.errors import UserError

SUFFIXES = (".txt", ".lab")
RANK = 8


def fits(path: Path) -> bool:
    return True


def read(path: Path, sound: Sound, options: Options) -> Annotation:
    written = text_of(path).strip()
    found = " ".join(re.sub(r"^\d+[ \t]+\d+[ \t]+(?=\D)", "", written).split())
    if not found:
        raise UserError(f"{path}: the transcript is empty; write the words, or remove the file")
    return Annotation({"text": found})
