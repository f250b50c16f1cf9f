"""Make ``features.npz``: what librosa computes from the sounds of ``conftest.py``. Run it once; the file is
committed.

    python tests/golden/make_features.py

Contents of the file: ``KIND/SOUND`` (n_frames, n_bands) float32, and ``KIND`` the settings they were made
with, as JSON.
"""

import sys
from pathlib import Path
from typing import Any, Literal

import librosa
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from conftest import RATE, SOUNDS  # noqa: E402

from audiomtl.settings.shared import Features  # noqa: E402

KINDS: tuple[Literal["log_stft", "log_mel", "mfcc"], ...] = ("log_stft", "log_mel", "mfcc")
SAMPLES = 8200  # about half a second, no whole number of hops


def librosa_features(y: np.ndarray, settings: Features) -> np.ndarray:  # (n_frames, n_bands)
    floor = 10 ** (settings.floor_db / 10)
    spectrum = librosa.stft(
        y,
        n_fft=settings.n_fft,
        hop_length=settings.hop_samples,
        win_length=settings.window_samples,
        window="hann",
        center=True,
        pad_mode="constant",
    )
    power = np.abs(spectrum) ** 2  # (bins, frames)
    if settings.kind == "log_stft":
        return librosa.power_to_db(power, ref=1.0, amin=floor, top_db=None).T
    mel = librosa.feature.melspectrogram(
        S=power,
        sr=settings.sample_rate,
        n_mels=settings.bands,
        fmin=settings.low_hz,
        fmax=settings.high_hz,
        htk=False,
        norm="slaney",
    )
    decibels = librosa.power_to_db(mel, ref=1.0, amin=floor, top_db=None)
    return (
        decibels.T
        if settings.kind == "log_mel"
        else librosa.feature.mfcc(S=decibels, n_mfcc=settings.coefficients).T
    )


def main() -> None:
    arrays: dict[str, Any] = {}
    for kind in KINDS:
        settings = Features(
            kind=kind,
            sample_rate=RATE,
            window_seconds=0.025,
            hop_seconds=0.020,
            n_fft=512,
            bands=40,
            coefficients=13,
            low_hz=20.0,
            high_hz=7600.0,
            floor_db=-100.0,
            scaling="none",
        )
        arrays[kind] = np.array(settings.model_dump_json())
        for name, sound in SOUNDS.items():
            arrays[f"{kind}/{name}"] = librosa_features(sound()[:SAMPLES], settings).astype(np.float32)
    np.savez_compressed(HERE / "features.npz", **arrays)


if __name__ == "__main__":
    main()
