"""What can be removed, and how: no symbolic link is followed, and a kill leaves nothing that is half there.

Conventions: sizes are in bytes, times in seconds since 1970. Contents: `Thing`, `Rule`, `Found`, `size`,
`last_use`, `set_aside`, `left_aside`, `inside`.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

ASIDE = ".removing"  # ending of a folder that is being removed; its name begins with a dot


@dataclass(frozen=True)
class Thing:
    """Something to remove."""

    size: int
    remove: Callable[[], bool]  # False: somebody uses it meanwhile, and it stays


@dataclass(frozen=True)
class Rule:
    """What one rule has found."""

    what: str  # for people
    things: tuple[Thing, ...]

    @property
    def size(self) -> int:
        return sum(thing.size for thing in self.things)


@dataclass(frozen=True)
class Found:
    """What several rules have found, and what people should know of the rest."""

    rules: list[Rule] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _files(path: Path) -> Iterator[os.stat_result]:
    """A file, or all files below a folder; links are left out."""
    state = path.lstat()
    if stat.S_ISREG(state.st_mode):
        yield state
    elif stat.S_ISDIR(state.st_mode):
        for folder, _, names in os.walk(path):
            states = (os.lstat(os.path.join(folder, name)) for name in names)
            yield from (one for one in states if stat.S_ISREG(one.st_mode))


def size(path: Path) -> int:
    """Size of a file, or of all files below a folder."""
    return sum(state.st_size for state in _files(path))


def last_use(path: Path) -> float:
    """When a file, or one of those below a folder, was last read or written; 0 without files."""
    return max((max(state.st_atime, state.st_mtime) for state in _files(path)), default=0.0)


def set_aside(folder: Path) -> Path:
    """Rename a folder in one step, so that nobody sees half of it; the new path is to be removed."""
    aside = folder.with_name(f".{folder.name}{ASIDE}")
    if aside.exists():
        shutil.rmtree(aside)
    return folder.rename(aside)


def left_aside(folder: Path) -> list[Thing]:
    """What a kill left of folders that were set aside in ``folder``."""
    return [
        Thing(size(path), partial(_remove, path))
        for path in sorted(folder.glob(f".*{ASIDE}"))
        if path.is_dir() and not path.is_symlink()
    ]


def _remove(folder: Path) -> bool:
    shutil.rmtree(folder)
    return True


def inside(path: Path, folder: Path) -> bool:
    """Whether a path exists and, all links followed, lies in a folder."""
    return path.exists() and path.resolve().is_relative_to(folder.resolve())
