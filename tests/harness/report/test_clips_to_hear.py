"""Clips among the artifacts of a best run, from a store that is filled by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from audiomtl import config
from audiomtl.harness.report import clips_to_hear
from audiomtl.harness.report.html import listening
from tests.harness.report.conftest import Store


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, dict[str, object]]:
    """A sine of 0.5 s per clip; one whose file is gone."""
    known: dict[str, dict[str, object]] = {"gone": {"path": str(tmp_path / "gone.wav")}}
    for name in ("a", "b", "c"):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, 0.5 * np.sin(np.arange(4000) * 0.3), 8000)
        known[name] = {"path": str(path)}
    return known


def test_each_best_run_gets_clips_that_can_be_played_once(
    store: Store, recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "clip_table", lambda file: recordings)
    runs = {seed: store.tracking.client.get_run(store.best(seed, 0.3, 0.3)) for seed in (1, 2)}
    table = pd.DataFrame({"clip_id": list(recordings), "truth": "x", "predicted": "x"})
    table["probability_x"] = [0.9, 0.8, 0.5, 0.1]  # of gone, a, b, c
    table.to_parquet(tmp_path / "predictions_test.parquet")
    store.tracking.client.log_artifact(runs[1].info.run_id, str(tmp_path / "predictions_test.parquet"))
    for _ in range(2):
        clips_to_hear.log(store.tracking, config.load_experiment("tiny"), runs)
    client = store.tracking.client
    names = [item.path for item in client.list_artifacts(runs[1].info.run_id, clips_to_hear.FOLDER)]
    assert names == ["clips/best_1_a.flac", "clips/worst_1_c.flac", "clips/worst_2_b.flac"]
    y, rate = soundfile.read(client.download_artifacts(runs[1].info.run_id, names[0], str(tmp_path)))
    assert (len(y), rate) == (4000, 8000)
    assert client.list_artifacts(runs[2].info.run_id) == []  # it keeps no predictions
