"""Which annotation files belong to which recordings of a folder, by their names.

Conventions: an annotation has the name of its recording, and perhaps a suffix behind it that begins with
``_``, ``.``, ``-`` or a blank: ``song_notesA1.csv`` belongs to ``song.wav``. It stands beside the recording,
or in another folder if the name is unique (or the two parent folders have one name, as in ``wav/anna/1.wav``
and ``lab/anna/1.lab``). Names are compared in NFC, without regard to case. A *pattern* is what the files of
one kind have in common, ``*`` stands for the recording: ``*.phn`` beside the recordings,
``Annotations/Notes/*_notesA1.csv`` in another folder.

Contents: `recordings`, `unreadable`, `pairs`, `Pairs`.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from audiomtl.data import annotations

# what libsndfile reads, and NIST SPHERE under its own suffixes
SOUNDS = frozenset(
    [
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".w64"),
        *(".caf", ".rf64", ".sph", ".nist"),
    ]
)
# recordings that libsndfile does not read
OTHERS = frozenset((".m4a", ".mp4", ".aac", ".wma", ".amr", ".ape", ".mka", ".webm", ".3gp", ".wv", ".mpc"))
JOINTS = "_.- "  # what stands between the name of a recording and a suffix
WHOLE = (".ctm",)  # one file may have the labels of every recording


class Pairs(NamedTuple):
    """Annotation files of recordings."""

    by_pattern: dict[str, dict[int, Path]]  # pattern -> number of the recording -> file
    unread: tuple[str, ...]  # suffixes of files with a recording's name that no format reads


def recordings(files: Sequence[Path]) -> list[Path]:
    """The sound files among some files, in their order."""
    return [path for path in files if path.suffix.lower() in SOUNDS]


def unreadable(root: Path, files: Sequence[Path]) -> str:
    """Recordings in formats that are not read, in words: "3 .m4a files, such as anna/1.m4a"; "" if there are
    none.
    """
    found = [path for path in files if path.suffix.lower() in OTHERS]
    if not found:
        return ""
    kinds = ", ".join(sorted({path.suffix.lower() for path in found}))
    return f"{len(found)} {kinds} files, such as {found[0].relative_to(root).as_posix()}"


def pairs(root: Path, files: Sequence[Path], sounds: Sequence[Path]) -> Pairs:
    """The annotations of some recordings among the files below ``root``."""
    by_stem: dict[str, list[int]] = {}
    for number, sound in enumerate(sounds):
        by_stem.setdefault(_folded(sound.stem), []).append(number)
    known, found = annotations.suffixes(), dict[str, dict[int, Path]]()
    unread: set[str] = set()
    for path in files:
        if not path.suffix or path.suffix.lower() in SOUNDS:
            continue
        stem, end = _named_after(_folded(path.stem), by_stem)
        if stem is None:
            if path.suffix.lower() in WHOLE:
                for number in range(len(sounds)):
                    found.setdefault(path.relative_to(root).as_posix(), {})[number] = path
            continue
        chosen, place = _chosen(path, [(number, sounds[number]) for number in by_stem[stem]], root)
        if path.suffix.lower() not in known:
            unread.add(path.suffix)
        elif chosen is not None:
            suffix = path.stem[len(path.stem) - len(end) :] if end else ""
            own = found.setdefault(f"{place}*{suffix}{path.suffix.lower()}", {})
            own.setdefault(chosen, path)
    return Pairs(dict(sorted(found.items())), tuple(sorted(unread)))


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def _named_after(stem: str, known: dict[str, list[int]]) -> tuple[str | None, str]:
    """The longest name of a recording that a file's name is or begins with, and what follows it."""
    if stem in known:
        return stem, ""
    for place in range(len(stem) - 1, 0, -1):
        if stem[place] in JOINTS and stem[:place] in known:
            return stem[:place], stem[place:]
    return None, ""


def _chosen(path: Path, candidates: list[tuple[int, Path]], root: Path) -> tuple[int | None, str]:
    """The recording that a file belongs to, and the folder of its pattern; None where it cannot be told."""
    beside = [number for number, sound in candidates if sound.parent == path.parent]
    if len(beside) == 1:
        return beside[0], ""
    alike = [number for number, sound in candidates if sound.parent.name == path.parent.name]
    if len(alike) == 1 and not beside and path.parent != root:
        return alike[0], f"{path.parent.parent.relative_to(root).as_posix()}/"
    if len(candidates) == 1:
        return candidates[0][0], f"{path.parent.relative_to(root).as_posix()}/"
    return None, ""
