"""What a training costs before its first step, and per batch, as the corpus grows: packed and indexed, beside
a file per clip that is hashed each time. Prints Markdown tables.

    python benchmarks/corpus_scale.py [--clips 1000 10000 100000] [--batches 300]

The clips are WAV files of 0.1 s under a table (`dataset = "manifest"`), made in a temporary folder. Every way
and part runs in a process of its own, on a warm cache, after its imports and the key of the code:

- worker: the clip table, and its fingerprint, as the process that runs a study reads them
- child: the clip table, the split, and the features opened, as a training does
- signature: what tells before each trial whether data changed
- batches: 32 clips of an epoch's order, padded

The rival is the layout until 0.1.0: every file hashed and decoded, a JSON line per row, and per clip one
feature file that is hashed whole and mapped. Where the system refuses its maps or open files, that is said.
"""

import argparse
import hashlib
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from audiomtl import definitions
from audiomtl.data import audio, catalog, protocols
from audiomtl.data.datasets import manifest
from audiomtl.data.pipeline import batch_order, pad
from audiomtl.data.store import COMPUTED_BY, FeatureStore
from audiomtl.settings.protocol import Protocol
from audiomtl.settings.shared import Features

SECONDS, RATE = 0.1, 8000
BATCH = 32  # clips
DATA = manifest.Settings(
    dataset="manifest", table="clips.csv", label="genre", groups=["artist"], on_bad="error"
)
PROTOCOL = Protocol(
    kind="split",
    column="",
    test_share=0.2,
    validation_share=0.2,
    stratified=True,
    folds=5,
    test_values=[],
    validation_values=[],
    rotations=1,
    leaky=False,
)
FEATURES = Features(
    kind="log_mel",
    sample_rate=RATE,
    window_seconds=0.025,
    hop_seconds=0.005,
    n_fft=256,
    bands=32,
    coefficients=13,
    low_hz=0.0,
    high_hz=4000.0,
    floor_db=-100.0,
    scaling="none",
)


