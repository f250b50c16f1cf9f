"""Entries of the cache: unused ones go, used ones stay, and nothing outside is touched."""

import fcntl
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from audiomtl.data.shards import Shards
from audiomtl.harness.clean import cache
from audiomtl.harness.clean.things import Found
from tests.harness.clean.conftest import listing, written

DAY = 86400.0
KEY = "0123456789abcdef01234567"
FEATURES, CORPUS = f"features/{KEY}", "corpora/songs-0123"
# what there is -> a file of it, the rule that finds it, and what is left of it
KINDS = {
    "features": (f"{FEATURES}/a.shard", "features", {FEATURES, f"{FEATURES}/lock"}),
    "torn features": (f"{FEATURES}/.a.shard.1-2.tmp", "features", {FEATURES, f"{FEATURES}/lock"}),
    "corpus": (f"{CORPUS}/index.jsonl", "corpora", {"corpora/.songs-0123.lock"}),
    "index": ("index/esc50-0123-odd.index", "indexes", {"index/esc50-0123-odd.lock"}),
    "floors": ("floors/0123.json", "indexes", set[str]()),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "cache"
    place.mkdir()
    monkeypatch.setenv("AUDIOMTL_CACHE", str(place))
    return place


def age(path: Path, days: float, *, read: float | None = None) -> None:
    """Let a file be written so many days ago, and read then or ``read`` days ago."""
    now = time.time()
    os.utime(path, (now - DAY * (days if read is None else read), now - DAY * days))


def found(days: int | None = None, *, training: bool = False) -> dict[str, int]:
    """Number of things by rule."""
    return counts(cache.found(days, training=training))


def counts(found: Found) -> dict[str, int]:
    return {rule.what.split(" ")[0]: len(rule.things) for rule in found.rules if rule.things}


def remove(days: int | None = None) -> list[bool]:
    return [thing.remove() for rule in cache.found(days, training=False).rules for thing in rule.things]


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_nothing_has_read_for_30_days_goes(kind: str, folder: Path) -> None:
    name, rule, left = KINDS[kind]
    path = written(folder, name)
    age(path, 31)
    before = listing(folder)
    plan = cache.found(None, training=False)
    assert counts(plan) == {rule: 1} and sum(each.size for each in plan.rules) == 1000
    assert listing(folder) == before, "looking changes nothing"
    assert remove() == [True]
    top = {name.split("/")[0]}
    assert set(listing(folder)) == top | left
    assert found() == {} and remove() == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("written_days", "read_days", "days", "training", "goes"),
    [
        (31, 31, None, False, True),
        (90, 29, None, False, False),  # read since
        (29, 90, None, False, False),  # as after a copy that keeps the time of reading
        (8, 8, 7, False, True),
        (8, 8, 9, False, False),
        (1, 1, 0, False, True),
        (1, 1, 0, True, False),  # a running training may have read it: the disk notes that a day late
        (3, 3, 0, True, True),
    ],
)
def test_the_last_use_decides(
    kind: str, written_days: int, read_days: int, days: int | None, training: bool, goes: bool, folder: Path
) -> None:
    age(written(folder, KINDS[kind][0]), written_days, read=read_days)
    assert bool(found(days, training=training)) == goes


def test_reading_features_keeps_them(folder: Path) -> None:
    """With the code that reads them: every use is one that the disk records."""

    def collection() -> Shards:
        return Shards(folder / "features", "settings", 2)

    arrays = {f"{number:064x}": np.full((3, 2), number, np.float32) for number in range(2)}
    with collection().writing():
        collection().add(arrays.items())
    for path in (folder / "features").glob("*/*"):
        age(path, 40)
    assert found() == {"features": 1}
    assert collection().find(arrays).keys() == arrays.keys()
    if cache._unrecorded():
        pytest.skip("this disk does not record when files are read")
    assert found() == {}


def test_features_that_were_removed_are_computed_again(folder: Path) -> None:
    """Also by a process that has waited for the lock while they were removed."""
    shards, key = Shards(folder / "features", "settings", 2), "0" * 64
    array = np.ones((3, 2), np.float32)
    with shards.writing():
        shards.add([(key, array)])
    [path] = (folder / "features").glob("*/*.shard")
    age(path, 40)
    with (path.parent / "lock").open() as waiting:  # open, but not held
        assert remove() == [True]
        fcntl.flock(waiting, fcntl.LOCK_EX)
        again = Shards(folder / "features", "settings", 2)
        assert again.find([key]) == {}
        again.add([(key, array)])
    assert np.array_equal(Shards(folder / "features", "settings", 2).find([key])[key], array)


