"""What can be removed of the cache: entries that nothing has read for some days, and what kills left.

An entry is a collection of features, a generated corpus, an index of files or a file of floors. Its name is a
key of settings and code that cannot be turned back, and the ranges of a study have too many keys to compute
them all; so the age decides, and everything is computed again when it is needed. Every use of an entry reads
one of its files. Linux records that at least once a day (``relatime``), unless the disk is mounted with
``noatime``.

Whoever removes an entry holds its lock, as one who writes it does. Of a collection the folder and the lock
stay, because others may wait for that lock. Contents: `found`, `DAYS`.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from audiomtl import system
from audiomtl.data.corpora.generated import INDEX
from audiomtl.data.index import cache_folder
from audiomtl.harness.clean import things
from audiomtl.harness.clean.things import Found, Rule, Thing

DAYS = 30
RUNNING_DAYS = 2  # at least, while a training runs: the last use may be recorded a day late
DAY = 86400.0  # seconds
COLLECTION, MAKING = re.compile("[0-9a-f]{24}"), ".making"


@dataclass(frozen=True)
class _Entry:
    """An entry of the cache."""

    paths: tuple[Path, ...]  # all that is removed
    lock: Path | None

    @property
    def last_use(self) -> float:
        return max(map(things.last_use, self.paths), default=0.0)


def found(days: int | None, *, training: bool) -> Found:
    """What can be removed of the cache.

    Parameters
    ----------
    days : without a use; None is `DAYS`. training : whether a training of this project runs.
    """
    age = DAYS if days is None else days
    if training:
        age = max(age, RUNNING_DAYS)
    now = time.time()
    if _unrecorded() and (days is None or training):
        remedy = "no training may run" if training else f"--days {DAYS} goes by when they were written"
        note = f"{cache_folder()} stays: its disk does not record when files are read (noatime): {remedy}"
        return Found(notes=[note])
    kinds = (("features", _collections), ("corpora", _corpora), ("indexes and floors", _small))
    rules = [
        Rule(f"{what} not read for {age} days", tuple(_old(entries(), now - DAY * age)))
        for what, entries in kinds
    ]
    left = [*_cut_off(), *([] if training else _locks(now - DAY))]
    return Found([*rules, Rule("unfinished corpora, locks of removed entries", tuple(left))])


def _unrecorded() -> bool:
    """Whether the disk of the cache does not record when files are read."""
    place = cache_folder()
    return place.exists() and bool(os.statvfs(place).f_flag & getattr(os, "ST_NOATIME", 0))


def _folder(name: str) -> Path:
    return cache_folder() / name


def _inner(name: str) -> list[Path]:
    """What is in a folder of the cache, without links, and nothing of a folder that is one."""
    place = _folder(name)
    if not things.inside(place, cache_folder()):
        return []
    return [path for path in sorted(place.iterdir()) if not path.is_symlink()]


# ---------------------------------------------------------------- entries


def _old(entries: Iterator[_Entry], oldest: float) -> Iterator[Thing]:
    for entry in entries:
        if 0 < entry.last_use < oldest:
            yield Thing(sum(map(things.size, entry.paths)), partial(_remove, entry, oldest))


def _collections() -> Iterator[_Entry]:
    for folder in _inner("features"):
        if folder.is_dir() and COLLECTION.fullmatch(folder.name):
            paths = sorted(path for path in folder.iterdir() if path.suffix in (".shard", ".whole", ".tmp"))
            yield _Entry(tuple(path for path in paths if not path.is_symlink()), folder / "lock")


def _corpora() -> Iterator[_Entry]:
    for folder in _inner("corpora"):
        if not folder.name.startswith(".") and (folder / INDEX).is_file():
            yield _Entry((folder,), folder.with_name(f".{folder.name}.lock"))


def _small() -> Iterator[_Entry]:
    for path in _inner("index"):
        if path.suffix == ".index":
            yield _Entry((path,), path.with_suffix(".lock"))
    for path in _inner("floors"):
        if path.suffix == ".json":
            yield _Entry((path,), None)


def _remove(entry: _Entry, oldest: float) -> bool:
    if entry.lock is None:
        _unlink(entry.paths)
        return True
    with system.locked(entry.lock, wait=False) as mine:
        if not mine or entry.last_use >= oldest:
            return False
        _unlink(entry.paths)
    return True


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(things.set_aside(path))
        else:
            path.unlink(missing_ok=True)


# ---------------------------------------------------------------- what kills left


def _cut_off() -> Iterator[Thing]:
    """Corpora whose generation or removal was cut off."""
    place = _folder("corpora")
    if not things.inside(place, cache_folder()):
        return
    yield from things.left_aside(place)
    for path in sorted(place.glob(f".*{MAKING}")):
        lock = path.with_name(f"{path.name.removesuffix(MAKING)}.lock")
        if path.is_dir() and not path.is_symlink() and not _held(lock):
            yield Thing(things.size(path), partial(_remove_cut_off, path, lock))


def _remove_cut_off(path: Path, lock: Path) -> bool:
    with system.locked(lock, wait=False) as mine:
        if mine:
            shutil.rmtree(path)
    return mine


def _held(lock: Path) -> bool:
    """Whether a process holds a lock; looking does not count as a use of it."""
    if not lock.exists():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _locks(oldest: float) -> Iterator[Thing]:
    """Locks whose entry is gone, and that nobody has taken since ``oldest``."""
    gone = []
    for path in [*_inner("corpora"), *_inner("index")]:
        name = path.name.removesuffix(".lock")
        entry = name.removeprefix(".") if path.parent.name == "corpora" else f"{name}.index"
        if path.suffix == ".lock" and not path.with_name(entry).exists():
            gone.append(path)
    for folder in _inner("features"):
        if folder.is_dir() and COLLECTION.fullmatch(folder.name):
            gone += [path for path in folder.iterdir() if list(folder.iterdir()) == [folder / "lock"]]
    for lock in gone:
        if things.last_use(lock) < oldest and not _held(lock):
            yield Thing(0, partial(_remove_lock, lock, oldest))


def _remove_lock(lock: Path, oldest: float) -> bool:
    if not lock.exists() or things.last_use(lock) >= oldest:
        return False
    with system.locked(lock, wait=False) as mine:
        if mine:
            lock.unlink()
            if COLLECTION.fullmatch(lock.parent.name):
                lock.parent.rmdir()
    return mine
