"""`audiomtl.data.store`: computed once, read as maps, never a damaged entry, safe for several processes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from audiomtl import definitions
from audiomtl.data import audio, features, shards
from audiomtl.data.store import FeatureStore
from audiomtl.errors import UserError
from audiomtl.settings.shared import Features

SETTINGS = Features(
    kind="log_mel",
    sample_rate=16000,
    window_seconds=0.025,
    hop_seconds=0.010,
    n_fft=512,
    bands=20,
    coefficients=13,
    low_hz=0.0,
    high_hz=8000.0,
    floor_db=-100.0,
    scaling="none",
)


def _sounds(folder: Path, count: int, seconds: float = 0.3) -> list[str]:
    random = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    paths = [str(folder / f"{i:03}.wav") for i in range(count)]
    for i, path in enumerate(paths):
        audio.save(path, random.uniform(-0.5, 0.5, int(16000 * seconds) + 200 * (i % 5)), sample_rate=16000)
    return paths


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return _sounds(tmp_path / "sounds", 6)


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "store").glob("*/*.shard"))


def test_features_come_in_the_order_of_the_paths_and_are_computed_once(
    tmp_path: Path, paths: list[str]
) -> None:
    kept = FeatureStore(tmp_path / "store")
    for _ in range(2):
        for path, frames in zip(paths, kept.features(paths, SETTINGS), strict=True):
            assert np.array_equal(frames, features.extract(audio.load(path, sample_rate=16000), SETTINGS))
            assert frames.dtype == np.float32
    assert kept.extracted == 6 and kept.rebuilt == 0
    again = FeatureStore(tmp_path / "store")
    turned = again.features(paths[::-1], SETTINGS, workers=1)
    assert again.extracted == 0 and len(_shards(tmp_path)) == 1
    assert np.array_equal(turned[0], kept.features(paths[-1:], SETTINGS)[0])


def test_the_sound_is_what_counts_not_its_name(tmp_path: Path, paths: list[str]) -> None:
    kept = FeatureStore(tmp_path / "store")
    copy = shutil.copy(paths[0], tmp_path / "copy.wav")
    three = kept.features([paths[0], str(copy), paths[0]], SETTINGS, workers=2)
    assert kept.extracted == 1 and len(three) == 3 and np.array_equal(three[0], three[1])
    audio.save(paths[0], np.zeros(2000), sample_rate=16000)
    assert kept.features(paths[:1], SETTINGS)[0].max() < -99.9 and kept.extracted == 2


@pytest.mark.parametrize(
    ("changes", "extracted"),
    [
        ({"scaling": "minmax"}, 0),
        ({"floor_db": -90.0}, 1),
        ({"hop_seconds": 0.02}, 1),
        ({"sample_rate": 16001}, 1),
        ({"kind": "log_stft"}, 1),
    ],
)
def test_other_settings_are_other_entries_but_for_scaling(
    tmp_path: Path, paths: list[str], changes: dict, extracted: int
) -> None:
    FeatureStore(tmp_path / "store").features(paths[:1], SETTINGS)
    kept = FeatureStore(tmp_path / "store")
    changed = Features(**{**SETTINGS.model_dump(), **changes})
    assert kept.features(paths[:1], changed)[0].shape[1] == changed.n_bands and kept.extracted == extracted


def test_features_of_other_code_are_another_entry(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = FeatureStore(tmp_path / "store")
    kept.features(paths[:1], SETTINGS)
    monkeypatch.setattr(definitions, "key", lambda roots: f"other code of {', '.join(roots)}")
    kept.features(paths[:1], SETTINGS)
    assert kept.extracted == 2


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def _index(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[24:32], "little")


# damage -> (what is done to the shard of six clips, how many of them are lost)
DAMAGES = {
    "magic": (lambda path: _flip(path, 0), 6),
    "columns": (lambda path: _flip(path, 8), 6),
    "count": (lambda path: _flip(path, 16), 6),
    "start of the index": (lambda path: _flip(path, 24), 6),
    "digest of the index": (lambda path: _flip(path, 40), 6),
    "first value": (lambda path: _flip(path, 64), 1),
    "a value of the last clip": (lambda path: _flip(path, _index(path) - 1), 1),
    "key": (lambda path: _flip(path, _index(path)), 6),
    "rows": (lambda path: _flip(path, _index(path) + 40), 6),
    "last byte": (lambda path: _flip(path, -1), 6),
    "empty": (lambda path: path.write_bytes(b""), 6),
    "half a header": (lambda path: path.write_bytes(path.read_bytes()[:32]), 6),
    "header only": (lambda path: path.write_bytes(path.read_bytes()[:64]), 6),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-4]), 6),
    "too long": (lambda path: path.write_bytes(path.read_bytes() + bytes(4)), 6),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_made_again(tmp_path: Path, paths: list[str], damage: str) -> None:
    expected = [np.array(frames) for frames in FeatureStore(tmp_path / "store").features(paths, SETTINGS)]
    make, lost = DAMAGES[damage]
    make(_shards(tmp_path)[0])
    kept = FeatureStore(tmp_path / "store")
    assert all(np.array_equal(a, b) for a, b in zip(kept.features(paths, SETTINGS), expected, strict=True))
    assert (kept.extracted, kept.rebuilt) == (lost, lost)
    whole = FeatureStore(tmp_path / "store")
    assert all(np.array_equal(a, b) for a, b in zip(whole.features(paths, SETTINGS), expected, strict=True))
    assert (whole.extracted, whole.rebuilt) == (0, 0)


def test_a_shard_of_another_collection_is_not_read(tmp_path: Path, paths: list[str]) -> None:
    other = SETTINGS.model_copy(update={"floor_db": -90.0})
    audio.save(paths[0], np.zeros(4800), sample_rate=16000)
    FeatureStore(tmp_path / "store").features(paths[:1], SETTINGS)
    (first,) = _shards(tmp_path)
    FeatureStore(tmp_path / "store").features(paths[:1], other)
    second = next(path for path in _shards(tmp_path) if path != first)
    shutil.copy(first, second)
    kept = FeatureStore(tmp_path / "store")
    assert abs(kept.features(paths[:1], other)[0].max() + 90) < 0.1 and kept.rebuilt == 1


def test_features_are_read_only_maps(tmp_path: Path, paths: list[str]) -> None:
    frames = FeatureStore(tmp_path / "store").features(paths[:1], SETTINGS)[0]
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0] = 0.0
    with pytest.raises(ValueError, match="WRITEABLE"):
        frames.flags.writeable = True
    base = frames.base
    while isinstance(base, np.ndarray | memoryview):
        base = base.obj if isinstance(base, memoryview) else base.base
    assert isinstance(base, pa.Buffer) and ".shard" in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc lists the open files")
def test_no_file_stays_open(tmp_path: Path, paths: list[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    kept = FeatureStore(tmp_path / "store")
    held = [kept.features([path], SETTINGS)[0] for path in paths]
    assert len(_shards(tmp_path)) == len(held) and len(os.listdir("/proc/self/fd")) == before


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "WRITTEN_AT_ONCE", 2**15)
    paths = _sounds(tmp_path / "sounds", 24, seconds=4.0)
    kept = FeatureStore(tmp_path / "store")
    kept.features(paths[:1], SETTINGS, workers=1)  # caches (window, mel matrix)
    peaks = []
    for some in (paths[1:4], paths[4:]):
        tracemalloc.start()
        held = kept.features(some, SETTINGS, workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(held) == len(some)
    assert peaks[1] < 1.2 * peaks[0]  # 20 clips against 3; a clip's features are 32 kB, its samples 256 kB


def test_a_crash_while_writing_leaves_no_entry(
    tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UserError, match=r"store: features cannot be written \(No space left on device\)"):
            FeatureStore(tmp_path / "store").features(paths, SETTINGS)
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.parametrize("what", ["missing", "text"])
def test_a_bad_file_is_named(tmp_path: Path, paths: list[str], what: str) -> None:
    bad = tmp_path / "bad.wav"
    if what == "text":
        bad.write_text("no sound")
    with pytest.raises(UserError, match=r"bad\.wav: .*(No such file|cannot be read as sound)") as error:
        FeatureStore(tmp_path / "store").features([*paths, str(bad)], SETTINGS)
    assert "\n" not in str(error.value)


CHILD = """
import hashlib, json, pathlib, resource, sys, time
from audiomtl.data.store import FeatureStore
from audiomtl.settings.shared import Features
folder, settings, paths, limit = json.loads(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
settings = Features(**settings)
pathlib.Path(folder, f"ready-{sys.argv[2]}").touch()
while not pathlib.Path(folder, "go").exists():
    time.sleep(0.001)
kept = FeatureStore(pathlib.Path(folder, "store"))
digest = hashlib.sha256()
for frames in kept.features(paths, settings):
    digest.update(frames.tobytes())
print(json.dumps([digest.hexdigest(), kept.extracted, kept.rebuilt]))
"""


def _child(folder: Path, paths: list[str], name: str, *, limit: int = 0) -> subprocess.Popen:
    task = json.dumps([str(folder), SETTINGS.model_dump(), paths, limit])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, task, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_at_once_on_one_store(tmp_path: Path) -> None:
    paths = _sounds(tmp_path / "sounds", 20)
    children = [_child(tmp_path, paths, str(i)) for i in range(2)]
    while not all((tmp_path / f"ready-{i}").exists() for i in range(2)):
        assert all(child.poll() is None for child in children), children[0].communicate()
        time.sleep(0.01)
    (tmp_path / "go").touch()
    outputs = [child.communicate(timeout=1800) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    results = [json.loads(out) for out, _ in outputs]
    kept = FeatureStore(tmp_path / "store")
    expected = hashlib.sha256(
        b"".join(frames.tobytes() for frames in kept.features(paths, SETTINGS))
    ).hexdigest()
    assert [result[0] for result in results] == [expected, expected]
    assert kept.extracted == 0 and not list((tmp_path / "store").rglob("*.tmp"))
    assert sum(result[1] for result in results) == 20  # the second waits for the first


def test_more_clips_than_open_files(tmp_path: Path) -> None:
    paths = _sounds(tmp_path / "sounds", 80, seconds=0.02)
    (tmp_path / "go").touch()
    child = _child(tmp_path, paths, "0", limit=50)
    out, err = child.communicate(timeout=1800)
    assert child.returncode == 0 and json.loads(out)[1] == 80, err