def make(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    samples = int(SECONDS * RATE)
    for first in range(0, count, 1000):
        (folder / f"{first:07}").mkdir()
    names = [f"{number // 1000 * 1000:07}/{number:07}.wav" for number in range(count)]
    audio.save(folder / names[0], np.zeros(samples), sample_rate=RATE)
    header = (folder / names[0]).read_bytes()[:44]
    for name in names:
        (folder / name).write_bytes(header + random.integers(-16000, 16000, samples, np.int16).tobytes())
    genres = np.array(["jazz", "pop", "rock"])[random.integers(0, 3, count)]
    artists = [f"artist {number // 3}" for number in range(count)]
    pd.DataFrame({"path": names, "genre": genres, "artist": artists}).to_csv(
        folder / "clips.csv", index=False
    )


# ---------------------------------------------------------------- a file per clip


def old_table() -> tuple[pd.DataFrame, list[str]]:
    """The table, every file hashed and decoded."""
    table = pd.read_csv("clips.csv")
    table["path"] = [str(Path.cwd() / path) for path in table["path"]]
    table["clip_id"] = [str(Path(path).with_suffix("")) for path in table["path"]]
    digests = []
    for path in table["path"]:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        manifest._seconds(path, "path")
    return table.sort_values("clip_id"), digests


def old_worker() -> None:
    table, digests = old_table()
    total = hashlib.sha256()
    for (_, row), digest in zip(table.iterrows(), digests, strict=True):
        os.path.isfile(row["path"])
        total.update(json.dumps([digest, *(row[name] for name in ("artist", "clip_id", "genre"))]).encode())


def old_child(packed: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
    """The features; written first if given."""
    table, digests = old_table()
    protocols.divide(table, DATA, PROTOCOL, 0)
    folder = Path("old")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder.mkdir(exist_ok=True)
    for digest, frames in zip(digests, packed or [], strict=packed is not None):
        content = frames.tobytes()
        (folder / digest).write_bytes(hashlib.sha256(content).digest() + bytes(32) + content)
    opened = []
    for digest in digests if packed is None else []:
        with open(folder / digest, "rb") as file:
            head, content = file.read(64), hashlib.sha256(file.read())
            assert content.digest() == head[:32]
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        opened.append(np.frombuffer(mapped, "<f4", offset=64).reshape(-1, FEATURES.n_bands))
    return opened


# ---------------------------------------------------------------- packed and indexed


def new_worker() -> None:
    catalog.fingerprint(catalog.clips(DATA))


def new_child() -> list[np.ndarray]:
    table = catalog.clips(DATA)
    protocols.divide(table, DATA, PROTOCOL, 0)
    return FeatureStore(catalog.cache_folder() / "features").features(list(table["path"]), FEATURES)


def new_signature() -> float:
    table = catalog.clips(DATA)
    began = time.perf_counter()
    catalog.signature(table)
    return time.perf_counter() - began


# ---------------------------------------------------------------- measuring


def measure(part: str, batches: int) -> dict[str, float]:
    """What one process measures of itself."""
    definitions.key(COMPUTED_BY)
    process = psutil.Process()
    memory, files = process.memory_info().rss, process.num_fds()
    began = time.perf_counter()
    if part == "new signature":
        return {"seconds": new_signature()}
    if part == "old write":
        old_child(new_child())
        return {}
    frames = {
        "old worker": old_worker,
        "new worker": new_worker,
        "old child": old_child,
        "new child": new_child,
    }[part]()
    found = {"seconds": time.perf_counter() - began, "files": process.num_fds() - files}
    found["memory"] = (process.memory_info().rss - memory) / 1e6
    if frames:
        order = batch_order([len(one) for one in frames], BATCH, seed=0, epoch=0)
        order = (order * (1 + batches // len(order)))[:batches]
        began, total = time.perf_counter(), 0.0
        for indices in order:
            total += float(pad([frames[index] for index in indices])[0][0, 0, 0])
        found["batches"] = len(order) / (time.perf_counter() - began)
    return found


def run(part: str, folder: Path, batches: int) -> dict[str, float] | str:
    """What a process of its own measures, or why it failed."""
    command = [sys.executable, str(Path(__file__).resolve()), "--part", part, "--batches", str(batches)]
    environment = {**os.environ, "AUDIOMTL_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def measured(count: int, batches: int) -> dict[str, dict[str, float] | str]:
    """Make a corpus and measure every part on it; its rows are printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, count)
        time.sleep(2.5)  # what was written this recently is hashed again
        for part in ("new worker", "new child"):  # the first start of all
            run(part, folder, batches)
        run("old write", folder, batches)
        time.sleep(2.5)
        found: dict[str, dict[str, float] | str] = {}
        for part in ("new worker", "old worker", "new child", "new child", "old child", "new signature"):
            found[part] = run(part, folder, batches)
        for part in ("worker", "child", "signature"):
            print(line(count, part, found), flush=True)  # before the folder is removed, which takes its time
        return found


def line(count: int, part: str, found: dict[str, dict[str, float] | str]) -> str:
    """A row of the table."""
    new, old = found[f"new {part}"], found.get(f"old {part}", "")
    assert isinstance(new, dict), new
    cells = [f"{new['seconds']:.2f}", f"failed: {old}" if old else "", "", "", "", ""]
    if isinstance(old, dict):
        cells[1:3] = [f"{old['seconds']:.2f}", f"{old['seconds'] / new['seconds']:.1f}"]
    for number, key in enumerate(("memory", "files", "batches"), 3):
        if key in new:
            cells[number] = f"{new[key]:.0f}" + (f" ({old[key]:.0f})" if isinstance(old, dict) else "")
    return f"| {count} | {part} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 1000, 10_000, 100_000])
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--part", help="measure one part in the current directory (used by the benchmark)")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(measure(options.part, options.batches)))
        return
    print("in brackets: a file per clip\n")
    print("| clips | part | seconds | a file per clip | ratio | more memory, MB | open files | batches/s |")
    print("|---|---|---|---|---|---|---|---|")
    seconds = {}
    for count in options.clips:
        found = measured(count, options.batches)
        parts = (found["new worker"], found["new child"])
        seconds[count] = sum(part["seconds"] for part in parts if isinstance(part, dict))
    first, last = min(seconds), max(seconds)
    later = seconds[last] - seconds[first]
    print(f"\n{last} clips start {later:.2f} s later than {first} (worker and child together)")


if __name__ == "__main__":
    main()
