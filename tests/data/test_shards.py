"""`audiomtl.data.shards`: what grows is added, what is whole is not read again, what is damaged is replaced."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audiomtl.data import shards
from audiomtl.data.shards import Shards
from audiomtl.errors import UserError

COLUMNS = 4


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def array(number: int) -> np.ndarray:  # (rows, COLUMNS)
    return np.random.default_rng(number).standard_normal((1 + number % 5, COLUMNS)).astype(np.float32)


def fill(store: Shards, numbers: range) -> None:
    with store.writing():
        store.add((key(number), array(number)) for number in numbers)


def whole(store: Shards, numbers: range) -> bool:
    found = store.find(key(number) for number in numbers)
    return all(np.array_equal(found[key(number)], array(number)) for number in numbers)


def files_of(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("*/*.shard")}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours ahead, so that no file is too fresh to be relied upon."""
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() + 7200 * 10**9)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards whose arrays are checked, as they are."""
    found: list[str] = []
    original = Shards._damaged

    def damaged(self: Shards, shard: shards._Shard) -> set[int]:
        found.append(shard.path.name)
        return original(self, shard)

    monkeypatch.setattr(Shards, "_damaged", damaged)
    return found


def test_arrays_come_back_and_others_do_not(tmp_path: Path) -> None:
    fill(Shards(tmp_path, ["a"], COLUMNS), range(50))
    store = Shards(tmp_path, ["a"], COLUMNS)
    assert whole(store, range(50)) and set(store.find([key(3), key(99)])) == {key(3)}
    assert whole(store, range(10, 50))  # from shards that are open
    assert not Shards(tmp_path, ["b"], COLUMNS).find([key(3)])


def test_a_corpus_that_grows_rewrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 2**12)
    fill(Shards(tmp_path, "a", COLUMNS), range(300))
    before = files_of(tmp_path)
    assert len(before) > 2  # a shard is closed when it is full
    fill(Shards(tmp_path, "a", COLUMNS), range(300, 303))
    after = files_of(tmp_path)
    assert after.items() >= before.items() and len(after) == len(before) + 1
    assert whole(Shards(tmp_path, "a", COLUMNS), range(303))


def test_many_small_shards_are_packed_into_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SMALL_SHARDS", 5)
    reader = Shards(tmp_path, "a", COLUMNS)
    counts = []
    for number in range(14):
        fill(Shards(tmp_path, "a", COLUMNS), range(number, number + 1))
        counts.append(len(files_of(tmp_path)))
        if number == 3:
            held = reader.find([key(2)])[key(2)]
    assert counts == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4]
    assert whole(Shards(tmp_path, "a", COLUMNS), range(14)) and whole(reader, range(14))
    assert np.array_equal(held, array(2))  # its file is gone, its pages are not


def test_a_shard_that_vanishes_while_it_is_opened_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        fill(Shards(tmp_path, "a", COLUMNS), range(number, number + 1))
    original, calls = Shards._map, []

    def packed_meanwhile(self: Shards, path: Path) -> shards._Shard | None:
        calls.append(path)
        if len(calls) == 2:
            monkeypatch.setattr(shards, "SMALL_SHARDS", 1)
            fill(Shards(tmp_path, "a", COLUMNS), range(4, 5))
        return original(self, path)

    monkeypatch.setattr(Shards, "_map", packed_meanwhile)
    assert whole(Shards(tmp_path, "a", COLUMNS), range(5)) and len(files_of(tmp_path)) == 1


def test_what_was_found_whole_is_not_read_again(
    tmp_path: Path, clock: None, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "CHECKED_AGAIN", 0)
    fill(Shards(tmp_path, "a", COLUMNS), range(9))
    assert whole(Shards(tmp_path, "a", COLUMNS), range(9)) and len(checked) == 1
    assert whole(Shards(tmp_path, "a", COLUMNS), range(9)) and len(checked) == 1
    (path,) = tmp_path.glob("*/*.shard")
    state = path.stat()
    content = bytearray(path.read_bytes())
    content[64] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert not whole_keys(Shards(tmp_path, "a", COLUMNS), 0) and len(checked) == 2


def whole_keys(store: Shards, number: int) -> bool:
    return key(number) in store.find(key(other) for other in range(9))


def test_some_of_it_is_checked_at_each_start(
    tmp_path: Path, clock: None, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        fill(Shards(tmp_path, "a", COLUMNS), range(number, number + 1))
    assert whole(Shards(tmp_path, "a", COLUMNS), range(8)) and len(checked) == 8
    monkeypatch.setattr(shards, "CHECKED_AGAIN", 350)  # bytes: of shards that have 80 to 144
    seen = set()
    for _ in range(50):
        checked.clear()
        assert whole(Shards(tmp_path, "a", COLUMNS), range(8)) and 1 < len(checked) < 5
        seen |= set(checked)
    assert len(seen) == 8


def test_full_shards_are_checked_again_too(
    tmp_path: Path, clock: None, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "CHECKED_AGAIN", 2**12 * shards.CHECKED_AGAIN // shards.SHARD_BYTES)
    monkeypatch.setattr(shards, "SHARD_BYTES", 2**12)
    fill(Shards(tmp_path, "a", COLUMNS), range(300))
    assert whole(Shards(tmp_path, "a", COLUMNS), range(300))
    seen = set()
    for _ in range(100):
        checked.clear()
        assert whole(Shards(tmp_path, "a", COLUMNS), range(300)) and checked
        seen |= set(checked)
    assert seen == set(files_of(tmp_path)) and len(seen) > 2


def test_a_fresh_shard_is_checked_until_its_times_can_be_relied_upon(
    tmp_path: Path, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "CHECKED_AGAIN", 0)
    fill(Shards(tmp_path, "a", COLUMNS), range(9))
    (path,) = tmp_path.glob("*/*.shard")
    now = max(path.stat().st_mtime_ns, path.stat().st_ctime_ns)
    for later, count in ((0, 1), (2 * 10**9, 2), (2 * 10**9 + 1, 3), (3 * 10**9, 3)):
        monkeypatch.setattr(time, "time_ns", lambda later=later: now + later)
        assert whole(Shards(tmp_path, "a", COLUMNS), range(9)) and len(checked) == count


def test_a_damaged_array_leaves_the_store(tmp_path: Path) -> None:
    fill(Shards(tmp_path, "a", COLUMNS), range(9))
    (path,) = tmp_path.glob("*/*.shard")
    content = bytearray(path.read_bytes())
    content[64] ^= 1
    path.write_bytes(content)
    store = Shards(tmp_path, "a", COLUMNS)
    assert not store.find([key(0)]) and store.damaged == {key(0)} and whole(store, range(1, 9))
    fill(store, range(1))
    assert not path.exists() and whole(store, range(9))
    again = Shards(tmp_path, "a", COLUMNS)
    assert whole(again, range(9)) and not again.damaged


def test_packing_does_not_pass_damage_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(Shards(tmp_path, "a", COLUMNS), range(9))
    (path,) = tmp_path.glob("*/*.shard")
    content = bytearray(path.read_bytes())
    content[64] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(shards, "SMALL_SHARDS", 1)
    fill(Shards(tmp_path, "a", COLUMNS), range(9, 10))  # packs what it never opened
    store = Shards(tmp_path, "a", COLUMNS)
    assert len(files_of(tmp_path)) == 1 and whole(store, range(1, 10)) and not store.find([key(0)])


def test_what_came_before_a_failure_is_kept(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[str, np.ndarray]]:
        yield key(0), array(0)
        yield key(1), array(1)
        raise UserError("bad.wav: cannot be read")

    store = Shards(tmp_path, "a", COLUMNS)
    with pytest.raises(UserError, match=r"bad\.wav"), store.writing():
        store.add(failing())
    assert whole(Shards(tmp_path, "a", COLUMNS), range(2))


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    fill(Shards(tmp_path, "a", COLUMNS), range(2))
    (path,) = tmp_path.glob("*/*.shard")
    left = path.with_name(f".{path.name}.1-1.tmp")
    left.write_bytes(b"half a shard")
    fill(Shards(tmp_path, "a", COLUMNS), range(2, 3))
    assert not left.exists() and whole(Shards(tmp_path, "a", COLUMNS), range(3))


def test_without_locks_all_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(shards, "locked", refuse)
    fill(Shards(tmp_path, "a", COLUMNS), range(5))
    fill(Shards(tmp_path, "a", COLUMNS), range(3, 8))  # some of them twice
    assert whole(Shards(tmp_path, "a", COLUMNS), range(8))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="file: features cannot be written"):
        fill(Shards(tmp_path / "file", "a", COLUMNS), range(1))
