"""Features of the windows of one song: this project's views of one extraction beside the answer's loop.
Prints a Markdown table.

    python benchmarks/mil_features.py [--repeats 15]

The answer (https://stackoverflow.com/questions/55272508) computes MFCC window by window with librosa, so that
half of every window is computed twice at 50 % overlap. 60 s at 22.05 kHz from memory, 13 MFCC, 5 s windows;
medians of wall time, one BLAS thread for all. The values differ by design: librosa's ``power_to_db`` looks at
each window's own maximum (``top_db``), ours at nothing.
"""

# ruff: noqa: E402 (BLAS reads its number of threads when numpy is imported)

import os

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import statistics
import time
from collections.abc import Callable

import librosa
import numpy as np

from audiomtl.data import features, windows
from audiomtl.settings.shared import Features
from audiomtl.settings.windows import Windows

SETTINGS = Features(
    kind="mfcc",
    sample_rate=22050,
    window_seconds=1024 / 22050,
    hop_seconds=512 / 22050,
    n_fft=1024,
    bands=128,
    coefficients=13,
    low_hz=0.0,
    high_hz=11025.0,
    floor_db=-100.0,
    scaling="none",
)
WINDOWS = Windows(seconds=5.0, hop_share=0.5, tail="drop", bag_windows=0)


def answer(y: np.ndarray) -> np.ndarray:  # (windows, bands, frames)
    size = 5 * 22050
    parts = librosa.util.frame(y, frame_length=size, hop_length=size // 2)
    return np.stack(
        [
            librosa.feature.mfcc(y=parts[:, w], sr=22050, n_mfcc=13, hop_length=512, n_fft=1024)
            for w in range(parts.shape[1])
        ]
    )


def librosa_once(y: np.ndarray) -> np.ndarray:
    frames = librosa.feature.mfcc(y=y, sr=22050, n_mfcc=13, hop_length=512, n_fft=1024).T
    return windows.cut(frames, windows.starts(len(frames), WINDOWS, SETTINGS), 216)


def ours(y: np.ndarray) -> np.ndarray:  # (windows, frames, bands)
    frames = features.extract(y, SETTINGS)
    return windows.cut(
        frames, windows.starts(len(frames), WINDOWS, SETTINGS), windows.window_frames(WINDOWS, SETTINGS)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="MFCC of the windows of a one-minute song.")
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    y = (0.1 * np.random.default_rng(0).standard_normal(60 * 22050)).astype(np.float32)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "the answer's loop": answer,
        "librosa once, then views": librosa_once,
        "audiomtl: extracted once, views": ours,
    }
    assert answer(y).shape == (23, 13, 216) and ours(y).shape == (23, 216, 13)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 2):
        for way, run in ways.items():
            begin = time.perf_counter()
            run(y)
            if repeat >= 2:
                times[way].append(1000 * (time.perf_counter() - begin))
    median = {way: statistics.median(values) for way, values in times.items()}
    print("| way | ms | answer / it | target |\n| --- | ---: | ---: | --- |")
    for way, value in median.items():
        print(
            f"| {way} | {value:.1f} | {median[next(iter(ways))] / value:.1f} |"
            f" {'35 ms' if way.startswith('audiomtl') else ''} |"
        )


if __name__ == "__main__":
    main()
