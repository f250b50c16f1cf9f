"""From a table of one's own to tables of predictions with its columns, by the real command."""

import numpy as np
import pandas as pd
import pytest

from audiomtl.data import audio

pytestmark = pytest.mark.slow


def test_a_table_becomes_best_runs_whose_predictions_keep_ids_and_columns(project, tmp_path) -> None:
    folder, rows = project.folder / "mine", []
    folder.mkdir()
    for number in range(24):
        random, high = np.random.default_rng(number), number % 2
        times = np.arange(round(random.uniform(0.7, 1.6) * 22050)) / 22050
        y = 0.2 * np.sin(2 * np.pi * (2000 if high else 300) * times) + 0.02 * random.standard_normal(len(times))
        audio.save(folder / f"{number:02}.wav", y, sample_rate=22050)
        rows.append({"path": f"{number:02}.wav", "label": ["low", "high"][high], "artist": f"artist {number // 2}", "shelf": number * 10})
    rows.append({"path": "gone.wav", "label": "low", "artist": "nobody", "shelf": 7})
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)

    assert "experiments/mine.toml written" in project.run("new", "mine", "--data", "mine/mine.csv")
    assert "no such file" in project.run("best", "mine", code=2)  # the missing one, before anything is trained
    path = project.folder / "experiments" / "mine.toml"
    text = path.read_text()
    for old, new in (
        ('on_bad = "error" ', 'on_bad = "skip"'),
        ("seconds = 5.0", "seconds = 0.5"),
        ('window = "answer"', 'window = "statistics"'),
        ("epochs = 30", "epochs = 3"),
        ("seeds = [1, 2, 3, 4, 5]", "seeds = [1, 2]"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    project.run("check")
    project.run("best", "mine", "--record", "--slots", "2")

    runs = project.tracking().runs("mine", "tags.kind = 'best'")
    assert len(runs) == 2 and all(run.data.metrics["data/left_out/missing"] == 1 for run in runs)
    for run in runs:
        found = {}
        for name in ("predictions_test", "windows_test"):
            place = project.tracking().client.download_artifacts(run.info.run_id, f"{name}.parquet", str(tmp_path))
            found[name] = pd.read_parquet(place)
        clips, windows = found["predictions_test"], found["windows_test"]
        assert clips["clip_id"].is_unique and {"artist", "shelf", "label"} <= set(clips) and (clips["truth"] == clips["label"]).all()
        numbers = clips["clip_id"].astype(int)
        assert (clips["shelf"] == numbers * 10).all() and (clips["artist"] == [f"artist {number // 2}" for number in numbers]).all()
        assert set(windows["clip_id"]) == set(clips["clip_id"]) and (windows["shelf"] == windows["clip_id"].astype(int) * 10).all()
        assert windows.groupby("clip_id").size().to_dict() == clips.set_index("clip_id")["windows"].to_dict()
    assert "Accuracy on test" in project.run("report", "mine") + (project.runs / "report" / "report.md").read_text()
