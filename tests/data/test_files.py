"""`audiomtl.data.files` and its index: a warm start reads nothing, and nothing that changed is overlooked."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiomtl.data import files, index
from audiomtl.errors import UserError

OLD_NS = 1_500_000_000 * 10**9  # in 2017


class Reads:
    """What a process read: digests and decodings by file name."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.decoded: list[str] = []

    def decode(self, path: str) -> float:
        self.decoded.append(Path(path).name)
        if "bad" in path:
            raise UserError(f"{path}: refused")
        return 2.5

    @property
    def decoder(self) -> files.Decoder:
        return files.Decoder("test 1", self.decode)


def forget() -> None:
    """Be a new process."""
    files._indexes.clear()
    files._read_here.clear()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Counts, in a process that knows nothing; its clock is two hours ahead, so no file is too fresh."""
    counted = Reads()
    original = hashlib.file_digest

    def file_digest(file: Any, name: str) -> Any:
        counted.hashed.append(Path(file.name).name)
        return original(file, name)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    monkeypatch.setattr(time, "time_ns", lambda now=time.time_ns: now() + 7200 * 10**9)
    forget()
    yield counted
    forget()


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    found = []
    for name in ("a", "b", "bad", "c"):
        (tmp_path / f"{name}.wav").write_bytes(name.encode() * 100)
        found.append(str(tmp_path / f"{name}.wav"))
    return found


def sha(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_second_process_opens_nothing(tmp_path: Path, paths: list[str], reads: Reads) -> None:
    place = tmp_path / "index" / "x.index"
    first = files.examine(paths, decoder=reads.decoder, place=place)
    assert first.digests == [sha(path) for path in paths]
    assert first.lengths[:2] == [2.5, 2.5] and first.faults == ["", "", f"{paths[2]}: refused", ""]
    assert sorted(reads.hashed) == sorted(reads.decoded) == ["a.wav", "b.wav", "bad.wav", "c.wav"]
    forget()
    reads.hashed.clear(), reads.decoded.clear()
    again = files.examine(paths, decoder=reads.decoder, place=place)
    assert again.digests == first.digests and again.faults == first.faults
    assert again.lengths[:2] == [2.5, 2.5] and again.exists.all()
    assert not reads.hashed and not reads.decoded
    forget()
    files.use(place)
    assert files.digests(paths[::-1]) == first.digests[::-1] and not reads.hashed


def _rewrite(path: Path) -> None:  # as large as before
    path.write_bytes(path.read_bytes()[::-1][:-1] + b"?")


def _rewrite_with_old_mtime(path: Path) -> None:
    state = path.stat()
    _rewrite(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _replace(path: Path) -> None:
    state, other = path.stat(), path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    _rewrite(other)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"1"),
    "as large": _rewrite,
    "as large, with its old mtime": _rewrite_with_old_mtime,
    "replaced by a file of its size and mtime": _replace,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("same_process", [True, False])
def test_only_what_changed_is_read_again(
    tmp_path: Path, paths: list[str], reads: Reads, change: str, same_process: bool
) -> None:
    place = tmp_path / "x.index"
    for path in paths:
        os.utime(path, ns=(OLD_NS, OLD_NS))
    files.examine(paths, decoder=reads.decoder, place=place)
    CHANGES[change](Path(paths[1]))
    if not same_process:
        forget()
    reads.hashed.clear(), reads.decoded.clear()
    found = files.examine(paths, decoder=reads.decoder, place=place)
    assert found.digests == [sha(path) for path in paths]
    assert reads.hashed == reads.decoded == ["b.wav"]
    forget()
    reads.hashed.clear()
    assert files.examine(paths, decoder=reads.decoder, place=place).digests == found.digests
    assert not reads.hashed  # it was remembered


def test_what_was_read_right_after_its_last_change_is_not_relied_upon(
    tmp_path: Path, paths: list[str], reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git's "racy" rule: a second change within one tick of the clock leaves size, times and inode alone."""
    original, place = files.states, tmp_path / "x.index"
    (state,) = original(paths[:1]).tolist()
    monkeypatch.setattr(  # whatever is done to the file, its state stays
        files, "states", lambda some: np.array([state]) if some == paths[:1] else original(some)
    )
    monkeypatch.setattr(files, "_state", lambda _: tuple(state))
    now = max(state[1:3])
    monkeypatch.setattr(time, "time_ns", lambda: now + index.RACY_NS)  # too close by one nanosecond
    before = files.digests(paths[:1], place=place)
    Path(paths[0]).write_bytes(b"?" * 100)
    for same_process in (True, False):
        if not same_process:
            forget()
        assert files.digests(paths[:1], place=place) == [sha(paths[0])] != before
    monkeypatch.setattr(time, "time_ns", lambda: now + index.RACY_NS + 1)
    files.digests(paths[:1], place=place)
    assert len(reads.hashed) == 4
    for same_process in (True, False):
        if not same_process:
            forget()
        assert files.digests(paths[:1], place=place) == [sha(paths[0])] and len(reads.hashed) == 4


