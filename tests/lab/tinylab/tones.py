"""Clips of noise whose loudness is their class."""

from pathlib import Path

import numpy as np
import pandas as pd

from audiomtl.data import audio
from audiomtl.settings.clips import DataSet
from audiomtl.settings.table import Count

GENERATED = True  # into the cache, not read from the folder of published data


class Settings(DataSet):
    clips: Count


def clips(data: Settings, folder: Path) -> pd.DataFrame:
    rows = []
    for index in range(data.clips):
        path = folder / "tones" / f"{index:03d}.wav"
        random = np.random.default_rng(index)
        label = index % 2
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            audio.save(
                path,
                (0.02 + 0.02 * label) * random.standard_normal(1600).astype(np.float32),
                sample_rate=16000,
            )
        rows.append((f"{index:03d}", str(path), f"g{index % 8}", label, 0.1))
    return pd.DataFrame(rows, columns=["clip_id", "path", "source", "label", "seconds"])
