"""Log-mel and MFCC of sound files: this project's extraction beside the plain librosa loop. Prints a Markdown
table.

    python benchmarks/features.py [--files 60] [--repeats 7]

Every way starts from the files (16-bit WAV, 16 kHz, 3 to 10 s) and runs in turn, several times; medians of
wall time. BLAS is held to one thread for all. The librosa loop is its documentation's: `librosa.load`,
`melspectrogram` or `mfcc`, `power_to_db`.

- one thread: `audio.load` and `features.extract` in a loop, nothing stored: the computation alone
- store, cold: `FeatureStore.features` on an empty folder: all cores, files hashed, entries written and mapped
- store, warm: the same once more: files hashed, entries checked and mapped
"""

# ruff: noqa: E402 (BLAS reads its number of threads when numpy is imported)

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import librosa
import numpy as np

from audiomtl.data import audio, features
from audiomtl.data.store import FeatureStore
from audiomtl.settings.shared import Features


def settings_of(kind: Literal["log_mel", "mfcc"]) -> Features:
    return Features(
        kind=kind,
        sample_rate=16000,
        window_seconds=0.025,
        hop_seconds=0.010,
        n_fft=512,
        bands=64,
        coefficients=13,
        low_hz=0.0,
        high_hz=8000.0,
        floor_db=-100.0,
        scaling="none",
    )


def make_files(folder: Path, count: int) -> tuple[list[str], float]:
    """Noise under a slow envelope with a gliding tone, 3 to 10 s each.

    Returns the paths and their seconds in all.
    """
    random = np.random.default_rng(0)
    paths, seconds = [], 0.0
    for i in range(count):
        time_ = np.arange(random.integers(3 * 16000, 10 * 16000)) / 16000
        tone = np.sin(2 * np.pi * (200 + 20 * i) * time_ + 30 * np.sin(3 * time_))
        y = (0.2 * tone + 0.05 * random.standard_normal(len(time_))) * (0.6 + 0.4 * np.sin(5 * time_))
        paths.append(str(folder / f"{i:03}.wav"))
        audio.save(paths[-1], np.clip(y, -1, 1), sample_rate=16000)
        seconds += len(time_) / 16000
    return paths, seconds


def librosa_loop(paths: list[str], settings: Features) -> list[np.ndarray]:
    results = []
    for path in paths:
        y, rate = librosa.load(path, sr=settings.sample_rate)
        power = librosa.feature.melspectrogram(
            y=y,
            sr=rate,
            n_fft=settings.n_fft,
            hop_length=settings.hop_samples,
            win_length=settings.window_samples,
            pad_mode="constant",
            n_mels=settings.bands,
            fmin=settings.low_hz,
            fmax=settings.high_hz,
        )
        decibels = librosa.power_to_db(power, ref=1.0, amin=10 ** (settings.floor_db / 10), top_db=None)
        results.append(
            decibels
            if settings.kind == "log_mel"
            else librosa.feature.mfcc(S=decibels, n_mfcc=settings.coefficients)
        )
    return results


def one_thread(paths: list[str], settings: Features) -> list[np.ndarray]:
    return [features.extract(audio.load(path, sample_rate=settings.sample_rate), settings) for path in paths]


def from_store(folder: Path, paths: list[str], settings: Features) -> list[np.ndarray]:
    return FeatureStore(folder).features(paths, settings)


def medians(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds of each way, run in turn so that a slower minute of the machine falls on all."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if repeat:  # the first round fills the caches
                seconds[way].append(time.perf_counter() - start)
    return {way: statistics.median(values) for way, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Extraction of features beside the librosa loop.")
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths, seconds = make_files(Path(folder), arguments.files)
        print(f"{len(paths)} files, {seconds:.0f} s of sound at 16 kHz; median of {arguments.repeats}\n")
        print(
            "| features | way | ms | librosa / it | difference / largest value |\n| --- | --- | ---: | ---: |"
            " ---: |"
        )
        for settings in (settings_of("log_mel"), settings_of("mfcc")):
            cold, warm = Path(folder, "cold"), Path(folder, f"warm-{settings.kind}")
            expected = librosa_loop(paths, settings)
            results = from_store(warm, paths, settings)
            difference = max(
                float(np.abs(a - b.T).max() / np.abs(b).max()) for a, b in zip(results, expected, strict=True)
            )
            ways: dict[str, Callable[[], object]] = {
                "librosa loop": partial(librosa_loop, paths, settings),
                "one thread": partial(one_thread, paths, settings),
                "emptying the store": partial(shutil.rmtree, cold, ignore_errors=True),
                "store, cold": partial(from_store, cold, paths, settings),
                "store, warm": partial(from_store, warm, paths, settings),
            }
            median = medians(ways, arguments.repeats)
            del median["emptying the store"]
            for way, value in median.items():
                error = "" if way == "librosa loop" else f"{difference:.0e}"
                print(
                    f"| {settings.kind} | {way} | {1000 * value:.1f} | {median['librosa loop'] / value:.1f} |"
                    f" {error} |"
                )


if __name__ == "__main__":
    main()