def test_a_file_that_changes_while_it_is_read_is_read_again(
    paths: list[str], reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = hashlib.file_digest

    def file_digest(file: Any, name: str) -> Any:
        found = original(file, name)
        if len(reads.hashed) == 1:
            Path(paths[0]).write_bytes(b"?" * 50)
        return found

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    torn = files.digest(paths[0])
    assert files.digest(paths[0]) == sha(paths[0]) != torn


def test_another_decoder_decodes_again_but_does_not_hash(
    tmp_path: Path, paths: list[str], reads: Reads
) -> None:
    place = tmp_path / "x.index"
    files.examine(paths, decoder=reads.decoder, place=place)
    for name, decoded in (("test 2", 4), ("test 2", 0)):
        forget()
        reads.hashed.clear(), reads.decoded.clear()
        found = files.examine(paths, decoder=files.Decoder(name, reads.decode), place=place)
        assert len(reads.decoded) == decoded and not reads.hashed and found.lengths[0] == 2.5


def _header(content: bytes) -> bytes:
    return content[:7] + b"0" + content[8:]  # another version


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "foreign": lambda content: b"no index at all",
    "another version": _header,
    "a bit of the digest": lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
    "a bit of the table": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "too long": lambda content: content + b"0",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_index_that_does_not_hold_is_made_again(
    tmp_path: Path, paths: list[str], reads: Reads, damage: str
) -> None:
    place = tmp_path / "x.index"
    digests = files.digests(paths, place=place)
    whole = index.read(place)
    assert whole and len(whole.rows) == 4
    place.write_bytes(DAMAGES[damage](place.read_bytes()))
    assert index.read(place) is None
    forget()
    reads.hashed.clear()
    assert files.digests(paths, place=place) == digests and len(reads.hashed) == 4
    remade = index.read(place)
    assert remade and remade.rows.keys() == whole.rows.keys()


def test_a_table_that_grows_adds_to_its_index(tmp_path: Path, paths: list[str], reads: Reads) -> None:
    place = tmp_path / "x.index"
    files.digests(paths[:2], place=place)
    forget()
    Path(paths[0]).unlink()
    reads.hashed.clear()
    files.digests(paths[1:], place=place)
    known = index.read(place)
    assert known and set(known.rows) == set(paths[1:])  # without the file that is gone
    assert sorted(reads.hashed) == ["bad.wav", "c.wav"]


def test_without_a_place_to_write_all_works(tmp_path: Path, paths: list[str], reads: Reads) -> None:
    (tmp_path / "file").write_text("no folder")
    assert files.digests(paths, place=tmp_path / "file" / "x.index") == [sha(path) for path in paths]


@pytest.mark.parametrize("path", ["gone.wav", ".", "nul\0l"])
def test_what_is_no_file_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        files.digest(tmp_path / path)
    assert not files.examine([str(tmp_path / path)]).exists[0]


CHILD = """
import json, pathlib, sys, time
from audiomtl.data import files
paths, place, folder = json.loads(sys.argv[1])
pathlib.Path(folder, f"ready-{sys.argv[2]}").touch()
while not pathlib.Path(folder, "go").exists():
    time.sleep(0.001)
for first in range(0, len(paths), 5):
    files.digests(paths[first : first + 5], place=pathlib.Path(place))
"""


def test_processes_that_write_one_index_at_once_lose_nothing(tmp_path: Path, reads: Reads) -> None:
    paths = [str(tmp_path / f"{number}.wav") for number in range(80)]
    for path in paths:
        Path(path).write_bytes(path.encode())
    place = tmp_path / "x.index"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps([some, str(place), str(tmp_path)]), str(number)]
        )
        for number, some in enumerate((paths[:50], paths[30:]))
    ]
    while not all((tmp_path / f"ready-{number}").exists() for number in range(2)):
        assert all(child.poll() is None for child in children)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [child.wait() for child in children] == [0, 0]
    known = index.read(place)
    assert known and set(known.rows) == set(paths) and not list(tmp_path.glob(".*.tmp"))
    assert [known.digests[32 * known.rows[path] :][:32].hex() for path in paths] == [
        sha(path) for path in paths
    ]