def test_a_corpus_that_was_half_removed_is_no_corpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill in the middle of the removal leaves a hidden folder, and the next time that goes."""
    age(written(folder, f"{CORPUS}/index.jsonl"), 40)
    age(written(folder, f"{CORPUS}/a.wav"), 40)

    def die(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cache.shutil, "rmtree", die)
        remove()
    assert not (folder / CORPUS).exists()
    assert found() == {"unfinished": 1} and remove() == [True] and found() == {}


def test_what_is_no_entry_stays(folder: Path, tmp_path: Path) -> None:
    """Other files, and everything behind a symbolic link."""
    names = ("features/mine/a.shard", "corpora/recordings/a.wav", "notes.txt", "index/readme", "floors/a.txt")
    outside = [
        written(tmp_path / "outside", name) for name in ("corpus/index.jsonl", f"{KEY}/a.shard", "x.json")
    ]
    for path in [*(written(folder, name) for name in names), *outside]:
        age(path, 90)
    (folder / "corpora" / "linked").symlink_to(outside[0].parent)
    (folder / "features" / KEY).symlink_to(outside[1].parent)
    (folder / "floors" / "linked.json").symlink_to(outside[2])
    assert found() == {}
    (folder / "floors" / "a.txt").unlink()
    (folder / "floors" / "linked.json").unlink()
    (folder / "floors").rmdir()
    (folder / "floors").symlink_to(outside[2].parent)
    assert found() == {}


def test_an_entry_that_is_being_written_stays(folder: Path) -> None:
    age(written(folder, f"{FEATURES}/a.shard"), 40)
    with written(folder, f"{FEATURES}/lock", 0).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove() == [False]
    assert remove() == [True]


def test_an_entry_that_is_read_before_it_is_removed_stays(folder: Path) -> None:
    path = written(folder, f"{FEATURES}/a.shard")
    age(path, 40)
    [thing] = [thing for rule in cache.found(None, training=False).rules for thing in rule.things]
    age(path, 40, read=0)
    assert not thing.remove() and path.exists()


@pytest.mark.parametrize("held", [True, False])
def test_a_corpus_whose_generation_was_cut_off_goes(held: bool, folder: Path) -> None:
    written(folder, "corpora/.songs-0123.making/a.wav")
    with written(folder, "corpora/.songs-0123.lock", 0).open("w") as lock:
        if held:
            fcntl.flock(lock, fcntl.LOCK_EX)
        assert found() == ({} if held else {"unfinished": 1})
    assert remove() == [True] and list(listing(folder)) == ["corpora", "corpora/.songs-0123.lock"]


@pytest.mark.parametrize("name", ["corpora/.songs-0123.lock", "index/esc50.lock", f"{FEATURES}/lock"])
@pytest.mark.parametrize("case", ["old", "fresh", "held", "of an entry", "training"])
def test_locks_of_removed_entries_go_a_day_later(name: str, case: str, folder: Path) -> None:
    """Until then somebody may wait for them."""
    path = written(folder, name, 0)
    entry = {"corpora": "songs-0123/index.jsonl", "index": "esc50.index"}.get(name.split("/")[0], "a.shard")
    if case == "of an entry":
        written(path.parent, entry)
    age(path, 0.5 if case == "fresh" else 2)
    with path.open() as lock:
        if case == "held":
            fcntl.flock(lock, fcntl.LOCK_EX)
        assert found(training=case == "training") == ({"unfinished": 1} if case == "old" else {})
    if case == "old":
        assert remove() == [True] and not path.exists() and found() == {}


def test_a_disk_that_does_not_record_reading_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    age(written(folder, "floors/0123.json"), 40)
    monkeypatch.setattr(cache.os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOATIME))
    for days, training, count in ((None, False, 0), (30, False, 1), (30, True, 0)):
        plan = cache.found(days, training=training)
        assert sum(len(rule.things) for rule in plan.rules) == count
        assert [note for note in plan.notes if "noatime" in note] == plan.notes and len(
            plan.notes
        ) == 1 - count


def test_a_cache_that_is_not_there_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOMTL_CACHE", str(tmp_path / "none"))
    assert found() == {} and not (tmp_path / "none").exists()
